"""Keeps the planner's statistics of a young database from being those of an empty one."""

from __future__ import annotations

import asyncio

import structlog

from palpo.db.errors import DatabaseError
from palpo.db.statistics import Statistics

log = structlog.get_logger("palpo.statistics")

FIRST_PAUSE, LONGEST_PAUSE = 2.0, 60.0
"""Seconds between two looks: each pause without news is twice the one before."""


class StatisticsWorker:
    """Looks often while tables grow, and seldom when they do not."""

    def __init__(self, statistics: Statistics) -> None:
        self._statistics = statistics

    async def run(self) -> None:
        """Look, until cancelled."""
        pause = FIRST_PAUSE
        while True:
            await asyncio.sleep(pause)
            pause = FIRST_PAUSE if await self._look() else min(2 * pause, LONGEST_PAUSE)

    async def _look(self) -> bool:
        try:
            tables = await self._statistics.refresh()
        except DatabaseError as error:
            log.info("statistics_failed", error=str(error))
            return False
        if tables:
            log.debug("analyzed", tables=tables)
        return bool(tables)
