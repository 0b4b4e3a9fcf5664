"""Has what is too old be deleted, of each room in turn."""

from __future__ import annotations

import structlog

from palpo.db.leases import Lease
from palpo.services.administration.retention_sweep import RetentionSweep
from palpo.workers.periods import now_and_then

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
        await now_and_then(
            self._look, failed="retention_failed", start_s=self._start_s, period_s=self._period_s
        )

    async def _look(self) -> None:
        log.info("retention", rooms=len(await self._sweep.begin(by="")))
