"""Room aliases."""

from palpo.api.call import Call, Handlers
from palpo.wire.client import aliases as wire
from palpo.wire.endpoint import NoBody, RoomParams

handlers = Handlers()


@handlers.serves(wire.get_room_id_by_alias)
async def get_room_id_by_alias(call: Call, params: wire.Alias, body: NoBody) -> wire.ResolvedAlias:
    """GET /directory/room/{roomAlias}."""
    room_id, servers = await call.services.rooms.aliases.resolve(params.room_alias)
    return wire.ResolvedAlias(room_id=room_id, servers=servers)


@handlers.serves(wire.set_room_alias)
async def set_room_alias(call: Call, params: wire.Alias, body: wire.SetAlias) -> None:
    """PUT /directory/room/{roomAlias}."""
    await call.services.rooms.aliases.create(call.requester, params.room_alias, body.room_id)


@handlers.serves(wire.delete_room_alias)
async def delete_room_alias(call: Call, params: wire.Alias, body: NoBody) -> None:
    """DELETE /directory/room/{roomAlias}."""
    await call.services.rooms.aliases.delete(call.requester, params.room_alias)


@handlers.serves(wire.get_local_aliases)
async def get_local_aliases(call: Call, params: RoomParams, body: NoBody) -> wire.AliasList:
    """GET /rooms/{roomId}/aliases."""
    return wire.AliasList(aliases=await call.services.rooms.aliases.of_room(call.requester, params.room_id))
