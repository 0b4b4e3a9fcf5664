"""Has a backup made whenever the next one is due."""

from __future__ import annotations

import asyncio

import structlog

from palpo.core.errors import Conflict, MatrixError
from palpo.db.errors import DatabaseError
from palpo.db.leases import Lease
from palpo.services.administration.backups.backups import Backups

log = structlog.get_logger("palpo.backups")

LOOK_S = 300.0
"""Between two looks; the first is after as long, for starts are busy enough."""
REQUESTED_BY = ""
"""Nobody: it is the configuration that asks."""


class BackupScheduler:
    """Looks now and then."""

    def __init__(self, backups: Backups, *, look_s: float = LOOK_S) -> None:
        self._backups = backups
        self._look_s = look_s

    async def run(self, _lease: Lease) -> None:
        """Go on until cancelled; one process at a time is enough."""
        while True:
            await asyncio.sleep(self._look_s)
            try:
                if await self._backups.due():
                    await self._backups.begin(requested_by=REQUESTED_BY)
            except Conflict:
                continue  # One is being made.
            except (DatabaseError, MatrixError, OSError) as error:
                log.warning("backup_failed", error=str(error))
