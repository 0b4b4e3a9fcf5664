"""Which rooms have something that is too old, and purges of them."""

from __future__ import annotations

from collections.abc import AsyncIterator
from dataclasses import dataclass
from functools import partial

from palpo.core.errors import Conflict, InvalidParam
from palpo.core.identifiers import RoomId
from palpo.core.records.jobs import Job
from palpo.db.engine import Database
from palpo.services.administration.history_purge import HistoryPurge, Point
from palpo.services.history.retention import Retention
from palpo.services.history.room_heads import RoomHead, RoomHeads
from palpo.storage import rooms

BATCH = 500
END = (2**62, 0)
"""After everything in a timeline."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Kept:
    """How long a room's messages are kept."""

    room_id: RoomId
    before_ts: int
    """What was sent before this goes (ms since the Unix epoch)."""
    has_older: bool


class RetentionSweep:
    """Looks through all rooms."""

    def __init__(self, db: Database, heads: RoomHeads, retention: Retention, purge: HistoryPurge) -> None:
        self._db = db
        self._heads = heads
        self._retention = retention
        self._purge = purge

    async def rooms(self) -> AsyncIterator[Kept]:
        """Those whose messages are not kept for ever; raises InvalidParam where all are."""
        if not self._retention.enabled:
            raise InvalidParam("Nothing is deleted by its age: retention.enabled is false")
        async for head in self._all():
            cutoff = await self._retention.cutoff(head)
            if cutoff is not None:
                older = await self._purge.has_older(head.row, cutoff)
                yield Kept(room_id=head.room_id, before_ts=cutoff, has_older=older)

    async def begin(self, *, by: str) -> list[Job]:
        """Begin a purge of each room that has something too old, unless one is under way."""
        begun: list[Job] = []
        async for kept in self.rooms():
            point = Point(before=END, older_than=kept.before_ts, local_too=True)
            if kept.has_older:
                try:
                    begun.append(await self._purge.start(kept.room_id, point, by=by))
                except Conflict:
                    continue
        return begun

    async def _all(self) -> AsyncIterator[RoomHead]:
        after = ""
        while found := await self._db.read(partial(rooms.roots_after, room_id=after, limit=BATCH)):
            for room_id in found:
                head = await self._heads.known(room_id)
                if head.row.extremities and not head.row.is_partial:
                    yield head
            after = max(found)
