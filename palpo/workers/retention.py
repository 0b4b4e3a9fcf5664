"""Has what is too old be deleted, of each room in turn."""

from __future__ import annotations

import asyncio
from functools import partial

import structlog

from palpo.core.errors import Conflict
from palpo.db.engine import Database
from palpo.db.errors import DatabaseError
from palpo.db.leases import Lease
from palpo.services.administration.history_purge import HistoryPurge, Point
from palpo.services.history.retention import Retention
from palpo.services.history.room_heads import RoomHead, RoomHeads
from palpo.storage import rooms

log = structlog.get_logger("palpo.retention")

START_S = 600.0
BATCH = 500
END = (2**62, 0)
"""After everything in a timeline."""


class RetentionWorker:
    """Looks through all rooms, once in a while; one process is enough."""

    def __init__(
        self,
        db: Database,
        heads: RoomHeads,
        retention: Retention,
        purge: HistoryPurge,
        *,
        period_s: float,
        start_s: float = START_S,
    ) -> None:
        self._db = db
        self._heads = heads
        self._retention = retention
        self._purge = purge
        self._period_s = period_s
        self._start_s = start_s

    async def run(self, _lease: Lease) -> None:
        """Go on until cancelled."""
        pause_s = self._start_s
        while True:
            await asyncio.sleep(pause_s)
            try:
                log.info("retention", rooms=await self.sweep())
            except (DatabaseError, OSError) as error:
                log.warning("retention_failed", error=str(error))
            pause_s = self._period_s

    async def sweep(self) -> int:
        """Begin a purge of each room that has something too old; how many."""
        begun, after = 0, ""
        while found := await self._db.read(partial(rooms.roots_after, room_id=after, limit=BATCH)):
            for room_id in found:
                head = await self._heads.known(room_id)
                if head.row.extremities and await self._begin(head):
                    begun += 1
            after = max(found)
        return begun

    async def _begin(self, head: RoomHead) -> bool:
        cutoff = await self._retention.cutoff(head)
        if cutoff is None or head.row.is_partial or not await self._purge.has_older(head.row, cutoff):
            return False
        point = Point(before=END, older_than=cutoff, local_too=True)
        try:
            await self._purge.start(head.room_id, point, by="")
        except Conflict:
            return False
        return True
