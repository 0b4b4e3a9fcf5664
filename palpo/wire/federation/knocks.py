"""Knocks by users of other servers (spec: server-server API, "Knocking upon a room")."""

from __future__ import annotations

from msgspec import Raw

from palpo.wire.endpoint import Auth, Endpoint, EventParams, Json, Limit, NoBody, Response, federation
from palpo.wire.federation.memberships import MakeParams, Template


class MakeKnockParams(MakeParams, frozen=True):
    """Who wants to knock, and the versions of rooms that their server knows."""

    ver: list[str]


class KnockRoomState(Response, frozen=True):
    """What who has knocked is shown of the room: events as servers exchange them (MSC4311)."""

    knock_room_state: list[Raw]


make_knock: Endpoint[MakeKnockParams, NoBody, Template] = Endpoint(
    operation_id="makeKnock",
    method="GET",
    paths=federation("/make_knock/{room_id}/{user_id}"),
    auth=Auth.SERVER,
    limit=Limit.FEDERATION,
    params=MakeKnockParams,
    response=Template,
    api="server-server",
)

send_knock: Endpoint[EventParams, Json, KnockRoomState] = Endpoint(
    operation_id="sendKnock",
    method="PUT",
    paths=federation("/send_knock/{room_id}/{event_id}"),
    auth=Auth.SERVER,
    limit=Limit.FEDERATION,
    params=EventParams,
    body=Json,
    response=KnockRoomState,
    api="server-server",
)
