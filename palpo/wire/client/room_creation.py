"""Making rooms (spec: client-server API, "Creation")."""

from __future__ import annotations

from typing import Any, Literal

from palpo.wire.endpoint import Body, Endpoint, Limit, NoParams, Response, client


class StateEvent(Body, frozen=True):
    """A state event to set in the new room."""

    type: str
    content: dict[str, Any]
    state_key: str = ""


class ThirdPartyInvite(Body, frozen=True):
    """Somebody to invite by address, and the identity server to ask about it."""

    id_server: str
    id_access_token: str
    medium: str
    address: str


class CreateRoom(Body, frozen=True):
    """What the new room should be."""

    visibility: Literal["public", "private"] | None = None
    room_alias_name: str | None = None
    name: str | None = None
    topic: str | None = None
    invite: list[str] | None = None
    invite_3pid: list[ThirdPartyInvite] | None = None
    room_version: str | None = None
    creation_content: dict[str, Any] | None = None
    initial_state: list[StateEvent] | None = None
    preset: Literal["private_chat", "public_chat", "trusted_private_chat"] | None = None
    is_direct: bool | None = None
    power_level_content_override: dict[str, Any] | None = None


class RoomCreated(Response, frozen=True):
    """The new room."""

    room_id: str


create_room: Endpoint[NoParams, CreateRoom, RoomCreated] = Endpoint(
    operation_id="createRoom",
    method="POST",
    paths=client("/createRoom"),
    while_suspended=False,
    limit=Limit.ROOM_CREATION,
    body=CreateRoom,
    response=RoomCreated,
)
