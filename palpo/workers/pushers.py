"""Tells pushers of what happens: one process at a time reads the stream, and delivers.

What a user is to be told of is put into the queues of their pushers in the same transaction that moves the
consumer's position on, so that each event gets there once. Each pusher's queue is emptied by itself: one
gateway that is slow or away holds up no other.
"""

from __future__ import annotations

import asyncio
from collections.abc import Sequence, Set
from functools import partial
from weakref import WeakValueDictionary

import msgspec
import structlog

from palpo.core.canonical_json import to_json
from palpo.core.identifiers import UserId
from palpo.core.push_rules import Actions
from palpo.core.records.events import StoredEvent
from palpo.db.engine import Database
from palpo.db.errors import DatabaseError
from palpo.db.transaction import Transaction, WriteTransaction
from palpo.services.history.event_store import EventStore
from palpo.services.history.outside_memberships import stored as outside_event
from palpo.services.push.push_delivery import PushDelivery
from palpo.services.push.push_judge import PushJudge
from palpo.storage import outside_memberships as outside_storage
from palpo.storage import push_queue as storage
from palpo.storage import pushers as pushers_storage
from palpo.storage.outside_memberships import OutsideMembership
from palpo.storage.push_queue import State, Waiting
from palpo.storage.pushers import Pusher
from palpo.streams import topics
from palpo.streams.clock import Clock
from palpo.streams.consumers import LOOK_S, Consumer, Handler, Progress, Window
from palpo.streams.wakeups import Wakeups

log = structlog.get_logger("palpo.push")

NAME = "pushers"
BATCH = 200
"""Events, and receipts, that are looked at in one go."""
MAX_AGE_MS = 24 * 3600 * 1000
"""Events that are older when they arrive come from the room's past, and notify nobody."""
GATHER_SECONDS = 0.02
PAUSE_SECONDS = 1.0
"""How long a pusher is left alone after the database has failed."""
AT_ONCE, OF_USER_AT_ONCE = 50, 4
"""Pushers that are delivered to at the same time: all, and one user's, whose gateways may all be slow."""
MAX_TASKS = 1000


class Told(msgspec.Struct, frozen=True):
    """Somebody who is to be told of an event, or of a number of unread messages."""

    user_id: str
    position: int
    event_id: str | None = None
    actions: Actions | None = None


class _News(msgspec.Struct, frozen=True, kw_only=True):
    """What has happened, by positions of the stream."""

    events: list[tuple[int, str, str]]
    outside: list[OutsideMembership]
    readers: list[tuple[int, str]]

    def last(self) -> list[int]:
        """The last position of each kind of which there may be more."""
        kinds = ([row[0] for row in self.events], [row[0] for row in self.readers])
        return [rows[-1] for rows in (*kinds, [item.position for item in self.outside]) if len(rows) == BATCH]


