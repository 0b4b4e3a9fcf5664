"""Rooms that users here cannot join, nor be invited to: by an administrator, or while one is deleted."""

from __future__ import annotations

from palpo.core.errors import Forbidden
from palpo.db.engine import Database
from palpo.storage import blocked_rooms as storage
from palpo.storage.blocked_rooms import BlockedRoom
from palpo.streams import topics
from palpo.streams.caches import Cache, CacheBudget
from palpo.streams.clock import Clock
from palpo.streams.wakeups import Wakeups

DELETION = ""
"""Instead of who has blocked a room: that is being deleted, and is blocked until nothing of it is left."""


class BlockedRooms:
    """Knows, of the rooms that were asked about last, whether they are blocked."""

    def __init__(self, db: Database, clock: Clock, wakeups: Wakeups, caches: CacheBudget) -> None:
        self._db = db
        self._clock = clock
        self._known: Cache[str, bool] = caches.cache("blocked_rooms")
        wakeups.listen(topics.BLOCKED_ROOMS, self._known.forget)

    async def find(self, room_id: str) -> BlockedRoom | None:
        """Who has blocked a room, and when; None where it is not blocked."""
        return await self._db.read(lambda tx: storage.get(tx, room_id))

    async def check(self, room_id: str) -> None:
        """Raises Forbidden for a room that is blocked; in memory for rooms that are asked about often."""
        blocked = self._known.touch(room_id)
        if blocked is None:
            with self._known.reading() as reading:
                blocked = await self.find(room_id) is not None
                reading.keep({room_id: blocked})
        if blocked:
            raise Forbidden("This room has been blocked on this server")

    async def block(self, room_id: str, by: str) -> None:
        """Let nobody of this server join a room, which need not be here."""
        blocked = BlockedRoom(room_id=room_id, user_id=by, blocked_ts=self._clock.now_ms())
        await self._db.write(lambda tx: storage.put(tx, blocked))

    async def unblock(self, room_id: str) -> None:
        """Let users join it again, if they could not."""
        await self._db.write(lambda tx: storage.remove(tx, room_id))
