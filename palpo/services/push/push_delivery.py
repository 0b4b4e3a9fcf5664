"""Delivers what waits for a pusher, in order, until nothing does or it fails.

A row leaves the queue once the gateway has taken it, so that a restart loses nothing; a gateway may be told
twice, and knows by the event ID. What the user has read meanwhile is not told any more.
"""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any

import msgspec
import structlog

from palpo.config.sections.accounts import EmailConfig
from palpo.core.identifiers import UserId
from palpo.core.membership import INVITE, JOIN
from palpo.core.records.events import StoredEvent
from palpo.db.engine import Database
from palpo.db.transaction import Transaction, WriteTransaction
from palpo.net.email import EmailError
from palpo.services.history import HistoryServices
from palpo.services.push.push_emails import EmailDigests
from palpo.services.push.push_gateways import GatewayFailed, PushGateways
from palpo.services.push.unread import Unread, total
from palpo.storage import memberships
from palpo.storage import push_queue as storage
from palpo.storage import pushers as pushers_storage
from palpo.storage.push_queue import State, Waiting
from palpo.storage.pushers import Pusher
from palpo.streams.clock import Clock
from palpo.streams.wakeups import Wakeups

log = structlog.get_logger("palpo.push")

BATCH = 50
"""Rows of a queue that are loaded at a time; a digest is of all."""
FIRST_PAUSE_MS, LONGEST_PAUSE_MS = 1000, 3600 * 1000
"""Between the first two attempts, and at most; each pause is twice the one before."""
GIVE_UP_MS = 24 * 3600 * 1000
"""What could not be delivered for so long is dropped."""

_ACTIONS = msgspec.json.Decoder(list[Any])


