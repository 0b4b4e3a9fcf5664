"""What other servers ask of users and aliases here."""

from __future__ import annotations

from palpo.api.call import Call, Handlers
from palpo.core.errors import NotFound
from palpo.core.identifiers import server_name_of
from palpo.wire.endpoint import Json, NoBody
from palpo.wire.federation import queries as wire

handlers = Handlers()


@handlers.serves(wire.query_profile)
async def query_profile(call: Call, params: wire.ProfileQuery, body: NoBody) -> Json:
    """GET /query/profile."""
    if server_name_of(params.user_id) != call.services.server.name:
        raise NotFound("That is no user of this server")
    return await call.services.accounts.profiles.look_up(params.user_id, params.field)


@handlers.serves(wire.query_room_directory)
async def query_room_directory(call: Call, params: wire.DirectoryQuery, body: NoBody) -> wire.RoomOfAlias:
    """GET /query/directory."""
    if server_name_of(params.room_alias) != call.services.server.name:
        raise NotFound("That is no alias of this server")
    room_id, servers = await call.services.rooms.aliases.resolve(params.room_alias)
    return wire.RoomOfAlias(room_id=room_id, servers=servers)


@handlers.serves(wire.query_info)
async def query_info(call: Call, params: wire.OtherQuery, body: NoBody) -> Json:
    """GET /query/{queryType}, of types that nobody knows here."""
    raise NotFound("There are no such queries")
