"""Summaries of rooms and of spaces (spec: client-server API, "Room summary", "Spaces")."""

from __future__ import annotations

import msgspec

from palpo.core.identifiers import RoomAlias, RoomId
from palpo.wire.client.room_overviews import RoomSummary, SpaceRoom
from palpo.wire.endpoint import Auth, Endpoint, NoBody, Params, Response, RoomParams, client, draft


class SummaryParams(Params, frozen=True):
    """A room, and servers that may know it."""

    room_id_or_alias: RoomId | RoomAlias
    via: tuple[str, ...] = ()


class HierarchyParams(RoomParams, frozen=True):
    """A space, and how much of it is wanted."""

    suggested_only: bool | None = None
    limit: int | None = None
    max_depth: int | None = None
    from_: str | None = msgspec.field(name="from", default=None)


class Hierarchy(Response, frozen=True):
    """One page of a space's rooms."""

    rooms: list[SpaceRoom]
    next_batch: str | None = None


get_room_summary: Endpoint[SummaryParams, NoBody, RoomSummary] = Endpoint(
    operation_id="getRoomSummary",
    method="GET",
    paths=(
        *client("/room_summary/{room_id_or_alias}", "v1"),
        *draft("/summary/{room_id_or_alias}", "im.nheko.summary"),
        *draft("/rooms/{room_id_or_alias}/summary", "im.nheko.summary"),
    ),
    auth=Auth.OPTIONAL,
    params=SummaryParams,
    response=RoomSummary,
)

get_space_hierarchy: Endpoint[HierarchyParams, NoBody, Hierarchy] = Endpoint(
    operation_id="getSpaceHierarchy",
    method="GET",
    paths=client("/rooms/{room_id}/hierarchy", "v1", unstable=("org.matrix.msc2946",)),
    params=HierarchyParams,
    response=Hierarchy,
)
