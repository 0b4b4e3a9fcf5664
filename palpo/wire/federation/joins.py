"""Joins by users of other servers (spec: server-server API, "Joining Rooms")."""

from __future__ import annotations

from typing import Any

import msgspec
from msgspec import Raw

from palpo.wire.endpoint import Auth, Endpoint, EventParams, Json, Limit, NoBody, Response, federation
from palpo.wire.federation.memberships import MakeParams, Template


class MakeJoinParams(MakeParams, frozen=True):
    """Who wants to join, and the versions of rooms that their server knows."""

    ver: list[str] = msgspec.field(default_factory=lambda: ["1"])


class SendJoinParams(EventParams, frozen=True):
    """The join, and whether most of the members may be left out of the answer."""

    omit_members: bool = False


class RoomBeforeJoin(Response, frozen=True):
    """The room as it was before the join: events as servers exchange them."""

    origin: str
    """The server that answers."""
    event: Raw
    """The join, with that server's signature."""
    state: list[Raw]
    auth_chain: list[Raw]
    members_omitted: bool = False
    servers_in_room: list[str] | None = None


make_join: Endpoint[MakeJoinParams, NoBody, Template] = Endpoint(
    operation_id="makeJoin",
    method="GET",
    paths=federation("/make_join/{room_id}/{user_id}"),
    auth=Auth.SERVER,
    limit=Limit.FEDERATION,
    params=MakeJoinParams,
    response=Template,
    api="server-server",
)

send_join: Endpoint[SendJoinParams, Json, RoomBeforeJoin] = Endpoint(
    operation_id="sendJoinV2",
    method="PUT",
    paths=federation("/send_join/{room_id}/{event_id}", "v2"),
    auth=Auth.SERVER,
    limit=Limit.FEDERATION,
    params=SendJoinParams,
    body=Json,
    response=RoomBeforeJoin,
    api="server-server",
    large_answer=True,
)

send_join_v1: Endpoint[EventParams, Json, list[Any]] = Endpoint(
    operation_id="palpo.sendJoinV1",
    method="PUT",
    paths=federation("/send_join/{room_id}/{event_id}"),
    auth=Auth.SERVER,
    limit=Limit.FEDERATION,
    params=EventParams,
    body=Json,
    response=list[Any],
    api="server-server",
    deprecated=True,
    large_answer=True,
)
"""The spec has dropped it: the answer is ``[200, …]``."""
