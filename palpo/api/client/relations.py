"""What relates to an event, and a room's threads."""

from __future__ import annotations

from palpo.api.call import Call, Handlers
from palpo.api.client.timeline import rendered
from palpo.core.errors import InvalidParam
from palpo.services.history.tokens import parse_events_token, position_token, timeline_token
from palpo.services.reading.relations import RECURSION, Wanted
from palpo.wire.client import relations as wire
from palpo.wire.endpoint import NoBody

DEFAULT_LIMIT = 50
MAX_LIMIT = 500
MAX_THREADS = 100

handlers = Handlers()


@handlers.serves(wire.get_relating_events)
async def get_relating_events(call: Call, params: wire.RelationsParams, body: NoBody) -> wire.RelatedEvents:
    return await _children(call, params, None, None)


@handlers.serves(wire.get_relating_events_by_type)
async def get_relating_events_by_type(
    call: Call, params: wire.TypedRelationsParams, body: NoBody
) -> wire.RelatedEvents:
    return await _children(call, params, params.rel_type, None)


@handlers.serves(wire.get_relating_events_by_types)
async def get_relating_events_by_types(
    call: Call, params: wire.FullyTypedRelationsParams, body: NoBody
) -> wire.RelatedEvents:
    return await _children(call, params, params.rel_type, params.event_type)


@handlers.serves(wire.get_thread_roots)
async def get_thread_roots(call: Call, params: wire.ThreadsParams, body: NoBody) -> wire.Threads:
    found = await call.services.reading.relations.threads(
        params.room_id,
        call.user_id,
        participated=params.include == "participated",
        before=None if params.from_ is None else parse_events_token(params.from_),
        limit=_limit(params.limit, MAX_THREADS),
    )
    return wire.Threads(
        chunk=await rendered(call, found.roots),
        next_batch=None if found.next is None else position_token(found.next),
    )


async def _children(
    call: Call, params: wire.RelationsParams, rel_type: str | None, event_type: str | None
) -> wire.RelatedEvents:
    recurse = params.recurse if params.recurse is not None else params.unstable_recurse
    page = await call.services.reading.relations.children(
        params.room_id,
        call.user_id,
        params.event_id,
        Wanted(rel_type=rel_type, event_type=event_type, recurse=bool(recurse)),
        backwards=params.dir == "b",
        from_token=params.from_,
        to_token=params.to,
        limit=_limit(DEFAULT_LIMIT if params.limit is None else params.limit, MAX_LIMIT),
    )
    return wire.RelatedEvents(
        chunk=await rendered(call, page.events),
        next_batch=None if page.complete else timeline_token(page.end),
        prev_batch=params.from_,
        recursion_depth=None if recurse is None else RECURSION if recurse else 1,
    )


def _limit(limit: int, maximum: int) -> int:
    if limit < 1:
        raise InvalidParam("The limit is below 1")
    return min(limit, maximum)
