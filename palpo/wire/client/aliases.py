"""Room aliases (spec: client-server API, "Room aliases")."""

from __future__ import annotations

from palpo.core.identifiers import RoomAlias, RoomId
from palpo.wire.endpoint import Auth, Body, Endpoint, Limit, NoBody, Params, Response, RoomParams, client


class Alias(Params, frozen=True):
    """An alias."""

    room_alias: RoomAlias


class SetAlias(Body, frozen=True):
    """What an alias shall stand for."""

    room_id: RoomId


class ResolvedAlias(Response, frozen=True):
    """What an alias stands for, and servers that are in the room."""

    room_id: str
    servers: list[str]


class AliasList(Response, frozen=True):
    """A room's aliases on this server."""

    aliases: list[str]


PATHS = client("/directory/room/{room_alias}")

get_room_id_by_alias: Endpoint[Alias, NoBody, ResolvedAlias] = Endpoint(
    operation_id="getRoomIdByAlias",
    method="GET",
    paths=PATHS,
    auth=Auth.NONE,
    params=Alias,
    response=ResolvedAlias,
)

set_room_alias: Endpoint[Alias, SetAlias, None] = Endpoint(
    operation_id="setRoomAlias",
    method="PUT",
    paths=PATHS,
    while_suspended=False,
    limit=Limit.SETTINGS,
    params=Alias,
    body=SetAlias,
)

delete_room_alias: Endpoint[Alias, NoBody, None] = Endpoint(
    operation_id="deleteRoomAlias",
    method="DELETE",
    paths=PATHS,
    while_suspended=False,
    limit=Limit.SETTINGS,
    params=Alias,
)

get_local_aliases: Endpoint[RoomParams, NoBody, AliasList] = Endpoint(
    operation_id="getLocalAliases",
    method="GET",
    paths=client("/rooms/{room_id}/aliases", unstable=("org.matrix.msc2432",)),
    params=RoomParams,
    response=AliasList,
)
