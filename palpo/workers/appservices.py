"""Sends application services what they are interested in: one worker each, one transaction at a time.

A transaction is stored before it is first sent, with the position up to which it reaches; it is sent
until it has been acknowledged, the same each time, whatever process does it. What has not become a
transaction yet is in the streams, so that a service that is away for long costs no more than its position.
"""

from __future__ import annotations

import asyncio
import contextlib
from collections.abc import Callable, Set
from dataclasses import dataclass
from functools import partial

import structlog

from palpo.config.appservices import Registration
from palpo.db.engine import Database
from palpo.db.transaction import WriteTransaction
from palpo.net.http_client import HttpError
from palpo.services.appservices.appservice_client import AppserviceClient
from palpo.services.appservices.appservice_transactions import MAX_USERS, AppserviceTransactions, Batch
from palpo.storage import appservices as storage
from palpo.streams import topics
from palpo.streams.backoff import pauses
from palpo.streams.consumers import LOOK_S, Consumer, Handler, Overtaken, Progress, Window
from palpo.streams.wakeups import Wakeups
from palpo.wire.appservice import calls

log = structlog.get_logger("palpo.appservices")

SEND_SECONDS = 60.0
"""How long an application service may take over a transaction."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Delivery:
    """How application services are told."""

    first_pause_s: float = 1.0
    """Between the first two attempts; each pause is twice the one before."""
    longest_pause_s: float = 300.0
    gather_s: float = 0.02
    """What happens within this time of the first news goes into the same transaction."""
    max_users: int = MAX_USERS
    """Users of whose keys one transaction tells."""


DELIVERY = Delivery()


class AppserviceSender(Handler):
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
        delivery: Delivery = DELIVERY,
    ) -> None:
        """``there`` is set when the service has answered something: the next attempt need not wait."""
        self.registration = registration
        self._db = db
        self._wakeups = wakeups
        self._transactions = transactions
        self._client = client
        self._random_prefix = random_prefix
        self._delivery = delivery
        self._there = there
        self._changed_keys: set[str] = set()
        self.consumer = Consumer(
            f"appservice:{registration.id}", self, db, wakeups, gather_s=delivery.gather_s
        )
        if registration.encryption:
            wakeups.listen(topics.ONE_TIME_KEYS, self._keys_changed)

    async def begin(self, tx: WriteTransaction) -> int:
        """Make the queue of a service that is new: it is told what happens from now on."""
        await storage.ensure(tx, self.registration.id, f"{self._random_prefix()}-")
        return self._wakeups.position

    async def handle(self, window: Window) -> Progress:
        """Make the next transaction of what has happened, once the last one is acknowledged."""
        if window.anew:
            self._transactions.begin()
        number = await self._deliver()
        changed_keys, self._changed_keys = self._changed_keys, set()
        if window.after == window.upto and not changed_keys:
            return Progress(upto=window.upto)
        batch = await self._transactions.next(window.after, window.upto, changed_keys)
        self._changed_keys.update(batch.untold)
        return Progress(upto=batch.upto, write=partial(self._store, batch, number) if batch.body else None)

    async def rest(self) -> float:
        """Send what the last transaction was made of."""
        await self._deliver()
        return 0.0 if self._changed_keys else LOOK_S

    async def _store(self, batch: Batch, last: int, tx: WriteTransaction) -> None:
        await storage.delete_messages(tx, batch.delivered)
        if not await storage.store(tx, self.registration.id, last=last, body=batch.body or b""):
            raise Overtaken

    async def _deliver(self) -> int:
        """Send the last transaction until it is acknowledged; its number."""
        queue = await self._db.read(lambda tx: storage.queue(tx, self.registration.id))
        if queue is None:
            raise Overtaken
        if queue.body is None:
            return queue.number
        backoff = pauses(self._delivery.first_pause_s, self._delivery.longest_pause_s)
        self._there.clear()
        while not await self._send(queue.transaction_id, queue.body):
            with contextlib.suppress(TimeoutError):
                async with asyncio.timeout(next(backoff)):
                    await self._there.wait()
            self._there.clear()
        await self._db.write(lambda tx: storage.acknowledge(tx, self.registration.id, queue.number))
        return queue.number

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

    def _keys_changed(self, user_ids: Set[str] | None, position: int) -> None:
        self._changed_keys.update(filter(self.registration.has_user, user_ids or ()))
        if self._changed_keys:
            self.consumer.wake()
