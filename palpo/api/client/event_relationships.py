"""What relates to an event, over several steps (MSC2836)."""

from __future__ import annotations

from msgspec import Raw

from palpo.api.call import Call, Handlers
from palpo.api.client.timeline import rendered
from palpo.core.errors import InvalidParam
from palpo.services.reading.event_relationships import MAX_EVENTS, Walk
from palpo.wire.client import event_relationships as wire
from palpo.wire.endpoint import NoParams

DEFAULT_DEPTH = 3
DEFAULT_BREADTH = 10

handlers = Handlers()


@handlers.serves(wire.get_event_relationships)
async def get_event_relationships(
    call: Call, params: NoParams, body: wire.EventRelationshipsRequest
) -> wire.EventRelationshipsResponse:
    if body.batch:
        raise InvalidParam("The server gives out no batch tokens")
    relationships = call.services.reading.event_relationships
    found = await relationships.walk(walk_of(body), call.user_id)
    shown = [bytes(event) for event in await rendered(call, found.events)]
    events = await relationships.with_children(found.events, shown)
    return wire.EventRelationshipsResponse(events=[Raw(event) for event in events], limited=found.limited)


def walk_of(body: wire.EventRelationshipsRequest) -> Walk:
    """The walk that a request asks for."""
    depth = DEFAULT_DEPTH if body.max_depth is None else body.max_depth
    return Walk(
        event_id=body.event_id,
        room_id=body.room_id,
        up=body.direction == "up",
        depth_first=bool(body.depth_first),
        recent_first=body.recent_first is not False,
        include_parent=bool(body.include_parent),
        include_children=bool(body.include_children),
        limit=max(1, _bounded(body.limit, MAX_EVENTS)),
        max_depth=None if depth < 0 else depth,
        max_breadth=_bounded(body.max_breadth, DEFAULT_BREADTH),
    )


def _bounded(number: int | None, default: int) -> int:
    """A number as the server takes it: at most MAX_EVENTS, which is also what a negative one means."""
    if number is None:
        return default
    return MAX_EVENTS if number < 0 else min(number, MAX_EVENTS)
