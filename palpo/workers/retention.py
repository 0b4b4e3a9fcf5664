"""Has what is too old be deleted, of each room in turn."""

from __future__ import annotations

import asyncio

import structlog

from palpo.db.errors import DatabaseError
from palpo.db.leases import Lease
from palpo.services.administration.retention_sweep import RetentionSweep

log = structlog.get_logger("palpo.retention")

START_S = 600.0


class RetentionWorker:
    """Looks through all rooms, once in a while; one process is enough."""

    def __init__(self, sweep: RetentionSweep, *, period_s: float, start_s: float = START_S) -> None:
        self._sweep = sweep
        self._period_s = period_s
        self._start_s = start_s

    async def run(self, _lease: Lease) -> None:
        """Go on until cancelled."""
        pause_s = self._start_s
        while True:
            await asyncio.sleep(pause_s)
            try:
                log.info("retention", rooms=len(await self._sweep.begin(by="")))
            except (DatabaseError, OSError) as error:
                log.warning("retention_failed", error=str(error))
            pause_s = self._period_s
