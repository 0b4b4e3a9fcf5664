"""Rooms that are not here, seen through servers that are in them."""

from __future__ import annotations

import asyncio
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Protocol

from palpo.core.events import Event
from palpo.core.identifiers import RoomId
from palpo.services.rooms.room_overviews import Overview
from palpo.services.rooms.space_rooms import SPACE, SpaceRoom

MAX_S = 20.0
"""For all that one request has others asked."""
MAX_ASKED = 50
"""Rooms, likewise."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Look:
    """A room, and what is said of its children by whoever is in it."""

    room: SpaceRoom
    known: Mapping[RoomId, Overview]
    """Those that it knows, and may tell of."""
    hidden: frozenset[str]
    """Those that whoever asked cannot get into."""


class RemoteRooms(Protocol):
    """What other servers show of rooms."""

    async def is_here(self, room_id: RoomId, /) -> bool:
        """Whether a user of ours is in a room, so that it is known here."""
        ...

    async def look(
        self, room_id: RoomId, servers: Sequence[str], /, *, suggested_only: bool = False
    ) -> Look | None:
        """A room as one of the servers shows it; None where none does."""
        ...


@dataclass(slots=True)
class Elsewhere:
    """What one request learns of rooms that are not here: within a time, and of so many rooms."""

    _remote: RemoteRooms | None
    _suggested_only: bool = False
    _via: dict[str, Sequence[str]] = field(default_factory=dict)
    _known: dict[RoomId, Overview] = field(default_factory=dict)
    _hidden: set[str] = field(default_factory=set)
    _asked: int = 0
    _until_s: float = field(default_factory=lambda: asyncio.get_running_loop().time() + MAX_S)

    def learn(self, children: Sequence[Event]) -> None:
        """Note whom to ask about the children of a space that was looked at."""
        for child in children:
            self._via.setdefault(child.state_key or "", child.content.get("via") or ())

    async def is_here(self, room_id: RoomId) -> bool:
        """Whether what is stored of a room is what it is now."""
        return self._remote is None or await self._remote.is_here(room_id)

    async def room(self, room_id: RoomId, servers: Sequence[str] = ()) -> SpaceRoom | None:
        """A room as others show it; None where none of them does, or no time is left."""
        known = self._known.get(room_id)
        if known is not None and known.room_type != SPACE:
            return SpaceRoom(overview=known, children=(), places=())
        if self._remote is None or room_id in self._hidden or self._asked >= MAX_ASKED:
            return None
        self._asked += 1
        asked = servers or self._via.get(room_id, ())
        try:
            async with asyncio.timeout_at(self._until_s):
                look = await self._remote.look(room_id, asked, suggested_only=self._suggested_only)
        except TimeoutError:
            return None
        if look is None:
            return None
        self._known |= look.known
        self._hidden |= look.hidden
        return look.room
