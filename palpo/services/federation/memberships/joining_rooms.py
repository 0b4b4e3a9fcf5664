"""Rooms that users of this server are joining at this moment, and what others send of them meanwhile.

A server that has been told of a join sends what happens next, while the state before it is still on its way.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Awaitable, Callable, Sequence
from typing import Any

from palpo.core.identifiers import RoomId, ServerName

MAX_HELD = 1000
"""Events, in all rooms: of what is over that is heard by what refers to it."""

Take = Callable[[ServerName, Sequence[Any]], Awaitable[object]]
"""``async def take(origin, pdus)``: takes events in."""


class JoiningRooms:
    """Holds such events until the room is here."""

    def __init__(self) -> None:
        self._joins: Counter[RoomId] = Counter()
        self._held: dict[RoomId, dict[ServerName, list[Any]]] = {}
        self._count = 0
        self._take: Take | None = None

    def deliver_to(self, take: Take) -> None:
        """Who takes the events of a room in once it is here."""
        self._take = take

    async def take(self, origin: ServerName, pdus: Sequence[Any]) -> None:
        """Have events of rooms that are here taken in."""
        if self._take is not None:
            await self._take(origin, pdus)

    def begin(self, room_id: RoomId) -> None:
        """A room is being joined, by one more."""
        self._joins[room_id] += 1
        self._held.setdefault(room_id, {})

    def hold(self, origin: ServerName, room_id: RoomId, pdus: Sequence[Any]) -> bool:
        """Hold events, if the room is being joined; False where they are not held."""
        if room_id not in self._held or self._count + len(pdus) > MAX_HELD:
            return False
        self._held[room_id].setdefault(origin, []).extend(pdus)
        self._count += len(pdus)
        return True

    async def end(self, room_id: RoomId) -> None:
        """The room is here, or is not by this join: have taken in what was held of it."""
        held = self._held.pop(room_id)
        self._joins[room_id] -= 1
        if self._joins[room_id]:
            self._held[room_id] = {}
        else:
            del self._joins[room_id]
        self._count -= sum(map(len, held.values()))
        for origin, pdus in held.items():
            await self.take(origin, pdus)
