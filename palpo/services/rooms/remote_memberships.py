"""What membership needs from federation."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from typing import Any, Protocol

from palpo.core.identifiers import RoomId, UserId
from palpo.core.records.events import StoredEvent
from palpo.services.history.drafts import Draft


class RemoteMemberships(Protocol):
    """Changes of membership that need another server: its room, or its user."""

    async def are_in(self, room_id: RoomId, /) -> bool:
        """Whether there are users of other servers in a room, as far as is known here."""
        ...

    async def join(
        self, user_id: UserId, room_id: RoomId, content: dict[str, Any], via: Sequence[str], /
    ) -> bool:
        """Join a room through one of the servers ``via``, or others that are known to be in it.

        ``content`` is what the event says besides. False, and nothing was done, where another user of this
        server has joined the room meanwhile. Raises MatrixError.
        """
        ...

    async def join_partial(self, user_id: UserId, room_id: RoomId, content: dict[str, Any], /) -> bool:
        """Join a room that is here and of which members are missing (MSC3902): that a user is banned may not
        be known.

        Whether the user is in it now; False where the room is whole by now, and nothing was done. Raises
        MatrixError: what a server in it says, LimitExceeded where nobody can be asked for long.
        """
        ...

    async def knock(
        self, user_id: UserId, room_id: RoomId, content: dict[str, Any], via: Sequence[str], /
    ) -> None:
        """Knock on a room that no local user is in; raises MatrixError."""
        ...

    async def leave(self, user_id: UserId, room_id: RoomId, content: dict[str, Any], /) -> bool:
        """Reject the invite to, or take back the knock on, a room that no local user is in.

        False, and nothing was done, where there is neither. No server has to be there for it.
        """
        ...

    def leave_all(self, user_id: UserId, room_ids: Iterable[RoomId], /) -> None:
        """Have that done for several rooms, without waiting for it."""
        ...

    async def invite(self, room_id: RoomId, draft: Draft, /) -> StoredEvent:
        """Have the invited user's server sign the invite, and write it; raises MatrixError."""
        ...

    async def exchange(
        self, room_id: RoomId, sender: UserId, user_id: UserId, signed: dict[str, Any], /
    ) -> None:
        """Have a pending invite by address, of another server's user, be turned into one of ``user_id``.

        ``signed`` is what the identity server has signed. Raises MatrixError.
        """
        ...
