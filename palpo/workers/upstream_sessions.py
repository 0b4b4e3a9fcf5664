"""Asks providers whether the sessions still stand by which users have signed on."""

from __future__ import annotations

import asyncio

import structlog

from palpo.db.errors import DatabaseError
from palpo.db.leases import Lease
from palpo.services.sign_on.renewals import Renewals

log = structlog.get_logger("palpo.sign_on")

START_S = 60.0
PERIOD_S = 60.0


class UpstreamSessionWorker:
    """Looks once a minute which are due; one process is enough."""

    def __init__(self, renewals: Renewals) -> None:
        self._renewals = renewals

    async def run(self, _lease: Lease) -> None:
        """Go on until cancelled."""
        pause_s = START_S
        while True:
            await asyncio.sleep(pause_s)
            try:
                await self._renewals.renew_due()
            except (DatabaseError, OSError) as error:
                log.warning("renewals_failed", error=str(error))
            pause_s = PERIOD_S
