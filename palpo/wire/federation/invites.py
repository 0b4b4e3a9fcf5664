"""Invites of users of one server to rooms of another (spec: server-server API, "Inviting to a room")."""

from __future__ import annotations

from typing import Any

from palpo.wire.endpoint import Auth, Body, Endpoint, EventParams, Json, Limit, Response, federation


class Invite(Body, frozen=True):
    """An invite, and what its user may know of the room: events as servers exchange them (MSC4311)."""

    room_version: str
    event: dict[str, Any]
    invite_room_state: list[Any] | None = None


class SignedInvite(Response, frozen=True):
    """The same event, with the invited user's server's signature."""

    event: dict[str, Any]


send_invite: Endpoint[EventParams, Invite, SignedInvite] = Endpoint(
    operation_id="sendInviteV2",
    method="PUT",
    paths=federation("/invite/{room_id}/{event_id}", "v2"),
    auth=Auth.SERVER,
    limit=Limit.FEDERATION,
    params=EventParams,
    body=Invite,
    response=SignedInvite,
    api="server-server",
)

send_invite_v1: Endpoint[EventParams, Json, list[Any]] = Endpoint(
    operation_id="sendInviteV1",
    method="PUT",
    paths=federation("/invite/{room_id}/{event_id}"),
    auth=Auth.SERVER,
    limit=Limit.FEDERATION,
    params=EventParams,
    body=Json,
    response=list[Any],
    api="server-server",
)
"""The body is the event, with the room's state in ``unsigned``; the answer is ``[200, …]``."""
