"""Account data and tags (spec: client-server API, "Client Config", "Room Tagging"; MSC3391)."""

from __future__ import annotations

from typing import Any

from palpo.core.identifiers import RoomId
from palpo.wire.endpoint import Endpoint, Json, Limit, NoBody, Response, UserParams, client, draft


class Global(UserParams, frozen=True):
    """A user and a type, in the path."""

    type: str


class Room(UserParams, frozen=True):
    """A user and a room, in the path."""

    room_id: RoomId


class OfRoom(Room, frozen=True):
    """A user, a room and a type, in the path."""

    type: str


class Tag(Room, frozen=True):
    """A tag that a user may have put on a room, in the path."""

    tag: str


class Tags(Response, frozen=True):
    """The tags on a room; each has an object, with ``order`` perhaps."""

    tags: dict[str, Any]


GLOBAL = "/user/{user_id}/account_data/{type}"
OF_ROOM = "/user/{user_id}/rooms/{room_id}/account_data/{type}"
DELETION = "org.matrix.msc3391"
TAGS = "/user/{user_id}/rooms/{room_id}/tags"

set_account_data: Endpoint[Global, Json, None] = Endpoint(
    operation_id="setAccountData",
    method="PUT",
    paths=client(GLOBAL),
    limit=Limit.SETTINGS,
    params=Global,
    body=Json,
)

get_account_data: Endpoint[Global, NoBody, Json] = Endpoint(
    operation_id="getAccountData",
    method="GET",
    paths=client(GLOBAL),
    params=Global,
    response=Json,
)

delete_account_data: Endpoint[Global, NoBody, None] = Endpoint(
    operation_id="msc3391.deleteAccountData",
    method="DELETE",
    paths=draft(GLOBAL, DELETION),
    limit=Limit.SETTINGS,
    params=Global,
)

set_account_data_per_room: Endpoint[OfRoom, Json, None] = Endpoint(
    operation_id="setAccountDataPerRoom",
    method="PUT",
    paths=client(OF_ROOM),
    limit=Limit.SETTINGS,
    params=OfRoom,
    body=Json,
)

get_account_data_per_room: Endpoint[OfRoom, NoBody, Json] = Endpoint(
    operation_id="getAccountDataPerRoom",
    method="GET",
    paths=client(OF_ROOM),
    params=OfRoom,
    response=Json,
)

delete_account_data_per_room: Endpoint[OfRoom, NoBody, None] = Endpoint(
    operation_id="msc3391.deleteAccountDataPerRoom",
    method="DELETE",
    paths=draft(OF_ROOM, DELETION),
    limit=Limit.SETTINGS,
    params=OfRoom,
)

get_room_tags: Endpoint[Room, NoBody, Tags] = Endpoint(
    operation_id="getRoomTags",
    method="GET",
    paths=client(TAGS),
    params=Room,
    response=Tags,
)

set_room_tag: Endpoint[Tag, Json, None] = Endpoint(
    operation_id="setRoomTag",
    method="PUT",
    paths=client(TAGS + "/{tag}"),
    limit=Limit.SETTINGS,
    params=Tag,
    body=Json,
)

delete_room_tag: Endpoint[Tag, NoBody, None] = Endpoint(
    operation_id="deleteRoomTag",
    method="DELETE",
    paths=client(TAGS + "/{tag}"),
    limit=Limit.SETTINGS,
    params=Tag,
)
