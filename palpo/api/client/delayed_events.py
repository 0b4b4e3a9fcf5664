"""Events that are sent later (MSC4140).

As the proposal has it now, who scheduled an event manages it. In its earlier text the delay ID was all that
it took, so that others could be entrusted with it; a request without an access token is still heeded so,
since the IDs cannot be guessed, and clients hand them on.
"""

from __future__ import annotations

from typing import cast, get_args

from palpo.api.call import Call, Handlers, Reply
from palpo.api.client.sending import scheduled
from palpo.core.canonical_json import decode_object
from palpo.core.errors import Unrecognized
from palpo.core.records.delayed_events import DelayedEvent
from palpo.services.rooms.delayed_events import Action
from palpo.wire.client import delayed_events as wire
from palpo.wire.endpoint import NoBody, NoParams

handlers = Handlers()


@handlers.serves(wire.schedule_delayed_event)
async def schedule_delayed_event(call: Call, params: wire.ScheduleParams, body: wire.Schedule) -> Reply:
    """PUT /rooms/{roomId}/delayed_event/{eventType}/{txnId}: as sending with a delay does."""
    return await scheduled(
        call,
        params.room_id,
        params.event_type,
        body.state_key,
        body.content,
        body.delay_ms,
        params.txn_id,
        params.ts,
    )


@handlers.serves(wire.get_delayed_events)
async def get_delayed_events(call: Call, params: NoParams, body: NoBody) -> wire.DelayedEvents:
    found = await call.services.rooms.delayed_events.of_user(call.user_id)
    return wire.DelayedEvents(delayed_events=[_shown(item) for item in found])


@handlers.serves(wire.get_delayed_event)
async def get_delayed_event(call: Call, params: wire.DelayParams, body: NoBody) -> wire.DelayedEvent:
    return _shown(await call.services.rooms.delayed_events.one(params.delay_id, call.user_id))


@handlers.serves(wire.update_delayed_event)
async def update_delayed_event(call: Call, params: wire.DelayParams, body: wire.Update) -> None:
    await _act(call, params.delay_id, body.action)


@handlers.serves(wire.act_on_delayed_event)
async def act_on_delayed_event(call: Call, params: wire.ActionParams, body: NoBody) -> None:
    if params.action not in get_args(wire.Action):
        raise Unrecognized("No such action")
    await _act(call, params.delay_id, cast(Action, params.action))


async def _act(call: Call, delay_id: str, action: Action) -> None:
    user_id = None if call.caller is None else call.caller.user_id
    await call.services.rooms.delayed_events.act(delay_id, action, user_id)


def _shown(item: DelayedEvent) -> wire.DelayedEvent:
    return wire.DelayedEvent(
        delay_id=item.delay_id,
        room_id=item.room_id,
        type=item.type,
        state_key=item.state_key,
        delay_ms=item.delay_ms,
        delay=item.delay_ms,
        scheduled_at=item.scheduled_ts,
        running_since=item.scheduled_ts,
        content=decode_object(item.content),
        error=None if item.error is None else decode_object(item.error),
        event_id=item.event_id,
        finalised_ts=item.finished_ts,
    )
