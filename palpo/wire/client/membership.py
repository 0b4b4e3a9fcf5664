"""Room membership (spec: client-server API, "Room membership")."""

from __future__ import annotations

import msgspec

from palpo.core.identifiers import RoomAlias, RoomId, UserId
from palpo.wire.endpoint import (
    Auth,
    Body,
    Endpoint,
    Json,
    Limit,
    NoBody,
    NoParams,
    Params,
    Response,
    RoomParams,
    UserParams,
    client,
    draft,
)


class RoomOrAlias(Params, frozen=True):
    """A room or an alias, and servers that may know it."""

    room_id_or_alias: RoomId | RoomAlias
    via: tuple[str, ...] = ()
    server_name: tuple[str, ...] = ()


class ByWhom(UserParams, frozen=True):
    """The other user."""

    from_: str | None = msgspec.field(name="from", default=None)


class Reason(Body, frozen=True):
    """Why, for people to read."""

    reason: str | None = None


class Invite(Body, frozen=True):
    """Who is invited: a user, or an address at an identity server."""

    user_id: UserId | None = None
    reason: str | None = None
    id_server: str | None = None
    id_access_token: str | None = None
    medium: str | None = None
    address: str | None = None


class Target(Body, frozen=True):
    """Whose membership is changed."""

    user_id: UserId
    reason: str | None = None


class RoomJoined(Response, frozen=True):
    """The room that was joined, or knocked on."""

    room_id: str


class JoinedRooms(Response, frozen=True):
    """The rooms that the caller is in."""

    joined_rooms: list[str]


class MutualRooms(Response, frozen=True):
    """The rooms that the caller and another user are in."""

    joined: list[str]
    count: int
    next_batch: str | None = None


join_room_by_id: Endpoint[RoomParams, Json, RoomJoined] = Endpoint(
    operation_id="joinRoomById",
    method="POST",
    paths=client("/rooms/{room_id}/join"),
    auth=Auth.GUEST,
    while_suspended=False,
    limit=Limit.JOIN,
    params=RoomParams,
    body=Json,
    response=RoomJoined,
)

join_room: Endpoint[RoomOrAlias, Json, RoomJoined] = Endpoint(
    operation_id="joinRoom",
    method="POST",
    paths=client("/join/{room_id_or_alias}"),
    auth=Auth.GUEST,
    while_suspended=False,
    limit=Limit.JOIN,
    params=RoomOrAlias,
    body=Json,
    response=RoomJoined,
)

knock_room: Endpoint[RoomOrAlias, Reason, RoomJoined] = Endpoint(
    operation_id="knockRoom",
    method="POST",
    paths=client("/knock/{room_id_or_alias}", unstable=("xyz.amorgan.knock",)),
    while_suspended=False,
    limit=Limit.JOIN,
    params=RoomOrAlias,
    body=Reason,
    response=RoomJoined,
)

invite_user: Endpoint[RoomParams, Invite, None] = Endpoint(
    operation_id="inviteUser",
    also=("inviteBy3PID",),
    method="POST",
    paths=client("/rooms/{room_id}/invite"),
    while_suspended=False,
    limit=Limit.INVITE,
    params=RoomParams,
    body=Invite,
)

leave_room: Endpoint[RoomParams, Reason, None] = Endpoint(
    operation_id="leaveRoom",
    method="POST",
    paths=client("/rooms/{room_id}/leave"),
    auth=Auth.GUEST,
    limit=Limit.MESSAGE,
    params=RoomParams,
    body=Reason,
)

forget_room: Endpoint[RoomParams, NoBody, None] = Endpoint(
    operation_id="forgetRoom",
    method="POST",
    paths=client("/rooms/{room_id}/forget"),
    params=RoomParams,
)

kick: Endpoint[RoomParams, Target, None] = Endpoint(
    operation_id="kick",
    method="POST",
    paths=client("/rooms/{room_id}/kick"),
    while_suspended=False,
    limit=Limit.MESSAGE,
    params=RoomParams,
    body=Target,
)

ban: Endpoint[RoomParams, Target, None] = Endpoint(
    operation_id="ban",
    method="POST",
    paths=client("/rooms/{room_id}/ban"),
    while_suspended=False,
    limit=Limit.MESSAGE,
    params=RoomParams,
    body=Target,
)

unban: Endpoint[RoomParams, Target, None] = Endpoint(
    operation_id="unban",
    method="POST",
    paths=client("/rooms/{room_id}/unban"),
    while_suspended=False,
    limit=Limit.MESSAGE,
    params=RoomParams,
    body=Target,
)

get_joined_rooms: Endpoint[NoParams, NoBody, JoinedRooms] = Endpoint(
    operation_id="getJoinedRooms",
    method="GET",
    paths=client("/joined_rooms"),
    response=JoinedRooms,
)

get_mutual_rooms: Endpoint[ByWhom, NoBody, MutualRooms] = Endpoint(
    operation_id="getMutualRooms",
    method="GET",
    paths=client("/mutual_rooms", "v1") + draft("/user/mutual_rooms", "uk.half-shot.msc2666"),
    params=ByWhom,
    response=MutualRooms,
)
