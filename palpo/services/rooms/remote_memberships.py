"""What membership needs from federation."""

from __future__ import annotations

from typing import Any, Protocol

from palpo.core.identifiers import RoomId, UserId
from palpo.core.records.events import StoredEvent
from palpo.services.history.drafts import Draft


class RemoteMemberships(Protocol):
    """Changes of membership that need another server: its room, or its user."""

    async def join(
        self, user_id: UserId, room_id: RoomId, content: dict[str, Any], via: tuple[str, ...], /
    ) -> None:
        """Join a room that no local user is in, through one of the servers ``via``."""
        ...

    async def knock(
        self, user_id: UserId, room_id: RoomId, content: dict[str, Any], via: tuple[str, ...], /
    ) -> None:
        """Knock on a room that no local user is in."""
        ...

    async def leave(self, user_id: UserId, room_id: RoomId, content: dict[str, Any], /) -> None:
        """Leave, or reject the invite to, a room that no local user is in."""
        ...

    async def invite(self, room_id: RoomId, draft: Draft, /) -> StoredEvent:
        """Have the invited user's server sign the invite, and write it."""
        ...