class PushWorker(Handler):
    """Fills the pushers' queues from the stream, and has them emptied."""

    def __init__(
        self,
        db: Database,
        clock: Clock,
        wakeups: Wakeups,
        events: EventStore,
        judge: PushJudge,
        delivery: PushDelivery,
        *,
        digest_delay_ms: int,
    ) -> None:
        """``digest_delay_ms`` is how long the first event of a digest waits for others."""
        self._db = db
        self._clock = clock
        self._wakeups = wakeups
        self._events = events
        self._judge = judge
        self._delivery = delivery
        self._digest_delay_ms = digest_delay_ms
        self._slots = asyncio.Semaphore(AT_ONCE)
        self._slots_of_users: WeakValueDictionary[str, asyncio.Semaphore] = WeakValueDictionary()
        self._tasks: dict[bytes, asyncio.Task[None]] = {}
        self._anybody: bool | None = None
        self.consumer = Consumer(NAME, self, db, wakeups, gather_s=GATHER_SECONDS)
        wakeups.listen(topics.PUSHERS, self._pushers_changed)

    async def begin(self, tx: WriteTransaction) -> int:
        """With what happens from now on."""
        return self._wakeups.position

    async def handle(self, window: Window) -> Progress:
        """Find out who is to be told of what comes next."""
        if window.after == window.upto or not await self._has_pushers():
            return Progress(upto=window.upto)
        upto, told = await self._look(window.after, window.upto)
        return Progress(upto=upto, write=partial(self._store, told) if told else None)

    async def _look(self, after: int, upto: int) -> tuple[int, list[Told]]:
        """Who is to be told of what in ``(after, upto]``, and up to where that is all."""

        async def unit(tx: Transaction) -> _News:
            return _News(
                events=await storage.new_events(tx, after, upto, BATCH),
                outside=await outside_storage.changed(tx, after=after, upto=upto, limit=BATCH),
                readers=await storage.readers(tx, after, upto, BATCH),
            )

        news = await self._db.read(unit)
        for last in news.last():
            # The last position may have been cut off in the middle.
            upto = max(after + 1, min(upto, last - 1))
        told = [Told(user_id, position) for position, user_id in news.readers if position <= upto]
        ids = [event_id for position, event_id, _ in news.events if position <= upto]
        outside = [item for item in news.outside if item.position <= upto]
        rooms = {room_id for position, _, room_id in news.events if position <= upto}
        return upto, [*told, *await self._notified(ids, outside, rooms)]

    async def _notified(
        self, ids: Sequence[str], outside: Sequence[OutsideMembership], rooms: set[str]
    ) -> list[Told]:
        rooms = rooms.union(item.room_id for item in outside)
        listeners = await self._db.read(lambda tx: storage.listeners(tx, rooms)) if rooms else {}
        if not listeners:
            return []
        told = []
        oldest = self._clock.now_ms() - MAX_AGE_MS
        for stored in [*await self._events.get_list(ids), *map(outside_event, outside)]:
            event = stored.event
            users = listeners.get(event.room_id)
            if users and event.origin_server_ts >= oldest:
                told += await self._judged(stored, users)
        return told

    async def _judged(self, stored: StoredEvent, users: Sequence[UserId]) -> list[Told]:
        found = await self._judge.notified(stored, users)
        told = [
            Told(user_id, stored.position, stored.event_id, actions) for user_id, actions in found.items()
        ]
        if stored.event.redacts is not None:
            # It may have been unread.
            told += [Told(user_id, stored.position) for user_id in users if user_id not in found]
        elif stored.event.sender in users:
            # Sending reads what came before it.
            told.append(Told(stored.event.sender, stored.position))
        return told

    async def _store(self, told: Sequence[Told], tx: WriteTransaction) -> None:
        """Put what is to be told into the queues."""
        now = self._clock.now_ms()
        by_user: dict[str, list[Pusher]] = {}
        pushers = await pushers_storage.of_users(tx, list({item.user_id for item in told}))
        for pusher in pushers:
            by_user.setdefault(pusher.user_id, []).append(pusher)
        rows = await _without_idle_counts(tx, _rows(told, by_user, now))
        waiting = {row.pusher_hash for row in rows}
        for pusher in pushers:
            if pusher.kind == "email" and pusher.hash in waiting:
                await self._gather_digest(tx, pusher, now)
        await storage.put(tx, rows)

    async def _gather_digest(self, tx: WriteTransaction, pusher: Pusher, now: int) -> None:
        """Have what comes next wait for more, if it is the first."""
        if await storage.of_pusher(tx, pusher.hash, 1):
            return
        state = await storage.state(tx, pusher.hash) or State()
        later = max(state.retry_ts, now + self._digest_delay_ms)
        await storage.put_state(tx, pusher.hash, msgspec.structs.replace(state, retry_ts=later))

    async def rest(self) -> float:
        """Begin to deliver wherever something waits; the seconds until there may be more to do."""
        if not await self._has_pushers():
            return LOOK_S
        now = self._clock.now_ms()
        due = await self._db.read(lambda tx: storage.due(tx, now, MAX_TASKS))
        for pusher_hash, user_id in due.items():
            if pusher_hash not in self._tasks and len(self._tasks) < MAX_TASKS:
                slots = self._slots_of_users.setdefault(user_id or "", asyncio.Semaphore(OF_USER_AT_ONCE))
                task = asyncio.get_running_loop().create_task(self._deliver(pusher_hash, slots))
                self._tasks[pusher_hash] = task
        retry_ts = await self._db.read(lambda tx: storage.next_retry(tx, now))
        if retry_ts is None:
            return LOOK_S
        return min(LOOK_S, max(0.1, (retry_ts - now) / 1000))

    async def _deliver(self, pusher_hash: bytes, slots: asyncio.Semaphore) -> None:
        try:
            async with slots, self._slots:
                await self._delivery.deliver(pusher_hash)
        except DatabaseError:
            await asyncio.sleep(PAUSE_SECONDS)
        except Exception:
            log.exception("push_delivery_failed")
            await asyncio.sleep(LOOK_S)
        finally:
            self._tasks.pop(pusher_hash, None)
            self.consumer.wake()

    async def stop(self) -> None:
        """Deliver no more."""
        tasks = list(self._tasks.values())
        for task in tasks:
            task.cancel()
        await asyncio.gather(*tasks, return_exceptions=True)

    async def _has_pushers(self) -> bool:
        """Whether there is a pusher at all: where there is none, the stream need not be read."""
        found = self._anybody
        if found is None:
            found = self._anybody = True
            found = await self._db.read(storage.any_pusher)
            if not found and self._anybody:
                self._anybody = False
        return found

    def _pushers_changed(self, user_ids: Set[str] | None, position: int) -> None:
        self._anybody = None


async def _without_idle_counts(tx: WriteTransaction, rows: Sequence[Waiting]) -> list[Waiting]:
    """Without the rows that would tell a number to a pusher that knows that nothing is unread."""
    counted = {row.pusher_hash for row in rows if row.event_id is None}
    idle = {pusher for pusher in counted if await _is_idle(tx, pusher)}
    return [row for row in rows if row.event_id is not None or row.pusher_hash not in idle]


async def _is_idle(tx: WriteTransaction, pusher: bytes) -> bool:
    """Whether a pusher was last told that nothing is unread, and is not being told of anything now."""
    state = await storage.state(tx, pusher)
    return state is not None and state.badge == 0 and not await storage.of_pusher(tx, pusher, 1)


def _rows(told: Sequence[Told], pushers: dict[str, list[Pusher]], now: int) -> list[Waiting]:
    """A row for each pusher that was there before what it is to tell of."""
    rows = []
    for item in told:
        for pusher in pushers.get(item.user_id, ()):
            digest_of_nothing = item.event_id is None and pusher.kind == "email"
            if pusher.position < item.position and not digest_of_nothing:
                row = Waiting(
                    pusher_hash=pusher.hash,
                    position=item.position,
                    event_id=item.event_id,
                    actions=to_json(item.actions.raw if item.actions else []),
                    created_ts=now,
                )
                rows.append(row)
    return rows
