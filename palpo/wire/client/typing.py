"""Typing notifications (spec: client-server API, "Typing Notifications")."""

from __future__ import annotations

from palpo.core.identifiers import UserId
from palpo.wire.endpoint import Body, Endpoint, Limit, RoomParams, client


class TypingParams(RoomParams, frozen=True):
    """A user in a room, in the path."""

    user_id: UserId


class SetTyping(Body, frozen=True):
    """Whether the user is typing; ``timeout`` is in milliseconds."""

    typing: bool
    timeout: int | None = None


set_typing: Endpoint[TypingParams, SetTyping, None] = Endpoint(
    operation_id="setTyping",
    method="PUT",
    paths=client("/rooms/{room_id}/typing/{user_id}"),
    limit=Limit.EPHEMERAL,
    params=TypingParams,
    body=SetTyping,
)
