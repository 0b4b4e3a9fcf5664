"""Summaries of rooms and of spaces."""

from palpo.api.call import Call, Handlers
from palpo.api.room_overviews import space_room, summary_fields
from palpo.wire.client import room_summaries as wire
from palpo.wire.client.room_overviews import RoomSummary
from palpo.wire.endpoint import NoBody

handlers = Handlers()


@handlers.serves(wire.get_room_summary)
async def get_room_summary(call: Call, params: wire.SummaryParams, body: NoBody) -> RoomSummary:
    """GET /room_summary/{roomIdOrAlias}."""
    services = call.services
    room_id, servers = await services.rooms.aliases.room_and_servers(params.room_id_or_alias)
    user_id = call.caller.user_id if call.caller is not None else None
    overview, membership = await services.rooms.room_summaries.summary(
        user_id, room_id, (*params.via, *servers)
    )
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
    return wire.Hierarchy(rooms=[space_room(room) for room in page.rooms], next_batch=page.next_batch)
