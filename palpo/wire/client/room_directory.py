"""The published room directory (spec: client-server API, "Published room directory")."""

from __future__ import annotations

from typing import Literal

from palpo.wire.client.room_overviews import PublishedRoom
from palpo.wire.endpoint import Auth, Body, Endpoint, Limit, NoBody, Params, Response, RoomParams, client

Visibility = Literal["public", "private"]


class NetworkRoom(RoomParams, frozen=True):
    """A room in the list of an application service's network."""

    network_id: str


class PageParams(Params, frozen=True):
    """Which page of which server's directory is wanted."""

    limit: int | None = None
    since: str | None = None
    server: str | None = None


class ServerParams(Params, frozen=True):
    """Whose directory is wanted."""

    server: str | None = None


class Filter(Body, frozen=True):
    """Which rooms are wanted."""

    generic_search_term: str | None = None
    room_types: list[str | None] | None = None


class Query(Body, frozen=True):
    """Which page of which rooms is wanted."""

    limit: int | None = None
    since: str | None = None
    filter: Filter | None = None
    include_all_networks: bool | None = None
    third_party_instance_id: str | None = None


class SetVisibility(Body, frozen=True):
    """Whether the directory lists a room."""

    visibility: Visibility | None = None


class RoomVisibility(Body, frozen=True):
    """Whether a list has a room, or is to have it."""

    visibility: Visibility


class PublishedRooms(Response, frozen=True):
    """One page of a directory."""

    chunk: list[PublishedRoom]
    next_batch: str | None = None
    prev_batch: str | None = None
    total_room_count_estimate: int | None = None


get_room_visibility_on_directory: Endpoint[RoomParams, NoBody, RoomVisibility] = Endpoint(
    operation_id="getRoomVisibilityOnDirectory",
    method="GET",
    paths=client("/directory/list/room/{room_id}"),
    auth=Auth.NONE,
    params=RoomParams,
    response=RoomVisibility,
)

set_room_visibility_on_directory: Endpoint[RoomParams, SetVisibility, None] = Endpoint(
    operation_id="setRoomVisibilityOnDirectory",
    method="PUT",
    paths=client("/directory/list/room/{room_id}"),
    while_suspended=False,
    limit=Limit.SETTINGS,
    params=RoomParams,
    body=SetVisibility,
)

update_appservice_room_directory_visibility: Endpoint[NetworkRoom, RoomVisibility, None] = Endpoint(
    operation_id="updateAppserviceRoomDirectoryVisibility",
    method="PUT",
    paths=client("/directory/list/appservice/{network_id}/{room_id}"),
    auth=Auth.APPSERVICE,
    limit=Limit.SETTINGS,
    params=NetworkRoom,
    body=RoomVisibility,
)

get_public_rooms: Endpoint[PageParams, NoBody, PublishedRooms] = Endpoint(
    operation_id="getPublicRooms",
    method="GET",
    paths=client("/publicRooms"),
    auth=Auth.NONE,
    limit=Limit.SEARCH,
    params=PageParams,
    response=PublishedRooms,
)

query_public_rooms: Endpoint[ServerParams, Query, PublishedRooms] = Endpoint(
    operation_id="queryPublicRooms",
    method="POST",
    paths=client("/publicRooms"),
    limit=Limit.SEARCH,
    params=ServerParams,
    body=Query,
    response=PublishedRooms,
)
