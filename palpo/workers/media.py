"""Removes media that nothing refers to, once a day."""

from __future__ import annotations

from collections.abc import Awaitable, Callable, Sequence

import structlog

from palpo.db.leases import Lease
from palpo.services.media.media_cleanup import MediaCleanup
from palpo.workers.periods import now_and_then

log = structlog.get_logger("palpo.media")

START_S = 600.0
"""How long after a start the first sweep begins: starts are busy enough."""
PERIOD_S = 24 * 3600.0
RETRY_S = 3600.0


class MediaSweeper:
    """Sweeps the store."""

    def __init__(
        self,
        cleanup: MediaCleanup,
        *,
        also: Sequence[Callable[[], Awaitable[None]]] = (),
        start_s: float = START_S,
        period_s: float = PERIOD_S,
    ) -> None:
        """``also`` is done each time, after the sweep."""
        self._cleanup = cleanup
        self._also = also
        self._start_s = start_s
        self._period_s = period_s

    async def run(self, _lease: Lease) -> None:
        """Sweep until cancelled; one process at a time is enough."""
        await now_and_then(
            self._sweep,
            failed="media_sweep_failed",
            start_s=self._start_s,
            period_s=self._period_s,
            retry_s=RETRY_S,
        )

    async def _sweep(self) -> None:
        removed = await self._cleanup.sweep()
        for work in self._also:
            await work()
        if removed.count:
            log.info("media_swept", files=removed.count, bytes=removed.size)
