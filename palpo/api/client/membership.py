"""Room membership."""

from typing import Any

from palpo.api.call import Call, Handlers
from palpo.core.errors import BadJson, InvalidParam, MissingParam
from palpo.core.identifiers import RoomAlias, RoomId
from palpo.services.rooms.third_party_invites import Address
from palpo.wire.client import membership as wire
from palpo.wire.endpoint import NoBody, NoParams, RoomParams

handlers = Handlers()
MAX_VIA = 50


@handlers.serves(wire.join_room_by_id)
async def join_room_by_id(call: Call, params: RoomParams, body: dict[str, Any]) -> wire.RoomJoined:
    """POST /rooms/{roomId}/join."""
    return await _join(call, params.room_id, body, ())


@handlers.serves(wire.join_room)
async def join_room(call: Call, params: wire.RoomOrAlias, body: dict[str, Any]) -> wire.RoomJoined:
    """POST /join/{roomIdOrAlias}."""
    return await _join(call, params.room_id_or_alias, body, _via(params))


async def _join(
    call: Call, room_id_or_alias: RoomId | RoomAlias, body: dict[str, Any], via: tuple[str, ...]
) -> wire.RoomJoined:
    reason = body.get("reason")
    if reason is not None and not isinstance(reason, str):
        raise BadJson("reason is not a string")
    room_id, servers = await call.services.rooms.aliases.room_and_servers(room_id_or_alias)
    signed = body.get("third_party_signed")
    if signed is not None and not call.requester.shadow_banned:
        await call.services.rooms.third_party_invites.accept(call.user_id, room_id, signed)
    content = {key: value for key, value in body.items() if key != "third_party_signed"}
    await call.services.rooms.memberships.join(call.requester, room_id, content, via=(*via, *servers))
    return wire.RoomJoined(room_id=room_id)


@handlers.serves(wire.knock_room)
async def knock_room(call: Call, params: wire.RoomOrAlias, body: wire.Reason) -> wire.RoomJoined:
    """POST /knock/{roomIdOrAlias}."""
    room_id, servers = await call.services.rooms.aliases.room_and_servers(params.room_id_or_alias)
    via = (*_via(params), *servers)
    await call.services.rooms.memberships.knock(call.requester, room_id, body.reason, via=via)
    return wire.RoomJoined(room_id=room_id)


@handlers.serves(wire.invite_user)
async def invite_user(call: Call, params: RoomParams, body: wire.Invite) -> None:
    """POST /rooms/{roomId}/invite."""
    if body.user_id is None:
        invites = call.services.rooms.third_party_invites
        await invites.invite(call.requester, params.room_id, _address(body), body.reason)
        return
    await call.services.rooms.memberships.invite(call.requester, params.room_id, body.user_id, body.reason)


@handlers.serves(wire.leave_room)
async def leave_room(call: Call, params: RoomParams, body: wire.Reason) -> None:
    """POST /rooms/{roomId}/leave."""
    await call.services.rooms.memberships.leave(call.requester, params.room_id, body.reason)


@handlers.serves(wire.forget_room)
async def forget_room(call: Call, params: RoomParams, body: NoBody) -> None:
    """POST /rooms/{roomId}/forget."""
    await call.services.rooms.memberships.forget(call.user_id, params.room_id)


@handlers.serves(wire.kick)
async def kick(call: Call, params: RoomParams, body: wire.Target) -> None:
    """POST /rooms/{roomId}/kick."""
    await call.services.rooms.memberships.kick(call.requester, params.room_id, body.user_id, body.reason)


@handlers.serves(wire.ban)
async def ban(call: Call, params: RoomParams, body: wire.Target) -> None:
    """POST /rooms/{roomId}/ban."""
    await call.services.rooms.memberships.ban(call.requester, params.room_id, body.user_id, body.reason)


@handlers.serves(wire.unban)
async def unban(call: Call, params: RoomParams, body: wire.Target) -> None:
    """POST /rooms/{roomId}/unban."""
    await call.services.rooms.memberships.unban(call.requester, params.room_id, body.user_id, body.reason)


@handlers.serves(wire.get_joined_rooms)
async def get_joined_rooms(call: Call, params: NoParams, body: NoBody) -> wire.JoinedRooms:
    """GET /joined_rooms."""
    return wire.JoinedRooms(joined_rooms=await call.services.rooms.memberships.joined_rooms(call.user_id))


@handlers.serves(wire.get_mutual_rooms)
async def get_mutual_rooms(call: Call, params: wire.ByWhom, body: NoBody) -> wire.MutualRooms:
    """GET /mutual_rooms: all of them on one page."""
    if params.from_ is not None:
        raise InvalidParam("There is no such page")
    if params.user_id == call.user_id:
        raise InvalidParam("That is you")
    rooms = await call.services.rooms.memberships.mutual_rooms(call.user_id, params.user_id)
    return wire.MutualRooms(joined=rooms, count=len(rooms))


def _address(body: wire.Invite) -> Address:
    if body.medium is None and body.address is None:
        raise MissingParam("Who is invited? There is no user_id")
    if body.medium is None or body.address is None or body.id_server is None or body.id_access_token is None:
        raise MissingParam("An invite by address has id_server, id_access_token, medium and address")
    return Address(
        id_server=body.id_server,
        access_token=body.id_access_token,
        medium=body.medium,
        address=body.address,
    )


def _via(params: wire.RoomOrAlias) -> tuple[str, ...]:
    """The servers to ask, under the parameter's name of today or the older one (MSC4156)."""
    return (params.via or params.server_name)[:MAX_VIA]
