"""The published room directory."""

from palpo.api.call import Call, Handlers
from palpo.api.room_overviews import directory_query, published_rooms
from palpo.services.appservices.appservice_queries import instance_id
from palpo.services.rooms.room_directory import DirectoryQuery
from palpo.wire.client import room_directory as wire
from palpo.wire.endpoint import NoBody, RoomParams

handlers = Handlers()


@handlers.serves(wire.get_room_visibility_on_directory)
async def get_room_visibility_on_directory(
    call: Call, params: RoomParams, body: NoBody
) -> wire.RoomVisibility:
    """GET /directory/list/room/{roomId}."""
    listed = await call.services.rooms.room_directory.is_listed(params.room_id)
    return wire.RoomVisibility(visibility="public" if listed else "private")


@handlers.serves(wire.set_room_visibility_on_directory)
async def set_room_visibility_on_directory(call: Call, params: RoomParams, body: wire.SetVisibility) -> None:
    """PUT /directory/list/room/{roomId}."""
    listed = body.visibility != "private"
    await call.services.rooms.room_directory.set_listed(call.requester, params.room_id, listed=listed)


@handlers.serves(wire.update_appservice_room_directory_visibility)
async def update_appservice_room_directory_visibility(
    call: Call, params: wire.NetworkRoom, body: wire.RoomVisibility
) -> None:
    """PUT /directory/list/appservice/{networkId}/{roomId}."""
    await call.services.rooms.room_directory.set_listed_for_network(
        instance_id(call.requester.appservice_id or "", params.network_id),
        params.room_id,
        listed=body.visibility == "public",
    )


@handlers.serves(wire.get_public_rooms)
async def get_public_rooms(call: Call, params: wire.PageParams, body: NoBody) -> wire.PublishedRooms:
    """GET /publicRooms."""
    query = DirectoryQuery(limit=params.limit, since=params.since)
    return await _page(call, query, params.server)


@handlers.serves(wire.query_public_rooms)
async def query_public_rooms(call: Call, params: wire.ServerParams, body: wire.Query) -> wire.PublishedRooms:
    """POST /publicRooms."""
    return await _page(call, directory_query(body), params.server)


async def _page(call: Call, query: DirectoryQuery, server: str | None) -> wire.PublishedRooms:
    return published_rooms(await call.services.rooms.room_directory.page(query, server=server))
