"""Forgets, once an hour, what is only of use for a while."""

from __future__ import annotations

from collections.abc import Awaitable, Callable

import structlog

from palpo.db.engine import Database
from palpo.db.leases import Lease
from palpo.db.transaction import WriteTransaction
from palpo.services.administration.room_deletion import KIND as DELETION
from palpo.storage import (
    departures,
    event_refusals,
    events,
    failed_fetches,
    inbound_pdus,
    inbound_transactions,
    jobs,
    oauth,
    server_signing_keys,
    to_device,
    uia,
)
from palpo.streams.clock import Clock
from palpo.workers.periods import now_and_then

log = structlog.get_logger("palpo.sweeps")

START_S = 300.0
PERIOD_S = 3600.0
BATCH = 500
"""Rows of one unit of work, so that others write in between."""
HOUR_MS = 3600 * 1000
TRANSACTION_MS = 48 * HOUR_MS
"""How long a request that has made an event is known again: a client that was offline for as long repeats
it with the ID that it had."""
DELAYED_MS = 14 * 24 * HOUR_MS
"""How long it is known that a delayed event was sent: twice as long as the event itself can be looked up."""
FAILURE_MS = HOUR_MS
"""How long it is known that a server whose keys could never be had might be asked again: if it is named once
more, how often it has failed still counts."""
INBOUND_MS = 7 * 24 * HOUR_MS
"""How long an event of another server waits for what it rests on; and how long it is known why one was
not even stored."""
INBOUND_TRANSACTION_MS = 24 * HOUR_MS
"""How long a transaction of another server is known again."""
MESSAGE_MS = 30 * 24 * HOUR_MS
"""How long a message from another server to devices here is known again: the server may have been away for
long after it sent one that arrived, and was not told so."""
JOB_MS = 30 * 24 * HOUR_MS
"""How long it is known what became of long work, and clients are told that a room was deleted."""
CLIENT_MS = 24 * HOUR_MS
"""How long a client of OAuth 2.0 is known that nothing was granted to: it registers before each use."""
Forget = Callable[..., Awaitable[int]]


class Sweeper:
    """Sweeps tables whose rows nobody deletes."""

    def __init__(
        self, db: Database, clock: Clock, *, start_s: float = START_S, period_s: float = PERIOD_S
    ) -> None:
        self._db = db
        self._clock = clock
        self._start_s = start_s
        self._period_s = period_s

    async def run(self, _lease: Lease) -> None:
        """Sweep until cancelled; one process at a time is enough."""
        await now_and_then(self._sweep, failed="sweep_failed", start_s=self._start_s, period_s=self._period_s)

    async def _sweep(self) -> None:
        log.info("swept", rows=await self.sweep())

    async def sweep(self) -> int:
        """Forget what is old; how many rows."""
        now = self._clock.now_ms()
        total = 0
        for before_ts, delayed in ((now - TRANSACTION_MS, False), (now - DELAYED_MS, True)):
            forgotten = BATCH
            while forgotten == BATCH:
                forgotten = await self._transactions(before_ts, delayed)
                total += forgotten
        await self._db.write(lambda tx: uia.prune(tx, before_ts=now - HOUR_MS))
        for forget, kept_ms in (
            (server_signing_keys.forget_failures, FAILURE_MS),
            (failed_fetches.forget, FAILURE_MS),
            (inbound_pdus.forget, INBOUND_MS),
            (event_refusals.forget, INBOUND_MS),
            (inbound_transactions.forget, INBOUND_TRANSACTION_MS),
            (to_device.forget_received, MESSAGE_MS),
            (forget_jobs, JOB_MS),
            (oauth.forget_clients, CLIENT_MS),
        ):
            total += await self._forget(forget, now - kept_ms)
        return total

    async def _forget(self, forget: Forget, before_ts: int) -> int:
        async def unit(tx: WriteTransaction) -> int:
            return await forget(tx, before_ts=before_ts, limit=BATCH)

        total = 0
        while forgotten := await self._db.write(unit):
            total += forgotten
        return total

    async def _transactions(self, before_ts: int, delayed: bool) -> int:
        async def unit(tx: WriteTransaction) -> int:
            return await events.forget_transactions(tx, before_ts=before_ts, delayed=delayed, limit=BATCH)

        return await self._db.write(unit)


async def forget_jobs(tx: WriteTransaction, *, before_ts: int, limit: int) -> int:
    """Forget jobs that have ended before a time, and what users were told of rooms that these deleted."""
    await departures.forget(tx, deletion=DELETION, before_ts=before_ts)
    return await jobs.forget(tx, before_ts=before_ts, limit=limit)
