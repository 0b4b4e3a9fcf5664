"""What servers ask each other of users and aliases (spec: server-server API, "Querying for information")."""

from __future__ import annotations

from palpo.core.identifiers import RoomAlias, RoomId, UserId
from palpo.wire.endpoint import Auth, Endpoint, Json, Limit, NoBody, Params, Response, federation
from palpo.wire.identifiers import Checked


class ProfileQuery(Params, frozen=True):
    """A user, and which field of their profile; None for all."""

    user_id: UserId
    field: str | None = None


class DirectoryQuery(Params, frozen=True):
    """An alias of the server that is asked."""

    room_alias: RoomAlias


class OtherQuery(Params, frozen=True):
    """What is asked about, which is not one of those that the spec has."""

    query_type: str


class RoomOfAlias(Response, Checked, frozen=True):
    """What an alias stands for."""

    room_id: RoomId
    servers: list[str]
    """Some that are in the room."""


query_profile: Endpoint[ProfileQuery, NoBody, Json] = Endpoint(
    operation_id="queryProfile",
    method="GET",
    paths=federation("/query/profile"),
    auth=Auth.SERVER,
    limit=Limit.FEDERATION,
    params=ProfileQuery,
    response=Json,
    api="server-server",
)

query_room_directory: Endpoint[DirectoryQuery, NoBody, RoomOfAlias] = Endpoint(
    operation_id="queryRoomDirectory",
    method="GET",
    paths=federation("/query/directory"),
    auth=Auth.SERVER,
    limit=Limit.FEDERATION,
    params=DirectoryQuery,
    response=RoomOfAlias,
    api="server-server",
)

query_info: Endpoint[OtherQuery, NoBody, Json] = Endpoint(
    operation_id="queryInfo",
    method="GET",
    paths=federation("/query/{query_type}"),
    auth=Auth.SERVER,
    limit=Limit.FEDERATION,
    params=OtherQuery,
    response=Json,
    api="server-server",
)
