"""The newest events of each room, in memory: what almost every sync asks for.

A room's ring is valid as long as the room's head is where it was when the ring was made; this process's
own writes move both. Where the ring does not reach, the database answers.
"""

from __future__ import annotations

from bisect import bisect_right
from collections import deque
from collections.abc import Sequence
from dataclasses import dataclass

from palpo.core.records.events import StoredEvent
from palpo.db.engine import Database
from palpo.services.history.room_heads import RoomHeads
from palpo.storage import events as storage
from palpo.storage.events import NOWHERE
from palpo.streams import topics
from palpo.streams.caches import Cache, CacheBudget
from palpo.streams.wakeups import Wakeups

LENGTH = 100
"""Events of a room that are kept."""


@dataclass(slots=True)
class _Ring:
    positions: deque[int]
    ids: deque[str]
    """Oldest first, and as many as there may be."""
    floor: int
    """Every event of the room above this position is here."""
    upto: int
    """The position of the room's head that this is true for."""

    def append(self, position: int, event_id: str) -> None:
        if len(self.positions) == self.positions.maxlen:
            self.floor = self.positions[0]
        self.positions.append(position)
        self.ids.append(event_id)

    def latest(self, after: int, upto: int, limit: int) -> list[str] | None:
        """The answer, None where it is not all here."""
        end = bisect_right(self.positions, upto)
        start = max(bisect_right(self.positions, after), end - limit)
        if after < self.floor and end - start < limit:
            return None
        ids = self.ids
        return [ids[index] for index in range(end - 1, start - 1, -1)]


class RecentEvents:
    """Answers what ``storage.events.latest_ids`` does, from memory where it can."""

    def __init__(
        self,
        db: Database,
        heads: RoomHeads,
        caches: CacheBudget,
        wakeups: Wakeups | None = None,
        *,
        length: int = LENGTH,
    ) -> None:
        self._length = length
        self._db = db
        self._heads = heads
        self._rings: Cache[str, _Ring] = caches.cache("recent_events", _ring_bytes)
        if wakeups is not None:
            wakeups.listen(topics.PURGED, self._rings.forget)

    async def latest_ids(self, room_id: str, *, after: int, upto: int, limit: int) -> list[str]:
        """The newest events of a room at positions in ``(after, upto]``, the newest first; all are news."""
        after = max(after, 0)
        found = (await self._ring(room_id)).latest(after, upto, limit)
        if found is not None:
            return found
        return await self._db.read(
            lambda tx: storage.latest_ids(tx, room_id, after=after, upto=upto, limit=limit)
        )

    async def last_id(self, room_id: str, upto: int) -> str | None:
        """The newest event of a room at or below the position ``upto``."""
        found = await self.latest_ids(room_id, after=0, upto=upto, limit=1)
        return found[0] if found else None

    async def _ring(self, room_id: str) -> _Ring:
        head = (await self._heads.get(room_id)).row.position
        ring = self._rings.touch(room_id)
        if ring is not None and ring.upto == head:
            return ring
        length = self._length
        rows = await self._db.read(lambda tx: storage.latest_positions(tx, room_id, upto=head, limit=length))
        rows.reverse()
        ring = _Ring(
            positions=deque((position for _, position in rows), length),
            ids=deque((event_id for event_id, _ in rows), length),
            floor=rows[0][1] - 1 if len(rows) == length else 0,
            upto=head,
        )
        self._rings.keep({room_id: ring})
        return ring

    def written(self, room_id: str, before: int, events: Sequence[StoredEvent], upto: int) -> None:
        """Add what this process has just written to a room whose head was at position ``before``."""
        ring = self._rings.get(room_id)
        if ring is None:
            return
        if ring.upto != before:
            self._rings.pop(room_id)
            return
        for item in events:
            if item.position == NOWHERE:
                # It may have been shown before.
                self._rings.pop(room_id)
                return
            if item.position > 0:
                ring.append(item.position, item.event_id)
        ring.upto = upto
        self._rings.keep({room_id: ring})


def _ring_bytes(room_id: str, ring: _Ring) -> int:
    """Of its deques, and of an ID and a position for each event."""
    return 1700 + 140 * len(ring.ids)
