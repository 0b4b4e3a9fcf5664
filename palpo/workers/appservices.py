"""Sends application services what they are interested in: one worker each, one transaction at a time.

A transaction is stored before it is first sent, with the position up to which it reaches; it is sent
until it has been acknowledged, the same each time, whatever process does it. What has not become a
transaction yet is in the streams, so that a service that is away for long costs no more than its position.
"""

from __future__ import annotations

import asyncio
import contextlib
from collections.abc import Callable, Set

import structlog

from palpo.config.appservices import Registration
from palpo.db.engine import Commit, Database
from palpo.db.errors import DatabaseError
from palpo.db.transaction import WriteTransaction
from palpo.net.http_client import HttpError
from palpo.services.appservices.appservice_client import AppserviceClient
from palpo.services.appservices.appservice_transactions import AppserviceTransactions, Batch
from palpo.storage import appservices as storage
from palpo.storage import consumers
from palpo.storage.appservices import Queue
from palpo.streams import topics
from palpo.streams.leases import Lease
from palpo.streams.wakeups import Wakeups
from palpo.wire.appservice import calls

log = structlog.get_logger("palpo.appservices")

SEND_SECONDS = 60.0
"""How long an application service may take over a transaction."""
FIRST_PAUSE, LONGEST_PAUSE = 1.0, 300.0
"""Seconds between the first two attempts, and at most; each pause is twice the one before."""
GATHER_SECONDS = 0.02
"""What happens within this time of the first news goes into the same transaction."""
LOOK_SECONDS = 30.0
"""How often the streams are looked at without news."""
REMEMBER_EVERY = 1000
"""Positions without anything of interest after which the consumer's position is stored all the same."""


class Overtaken(Exception):
    """Another process has gone on from where this one was: what is stored has to be read again."""


class AppserviceSender:
    """Keeps one application service up to date. The registration must have a URL."""

    def __init__(
        self,
        registration: Registration,
        db: Database,
        wakeups: Wakeups,
        transactions: AppserviceTransactions,
        client: AppserviceClient,
        there: asyncio.Event,
        random_prefix: Callable[[], str],
    ) -> None:
        """``there`` is set when the service has answered something: the next attempt need not wait."""
        self.registration = registration
        self.name = f"appservice:{registration.id}"
        """Of the lease, and of the consumer."""
        self._db = db
        self._wakeups = wakeups
        self._transactions = transactions
        self._client = client
        self._random_prefix = random_prefix
        self._news = asyncio.Event()
        self._there = there
        self._changed_keys: set[str] = set()
        self._since = 0
        """The consumer's position as it is stored."""
        self._seen = 0
        """Up to here nothing is of interest."""
        if registration.encryption:
            wakeups.listen(topics.ONE_TIME_KEYS, self._keys_changed)
        wakeups.subscribe(self._on_commit)

    async def prepare(self) -> None:
        """Make the queue of a service that is new: it is told what happens from now on."""

        async def unit(tx: WriteTransaction) -> None:
            await storage.ensure(tx, self.registration.id, f"{self._random_prefix()}-")
            await consumers.register(tx, self.name, position=self._wakeups.position)

        await self._db.write(unit)

    async def run(self, lease: Lease) -> None:
        """Send, until cancelled."""
        while True:
            try:
                await self._run()
            except (DatabaseError, Overtaken):
                await asyncio.sleep(FIRST_PAUSE)
            except Exception:
                log.exception("appservice_worker_failed", appservice=self.registration.id)
                await asyncio.sleep(LOOK_SECONDS)

    async def _run(self) -> None:
        position = await self._db.read(lambda tx: consumers.position_of(tx, self.name))
        if position is None:
            raise Overtaken
        self._since = self._seen = position
        self._transactions.begin()
        queue = await self._queue()
        while True:
            if queue.body is not None:
                await self._deliver(queue, queue.body)
            elif not await self._gather(queue):
                await self._wait()
            queue = await self._queue()

    async def _queue(self) -> Queue:
        found = await self._db.read(lambda tx: storage.queue(tx, self.registration.id))
        if found is None:
            raise Overtaken
        return found

    async def _gather(self, queue: Queue) -> bool:
        """Make the next transaction of what has happened; whether there may be more to look at."""
        self._news.clear()
        upto = self._wakeups.position
        changed_keys, self._changed_keys = self._changed_keys, set()
        if upto <= self._seen and not changed_keys:
            return False
        batch = await self._transactions.next(self._seen, max(upto, self._seen), changed_keys)
        self._changed_keys.update(batch.untold)
        if batch.body is not None or batch.upto - self._since >= REMEMBER_EVERY:
            await self._store(queue, batch)
            self._since = batch.upto
        self._seen = batch.upto
        return True

    async def _store(self, queue: Queue, batch: Batch) -> None:
        body = batch.body

        async def unit(tx: WriteTransaction) -> bool:
            since, upto = self._since, batch.upto
            if upto != since and not await consumers.advance(tx, self.name, since=since, to=upto):
                return False
            if body is None:
                return True
            await storage.delete_messages(tx, batch.delivered)
            return await storage.store(tx, self.registration.id, last=queue.number, body=body)

        if not await self._db.write(unit):
            raise Overtaken

    async def _deliver(self, queue: Queue, body: bytes) -> None:
        """Send the transaction until it is acknowledged."""
        pause = FIRST_PAUSE
        while True:
            self._there.clear()
            if await self._send(queue.transaction_id, body):
                break
            with contextlib.suppress(TimeoutError):
                async with asyncio.timeout(pause):
                    await self._there.wait()
            pause = min(2 * pause, LONGEST_PAUSE)
        number = queue.number
        await self._db.write(lambda tx: storage.acknowledge(tx, self.registration.id, number))

    async def _send(self, transaction_id: str, body: bytes) -> bool:
        try:
            answer = await self._client.call(
                self.registration,
                calls.send_transaction,
                path={"txn_id": transaction_id},
                body=body,
                timeout_s=SEND_SECONDS,
            )
        except HttpError as error:
            log.info("appservice_unreachable", appservice=self.registration.id, error=str(error))
            return False
        if not answer.ok:
            log.warning("appservice_refused", appservice=self.registration.id, status=answer.status)
        return answer.ok

    async def _wait(self) -> None:
        with contextlib.suppress(TimeoutError):
            async with asyncio.timeout(LOOK_SECONDS):
                await self._news.wait()
        await asyncio.sleep(GATHER_SECONDS)

    def _keys_changed(self, user_ids: Set[str] | None, position: int) -> None:
        self._changed_keys.update(filter(self.registration.has_user, user_ids or ()))
        if self._changed_keys:
            self._news.set()

    def _on_commit(self, commit: Commit) -> None:
        if commit.position > self._seen or self._changed_keys or commit.all_topics:
            self._news.set()