class PushDelivery:
    """Empties pushers' queues."""

    def __init__(
        self,
        db: Database,
        clock: Clock,
        wakeups: Wakeups,
        history: HistoryServices,
        unread: Unread,
        gateways: PushGateways,
        digests: EmailDigests,
        config: EmailConfig,
    ) -> None:
        self._db = db
        self._clock = clock
        self._wakeups = wakeups
        self._events = history.events
        self._outside = history.outside_memberships
        self._unread = unread
        self._gateways = gateways
        self._digests = digests
        self._digest_interval_ms = config.digest_interval_seconds * 1000

    async def deliver(self, pusher_hash: bytes) -> None:
        """Deliver what waits, until nothing does or it fails."""
        while True:
            pusher, rows, state = await self._db.read(lambda tx: _load(tx, pusher_hash))
            if pusher is None:
                await self._db.write(lambda tx: storage.forget(tx, pusher_hash))
                return
            rows = await self._give_up(rows)
            if not rows or state.retry_ts > self._clock.now_ms():
                return
            if pusher.kind == "email":
                done = await self._digest(pusher, rows, state)
            else:
                done = await self._push_all(pusher, rows, state)
            if not done:
                return

    async def _give_up(self, rows: list[Waiting]) -> list[Waiting]:
        """Those of ``rows`` that are not too old; the others are dropped."""
        limit = self._clock.now_ms() - GIVE_UP_MS
        old = [row for row in rows if row.created_ts < limit]
        if old:
            last = old[-1]
            log.info("push_given_up", rows=len(old))
            await self._db.write(lambda tx: storage.delivered(tx, last.pusher_hash, last.position))
        return [row for row in rows if row.created_ts >= limit]

    async def _push_all(self, pusher: Pusher, rows: list[Waiting], state: State) -> bool:
        """Push row by row; False where one failed, or the pusher is gone."""
        for index, row in enumerate(rows):
            if row.event_id is None and index + 1 < len(rows):
                continue
            try:
                badge = await self._push(pusher, row, state.badge)
            except GatewayFailed as error:
                await self._failed(pusher, state, str(error))
                return False
            if badge is None:
                await self._rejected(pusher)
                return False
            state = State(badge=badge)
            await self._delivered(pusher, row.position, state)
        return True

    async def _push(self, pusher: Pusher, row: Waiting, badge: int) -> int | None:
        """Tell of a row; the number of unread messages that was told, or None for a rejected pushkey."""
        unread = await self._count(pusher.user_id)
        event = None
        if row.event_id is not None:
            found = await self._current_events(pusher.user_id, [row])
            event = found[0] if found else None
        if event is not None:
            accepted = await self._gateways.push_event(pusher, event, _ACTIONS.decode(row.actions), unread)
        elif unread != badge:
            accepted = await self._gateways.push_counts(pusher, unread)
        else:
            return badge
        return unread if accepted else None

    async def _digest(self, pusher: Pusher, rows: list[Waiting], state: State) -> bool:
        """Tell of everything that is unread in one message."""
        events = await self._current_events(pusher.user_id, rows)
        pause = 0
        if events:
            try:
                await self._digests.deliver(pusher, rows, events)
            except EmailError as error:
                await self._failed(pusher, state, str(error))
                return False
            pause = self._clock.now_ms() + self._digest_interval_ms
        await self._delivered(pusher, rows[-1].position, State(retry_ts=pause))
        return True

    async def _current_events(self, user_id: UserId, rows: list[Waiting]) -> list[StoredEvent]:
        """The rows' events that are neither read nor redacted, of rooms that the user has not left."""
        ids = [row.event_id for row in rows if row.event_id is not None]
        there = await self._events.get_many(ids)
        outside = await self._outside.events(user_id, [name for name in ids if name not in there])
        found = [item for item in (*there.values(), *outside) if item.redacted_by is None]
        rooms = {item.event.room_id for item in found}
        mine = await self._db.read(lambda tx: _memberships(tx, user_id, rooms))
        found = [item for item in found if mine.get(item.event.room_id) in (JOIN, INVITE)]
        joined = [room_id for room_id, membership in mine.items() if membership == JOIN]
        marks = await self._unread.read_marks(user_id, joined, self._wakeups.position)
        return [
            item for item in found if not await self._unread.is_read(item, marks.get(item.event.room_id, {}))
        ]

    async def _count(self, user_id: UserId) -> int:
        """How many messages the user has not read, in all rooms."""
        rooms = await self._db.read(lambda tx: memberships.joined_rooms(tx, user_id))
        counts = await self._unread.counts_many(user_id, rooms, self._wakeups.position)
        return total(counts.values()).notifications

    async def _delivered(self, pusher: Pusher, upto: int, state: State) -> None:
        async def unit(tx: WriteTransaction) -> None:
            await storage.delivered(tx, pusher.hash, upto)
            await storage.put_state(tx, pusher.hash, state)

        await self._db.write(unit)

    async def _failed(self, pusher: Pusher, state: State, reason: str) -> None:
        pause = min(FIRST_PAUSE_MS << min(state.failures, 20), LONGEST_PAUSE_MS)
        log.info("push_failed", app_id=pusher.app_id, reason=reason, retry_s=pause / 1000)
        later = msgspec.structs.replace(
            state, failures=state.failures + 1, retry_ts=self._clock.now_ms() + pause
        )
        await self._db.write(lambda tx: storage.put_state(tx, pusher.hash, later))

    async def _rejected(self, pusher: Pusher) -> None:
        """Remove a pusher, as its gateway asks."""
        log.info("pushkey_rejected", app_id=pusher.app_id)

        async def unit(tx: WriteTransaction) -> None:
            await pushers_storage.remove(tx, pusher.user_id, pusher.app_id, pusher.pushkey)
            await storage.forget(tx, pusher.hash)

        await self._db.write(unit)


async def _load(tx: Transaction, pusher_hash: bytes) -> tuple[Pusher | None, list[Waiting], State]:
    pusher = await pushers_storage.get(tx, pusher_hash)
    digest = pusher is not None and pusher.kind == "email"
    rows = await storage.of_pusher(tx, pusher_hash, storage.KEPT if digest else BATCH)
    return pusher, rows, await storage.state(tx, pusher_hash) or State()


async def _memberships(tx: Transaction, user_id: UserId, room_ids: Iterable[str]) -> dict[str, str]:
    rows = [await memberships.get(tx, room_id, user_id) for room_id in room_ids]
    return {row.room_id: row.membership for row in rows if row is not None}
