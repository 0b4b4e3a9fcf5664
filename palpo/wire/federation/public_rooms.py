"""The published room directory, as servers ask each other for it (spec: server-server API, "Published room
directory")."""

from __future__ import annotations

from palpo.wire.client.room_directory import PublishedRooms, Query
from palpo.wire.endpoint import Auth, Endpoint, Limit, NoBody, NoParams, Params, federation


class PublicRoomsParams(Params, frozen=True):
    """Which page of which list is wanted."""

    limit: int | None = None
    since: str | None = None
    include_all_networks: bool | None = None
    third_party_instance_id: str | None = None


get_public_rooms: Endpoint[PublicRoomsParams, NoBody, PublishedRooms] = Endpoint(
    operation_id="getPublicRooms",
    method="GET",
    paths=federation("/publicRooms"),
    auth=Auth.SERVER,
    limit=Limit.FEDERATION,
    params=PublicRoomsParams,
    response=PublishedRooms,
    api="server-server",
)

query_public_rooms: Endpoint[NoParams, Query, PublishedRooms] = Endpoint(
    operation_id="queryPublicRooms",
    method="POST",
    paths=federation("/publicRooms"),
    auth=Auth.SERVER,
    limit=Limit.FEDERATION,
    body=Query,
    response=PublishedRooms,
    api="server-server",
)
