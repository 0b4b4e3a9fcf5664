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
from palpo.streams.task_group import together

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
    _looks: dict[RoomId, Look | None] = field(default_factory=dict)
    """What was answered about those that were asked for."""
    _until_s: float = field(default_factory=lambda: asyncio.get_running_loop().time() + MAX_S)

    async def learn(self, children: Sequence[Event], most: int) -> None:
        """Note whom to ask about the children of a space; look at up to ``most`` of them at the same time."""
        for child in children:
            self._via.setdefault(child.state_key or "", child.content.get("via") or ())
        named = list(dict.fromkeys(RoomId(child.state_key or "") for child in children))[:most]
        absent = [room_id for room_id in named if await self._is_wanted(room_id)]
        if len(absent) > 1:
            await together(self._look(room_id) for room_id in absent)

    async def is_here(self, room_id: RoomId) -> bool:
        """Whether what is stored of a room is what it is now."""
        return self._remote is None or await self._remote.is_here(room_id)

    async def room(self, room_id: RoomId, servers: Sequence[str] = ()) -> SpaceRoom | None:
        """A room as others show it; None where none of them does, or no time is left."""
        if self._is_shown(room_id):
            return SpaceRoom(overview=self._known[room_id], children=(), places=())
        if room_id in self._hidden:
            return None
        if room_id not in self._looks:
            await self._look(room_id, servers)
        look = self._looks.get(room_id)
        return None if look is None else look.room

    async def _is_wanted(self, room_id: RoomId) -> bool:
        """Whether others have to be asked about a room."""
        if self._remote is None or self._is_shown(room_id) or room_id in self._looks:
            return False
        return not await self.is_here(room_id)

    def _is_shown(self, room_id: RoomId) -> bool:
        """Whether all that there is to a room was told with another."""
        return room_id in self._known and self._known[room_id].room_type != SPACE

    async def _look(self, room_id: RoomId, servers: Sequence[str] = ()) -> None:
        if self._remote is None or room_id in self._hidden or len(self._looks) >= MAX_ASKED:
            return
        self._looks[room_id] = None
        asked = servers or self._via.get(room_id, ())
        try:
            async with asyncio.timeout_at(self._until_s):
                look = await self._remote.look(room_id, asked, suggested_only=self._suggested_only)
        except TimeoutError:
            return
        if look is not None:
            self._looks[room_id] = look
            self._known |= look.known
            self._hidden |= look.hidden
