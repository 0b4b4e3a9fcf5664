"""Rooms and their children, for other servers."""

from __future__ import annotations

from palpo.api.call import Call, Handlers
from palpo.api.room_overviews import space_room, summary_fields
from palpo.wire.client.room_overviews import RoomSummary
from palpo.wire.endpoint import NoBody
from palpo.wire.federation import space_hierarchy as wire

handlers = Handlers()


@handlers.serves(wire.get_space_hierarchy)
async def get_space_hierarchy(call: Call, params: wire.SpaceParams, body: NoBody) -> wire.Space:
    """GET /hierarchy/{roomId}."""
    found = await call.services.federation.served_hierarchy.look(
        call.origin, params.room_id, suggested_only=params.suggested_only
    )
    return wire.Space(
        room=space_room(found.room),
        children=[RoomSummary(**summary_fields(child)) for child in found.known.values()],
        inaccessible_children=sorted(found.hidden),
    )
