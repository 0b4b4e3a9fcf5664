"""The published room directory, for other servers."""

from __future__ import annotations

from palpo.api.call import Call, Handlers
from palpo.api.room_overviews import directory_query, published_rooms
from palpo.wire.client.room_directory import PublishedRooms, Query
from palpo.wire.endpoint import NoBody, NoParams
from palpo.wire.federation import public_rooms as wire

handlers = Handlers()


@handlers.serves(wire.get_public_rooms)
async def get_public_rooms(call: Call, params: wire.PublicRoomsParams, body: NoBody) -> PublishedRooms:
    """GET /publicRooms."""
    query = Query(
        limit=params.limit,
        since=params.since,
        include_all_networks=params.include_all_networks,
        third_party_instance_id=params.third_party_instance_id,
    )
    return published_rooms(await call.services.rooms.room_directory.page(directory_query(query)))


@handlers.serves(wire.query_public_rooms)
async def query_public_rooms(call: Call, params: NoParams, body: Query) -> PublishedRooms:
    """POST /publicRooms."""
    return published_rooms(await call.services.rooms.room_directory.page(directory_query(body)))
