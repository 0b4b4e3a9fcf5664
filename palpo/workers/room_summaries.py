"""Keeps what lists of rooms are sorted by up to date, so that who asks for one need not wait."""

from __future__ import annotations

import asyncio

from palpo.db.leases import Lease
from palpo.services.administration.room_lists import RoomLists
from palpo.workers.periods import now_and_then

START_S = 300.0
"""How long after a start: starts are busy enough."""
PERIOD_S = 600.0
BATCH = 25
PAUSE_S = 0.2
"""Between two batches, for others."""


class RoomSummaryWorker:
    """Looks into rooms that have changed, a few at a time."""

    def __init__(self, rooms: RoomLists, *, start_s: float = START_S, period_s: float = PERIOD_S) -> None:
        self._rooms = rooms
        self._start_s = start_s
        self._period_s = period_s

    async def run(self, _lease: Lease) -> None:
        """Go on until cancelled; one process at a time is enough."""
        await now_and_then(
            self.sweep, failed="room_summaries_failed", start_s=self._start_s, period_s=self._period_s
        )

    async def sweep(self) -> int:
        """Look into all that have changed; how many."""
        total = count = await self._rooms.refresh(BATCH)
        while count >= BATCH:
            await asyncio.sleep(PAUSE_S)
            count = await self._rooms.refresh(BATCH)
            total += count
        return total
