"""Rooms and their children, for servers whose users might join them (spec: server-server API, "Spaces")."""

from __future__ import annotations

from palpo.wire.client.room_overviews import RoomSummary, SpaceRoom
from palpo.wire.endpoint import Auth, Endpoint, Limit, NoBody, Response, RoomParams, federation


class SpaceParams(RoomParams, frozen=True):
    """A room, and which of its children are wanted."""

    suggested_only: bool = False


class Space(Response, frozen=True):
    """A room with its children; those whose users the asking server cannot let in are only named."""

    room: SpaceRoom
    children: list[RoomSummary]
    inaccessible_children: list[str]


get_space_hierarchy: Endpoint[SpaceParams, NoBody, Space] = Endpoint(
    operation_id="getSpaceHierarchy",
    method="GET",
    paths=federation("/hierarchy/{room_id}")
    + federation("/hierarchy/{room_id}", "unstable/org.matrix.msc2946"),
    auth=Auth.SERVER,
    limit=Limit.FEDERATION,
    params=SpaceParams,
    response=Space,
    api="server-server",
    large_answer=True,
)
