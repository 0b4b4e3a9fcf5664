"""Asks providers whether the sessions still stand by which users have signed on."""

from __future__ import annotations

from palpo.db.leases import Lease
from palpo.services.sign_on.renewals import Renewals
from palpo.workers.periods import now_and_then

PERIOD_S = 60.0


class UpstreamSessionWorker:
    """Looks once a minute which are due; one process is enough."""

    def __init__(self, renewals: Renewals) -> None:
        self._renewals = renewals

    async def run(self, _lease: Lease) -> None:
        """Go on until cancelled."""
        await now_and_then(
            self._renewals.renew_due, failed="renewals_failed", start_s=PERIOD_S, period_s=PERIOD_S
        )
