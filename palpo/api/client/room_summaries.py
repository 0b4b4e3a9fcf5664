"""Summaries of rooms and of spaces."""

from typing import Any

from palpo.api.call import Call, Handlers
from palpo.api.room_overviews import summary_fields
from palpo.core.events import Event, stripped
from palpo.wire.client import room_summaries as wire
from palpo.wire.client.room_overviews import RoomSummary, SpaceRoom
from palpo.wire.endpoint import NoBody

handlers = Handlers()


@handlers.serves(wire.get_room_summary)
async def get_room_summary(call: Call, params: wire.SummaryParams, body: NoBody) -> RoomSummary:
    """GET /room_summary/{roomIdOrAlias}."""
    services = call.services
    room_id, _ = await services.rooms.aliases.room_and_servers(params.room_id_or_alias)
    user_id = call.caller.user_id if call.caller is not None else None
    overview, membership = await services.rooms.room_summaries.summary(user_id, room_id)
    return RoomSummary(**summary_fields(overview), membership=membership)


@handlers.serves(wire.get_space_hierarchy)
async def get_space_hierarchy(call: Call, params: wire.HierarchyParams, body: NoBody) -> wire.Hierarchy:
    """GET /rooms/{roomId}/hierarchy."""
    page = await call.services.rooms.room_summaries.hierarchy(
        call.user_id,
        params.room_id,
        suggested_only=params.suggested_only,
        max_depth=params.max_depth,
        limit=params.limit,
        start=params.from_,
    )
    rooms = [
        SpaceRoom(**summary_fields(room.overview), children_state=[_child(event) for event in room.children])
        for room in page.rooms
    ]
    return wire.Hierarchy(rooms=rooms, next_batch=page.next_batch)


def _child(event: Event) -> dict[str, Any]:
    return {**stripped(event), "origin_server_ts": event.origin_server_ts}
