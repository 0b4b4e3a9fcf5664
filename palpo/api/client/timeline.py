"""Reading a room's history."""

from __future__ import annotations

from collections.abc import Sequence

from msgspec import Raw

from palpo.api.call import Call, Handlers
from palpo.core.errors import InvalidParam
from palpo.core.records.events import StoredEvent
from palpo.services.history.tokens import timeline_token
from palpo.services.reading.event_filters import parse_room_event_filter
from palpo.services.reading.timeline import MAX_LIMIT, Query
from palpo.wire.client import timeline as wire
from palpo.wire.client.filters import RoomEventFilter
from palpo.wire.endpoint import EventParams, NoBody

MAX_CONTEXT = 200

handlers = Handlers()


async def rendered(call: Call, events: Sequence[StoredEvent], *, bundle: bool = True) -> list[Raw]:
    """Events as the caller's device is shown them, with what relates to them where ``bundle`` says so."""
    shown = await call.services.reading.client_events.render(
        events, user_id=call.user_id, device_id=call.requester.device_id, with_room_id=True, bundle=bundle
    )
    return [Raw(item) for item in shown]


def page_size(limit: int, filter_: RoomEventFilter | None, maximum: int) -> int:
    """How many events a request is given; raises InvalidParam."""
    if limit < 0:
        raise InvalidParam("The limit is below 0")
    if filter_ is not None and filter_.limit is not None:
        limit = min(limit, filter_.limit)
    return min(limit, maximum)


def event_filter(text: str | None) -> RoomEventFilter | None:
    """The filter that a query parameter is, if it is one; raises InvalidParam."""
    return None if not text else parse_room_event_filter(text)


@handlers.serves(wire.get_room_events)
async def get_room_events(call: Call, params: wire.MessagesParams, body: NoBody) -> wire.Messages:
    filter_ = event_filter(params.filter)
    query = Query(
        room_id=params.room_id,
        user_id=call.user_id,
        backwards=params.dir == "b",
        limit=page_size(params.limit, filter_, MAX_LIMIT),
        filter=filter_,
    )
    timeline = call.services.reading.timeline
    page = await timeline.messages(query, params.from_, params.to)
    state = None
    if filter_ is not None and filter_.lazy_load_members and page.events:
        state = await rendered(call, await timeline.members(page.events))
    return wire.Messages(
        start=params.from_ or timeline_token(page.start),
        chunk=await rendered(call, page.events),
        end=timeline_token(page.end) if page.events or not page.complete else None,
        state=state,
    )


@handlers.serves(wire.get_event_context)
async def get_event_context(call: Call, params: wire.ContextParams, body: NoBody) -> wire.Context:
    filter_ = event_filter(params.filter)
    query = Query(
        room_id=params.room_id,
        user_id=call.user_id,
        backwards=True,
        limit=page_size(params.limit, filter_, MAX_CONTEXT),
        filter=filter_,
    )
    context = await call.services.reading.timeline.context(query, params.event_id)
    return wire.Context(
        start=timeline_token(context.before.end),
        end=timeline_token(context.after.end),
        event=(await rendered(call, [context.event]))[0],
        events_before=await rendered(call, context.before.events),
        events_after=await rendered(call, context.after.events),
        state=await rendered(call, context.state),
    )


@handlers.serves(wire.get_one_room_event)
async def get_one_room_event(call: Call, params: EventParams, body: NoBody) -> Raw:
    item = await call.services.history.visibility.get(params.room_id, params.event_id, call.user_id)
    return (await rendered(call, [item]))[0]


@handlers.serves(wire.get_event_by_timestamp)
async def get_event_by_timestamp(
    call: Call, params: wire.TimestampParams, body: NoBody
) -> wire.EventNearTime:
    if not -(2**53) < params.ts < 2**53:
        raise InvalidParam("The time is out of range")
    item = await call.services.reading.timeline.near(
        params.room_id, call.user_id, params.ts, backwards=params.dir == "b"
    )
    return wire.EventNearTime(event_id=item.event_id, origin_server_ts=item.event.origin_server_ts)
