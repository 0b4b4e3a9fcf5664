"""What of rooms' histories is not here, and other servers have."""

from __future__ import annotations

from collections.abc import Collection
from typing import Protocol

from palpo.core.identifiers import RoomId
from palpo.services.history.tokens import Order


class RemoteHistory(Protocol):
    """Fetches what is missing before what is here."""

    async def gap(
        self, room_id: RoomId, /, at: Order, upto: int, *, backwards: bool, passed: Collection[str] = ()
    ) -> tuple[str, int] | None:
        """What is missing next, from ``at`` on, in front of events at places up to ``upto``.

        Its event ID, and the place of the event that follows it: of several, the last one backwards, the
        first one forwards. None where nothing is missing, or nothing but what is ``passed`` or was asked for
        in vain lately.
        """
        ...

    async def fill(self, room_id: RoomId, event_id: str, /) -> bool:
        """Fetch an event that is missing and what is before it; whether that has come within seconds."""
        ...


class RemoteTimes(Protocol):
    """Knows what was when (MSC3030)."""

    async def near(self, room_id: RoomId, /, ts: int, *, backwards: bool, limit_ts: int | None) -> str | None:
        """The event, fetched, that others know nearest to a time (ms since the Unix epoch) in one direction.

        None where nothing is missing here, or others know none that is nearer than ``limit_ts``.
        """
        ...


class RemoteRelationships(Protocol):
    """Knows what events relate to (MSC2836)."""

    async def related(self, room_id: RoomId, event_id: str, /) -> bool:
        """Fetch an event that one here relates to, with what others know around it; whether it is here."""
        ...
