"""Room state and members (spec: client-server API, "Getting events for a room")."""

from __future__ import annotations

from typing import Literal

import msgspec

from palpo.core.membership import Membership
from palpo.wire.client.sending import Sent
from palpo.wire.endpoint import Auth, Endpoint, Json, Limit, NoBody, Response, RoomParams, client


class StateParams(RoomParams, frozen=True):
    """One piece of a room's state."""

    event_type: str
    state_key: str = ""
    format: Literal["content", "event"] | None = None


class SetStateParams(RoomParams, frozen=True):
    """Which piece of a room's state is set."""

    event_type: str
    state_key: str = ""
    ts: int | None = None
    """The event's time, milliseconds since the Unix epoch; heeded from application services."""
    delay: int | None = msgspec.field(name="org.matrix.msc4140.delay", default=None)
    """Milliseconds after which it is set (MSC4140)."""


class MembersParams(RoomParams, frozen=True):
    """Whose membership events are wanted."""

    at: str | None = None
    membership: Membership | None = None
    not_membership: Membership | None = None


class Members(Response, frozen=True):
    """Membership events."""

    chunk: list[msgspec.Raw]


class JoinedMember(Response, frozen=True):
    """What somebody in a room is called there; null where they have set nothing."""

    display_name: str | None
    avatar_url: str | None


class JoinedMembers(Response, frozen=True):
    """Who is in a room, by user ID."""

    joined: dict[str, JoinedMember]


STATE = client("/rooms/{room_id}/state/{event_type}/{state_key}") + client(
    "/rooms/{room_id}/state/{event_type}"
)

get_room_state: Endpoint[RoomParams, NoBody, list[msgspec.Raw]] = Endpoint(
    operation_id="getRoomState",
    method="GET",
    paths=client("/rooms/{room_id}/state"),
    auth=Auth.GUEST,
    params=RoomParams,
    response=list[msgspec.Raw],
    large_answer=True,
)

get_room_state_with_key: Endpoint[StateParams, NoBody, Json] = Endpoint(
    operation_id="getRoomStateWithKey",
    method="GET",
    paths=STATE,
    auth=Auth.GUEST,
    params=StateParams,
    response=Json,
)

set_room_state_with_key: Endpoint[SetStateParams, Json, Sent] = Endpoint(
    operation_id="setRoomStateWithKey",
    method="PUT",
    paths=STATE,
    auth=Auth.GUEST,
    while_suspended=False,
    limit=Limit.MESSAGE,
    params=SetStateParams,
    body=Json,
    response=Sent,
)

get_members_by_room: Endpoint[MembersParams, NoBody, Members] = Endpoint(
    operation_id="getMembersByRoom",
    method="GET",
    paths=client("/rooms/{room_id}/members"),
    auth=Auth.GUEST,
    params=MembersParams,
    response=Members,
    large_answer=True,
)

get_joined_members_by_room: Endpoint[RoomParams, NoBody, JoinedMembers] = Endpoint(
    operation_id="getJoinedMembersByRoom",
    method="GET",
    paths=client("/rooms/{room_id}/joined_members"),
    params=RoomParams,
    response=JoinedMembers,
    large_answer=True,
)
