"""The one way into a room's history: drafts in, signed and authorized events out.

    submit ─▶ [waiting] ─▶ build: chain onto the head, authorize, sign, new state root
                             └▶ persist: one transaction for all that waited ─▶ futures

A process gathers what waits and writes it as one transaction: one room's events in order, many
rooms together. Building needs only the room's head, which is in memory; persisting compares every
head under the stream position's lock, and if another process has moved one, that room's drafts are
built again on the new head. A new room is its maker's by the quotas, in the same transaction; one that is
too many is refused, and the others are written without it. Nothing is acknowledged before it is committed.
"""

from __future__ import annotations

import asyncio
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from functools import partial

from palpo.core.errors import MatrixError
from palpo.core.records.events import StoredEvent
from palpo.core.room_versions import RoomVersion
from palpo.db.engine import Database
from palpo.db.errors import UniqueViolation, Unreachable
from palpo.db.failures import detached, fail
from palpo.db.transaction import Transaction
from palpo.services.history.drafts import Draft, Guard, SendTransaction
from palpo.services.history.event_store import EventStore
from palpo.services.history.recent_events import RecentEvents
from palpo.services.history.room_builder import Built, RoomBuilder
from palpo.services.history.room_group import Entry, GroupWrite, HeadsMoved, RoomsRefused
from palpo.services.history.room_heads import RoomHead, RoomHeads
from palpo.services.server.quotas import Quotas
from palpo.storage import events as events_storage
from palpo.storage.events import stored
from palpo.streams.clock import Clock
from palpo.streams.wakeups import Wakeups

ATTEMPTS = 50
"""How often a group is built anew because other processes were quicker, which write to the same room."""


AT_ONCE = 64
"""Submissions that are written in one transaction."""


@dataclass(slots=True, kw_only=True)
class _Submission:
    room_id: str | None
    """None for a room that its first draft creates, where the event decides the ID."""
    drafts: Sequence[Draft]
    creates: RoomVersion | None
    transaction: SendTransaction | None
    guard: Guard | None
    future: asyncio.Future[list[StoredEvent]]


@dataclass(slots=True, kw_only=True)
class _Item:
    """A submission and what was built for it."""

    submission: _Submission
    built: Built


class RoomWriter:
    """The process's writer of events by local users."""

    def __init__(
        self,
        db: Database,
        store: EventStore,
        heads: RoomHeads,
        builder: RoomBuilder,
        recent: RecentEvents,
        quotas: Quotas,
        wakeups: Wakeups,
        clock: Clock,
    ) -> None:
        self._db = db
        self._store = store
        self._heads = heads
        self._builder = builder
        self._recent = recent
        self._quotas = quotas
        self._wakeups = wakeups
        self._clock = clock
        self._waiting: list[_Submission] = []
        self._wake = asyncio.Event()

    async def send(
        self,
        room_id: str,
        draft: Draft,
        *,
        transaction: SendTransaction | None = None,
        guard: Guard | None = None,
    ) -> StoredEvent:
        """Write one event; the same request again returns the same event.

        Raises NotFound, AuthError, TooLarge, BadJson, and whatever ``guard`` raises.
        """
        return (await self.send_all(room_id, [draft], transaction=transaction, guard=guard))[-1]

    async def send_all(
        self,
        room_id: str,
        drafts: Sequence[Draft],
        *,
        transaction: SendTransaction | None = None,
        guard: Guard | None = None,
    ) -> list[StoredEvent]:
        """Write several events to a room, all or none, with nothing between them."""
        return await self._submit(room_id, drafts, None, transaction, guard)

    async def create(self, version: RoomVersion, room_id: str | None, drafts: Sequence[Draft]) -> str:
        """Make a room of ``drafts``, the first being its create event; returns the room's ID.

        ``room_id`` is None for versions in which the create event decides it. Raises UserLimitExceeded and
        ResourceLimitExceeded where the create event's sender, or all users, have made as many as they may.
        """
        written = await self._submit(room_id, drafts, version, None, None)
        return written[0].event.room_id

    async def find_transaction(self, transaction: SendTransaction) -> str | None:
        """The event that the same request has made before."""
        name = transaction.hash

        async def find(tx: Transaction) -> str | None:
            return (await events_storage.find_transactions(tx, [name])).get(name)

        return await self._db.read(find)

    async def run(self) -> None:
        """Write what waits until cancelled."""
        while True:
            await self._wake.wait()
            self._wake.clear()
            while self._waiting:
                group, self._waiting = self._waiting[:AT_ONCE], self._waiting[AT_ONCE:]
                await self._write_group(group)
                del group

    async def _write_group(self, group: list[_Submission]) -> None:
        try:
            await self._write(group)
        except Exception as error:  # noqa: BLE001 - the loop serves every room
            if isinstance(error, Unreachable):
                # What waits behind would only wait as long, one group after the other.
                group, self._waiting = [*group, *self._waiting], []
            failed = detached(error)
            for submission in group:
                fail(submission.future, failed)

    async def _submit(
        self,
        room_id: str | None,
        drafts: Sequence[Draft],
        creates: RoomVersion | None,
        transaction: SendTransaction | None,
        guard: Guard | None,
    ) -> list[StoredEvent]:
        # No variable here may lead to the future: what it raises would lead to itself.
        return await self._queued(
            _Submission(
                room_id=room_id,
                drafts=drafts,
                creates=creates,
                transaction=transaction,
                guard=guard,
                future=asyncio.get_running_loop().create_future(),
            )
        )

    def _queued(self, submission: _Submission) -> asyncio.Future[list[StoredEvent]]:
        self._waiting.append(submission)
        self._wake.set()
        return asyncio.shield(submission.future)

    async def _write(self, group: list[_Submission]) -> None:
        for attempt in range(ATTEMPTS):
            known_upto = self._wakeups.position
            items = await self._build_group(group)
            if not items:
                return
            try:
                await self._persist(items, known_upto)
            except HeadsMoved as moved:
                self._heads.forget(moved.room_ids)
            except RoomsRefused as refused:
                _refuse(items, refused)
            except UniqueViolation:
                self._heads.forget([item.built.head.room_id for item in items])
                await self._answer_repeated(items, final=attempt > 0)
            else:
                return
            group = [submission for submission in group if not submission.future.done()]
        for submission in group:
            fail(submission.future, MatrixError("The room is being written to; try again", status=503))

    async def _build_group(self, group: list[_Submission]) -> list[_Item]:
        heads: dict[str, RoomHead] = {}
        made: dict[SendTransaction, _Submission] = {}
        items: list[_Item] = []
        for submission in group:
            if submission.transaction in made:
                _follow(submission, made[submission.transaction])
                continue
            try:
                built = await self._build(submission, heads)
            except Unreachable:
                raise
            except Exception as error:  # noqa: BLE001 - it is the submitter's, who awaits the future
                fail(submission.future, detached(error))
                continue
            heads[built.head.room_id] = built.head
            items.append(_Item(submission=submission, built=built))
            if submission.transaction is not None:
                made[submission.transaction] = submission
        return items

    async def _build(self, submission: _Submission, heads: Mapping[str, RoomHead]) -> Built:
        if submission.creates is not None:
            return await self._builder.create(submission.creates, submission.room_id, submission.drafts)
        room_id = submission.room_id or ""
        head = heads.get(room_id) or await self._heads.get(room_id)
        if submission.guard is not None:
            await submission.guard(head)
        return await self._builder.extend(head, submission.drafts)

    async def _persist(self, items: Sequence[_Item], known_upto: int) -> None:
        entries = [Entry(built=item.built, transaction=item.submission.transaction) for item in items]
        group = GroupWrite(
            entries,
            self._quotas,
            now_ms=self._clock.now_ms(),
            known_upto=known_upto,
            written=partial(self._written, items),
        )
        await self._db.write(group.write)

    def _written(self, items: Sequence[_Item], position: int, committed: int) -> None:
        """Keep what has just been committed, before anyone looks for it, and answer those who wait."""
        # Of another process's commit, which came after ours, the hint may have been here before us:
        # then what we wrote is no longer the newest.
        newest = self._wakeups.heard <= committed
        ends: dict[str, tuple[RoomHead, int]] = {}
        outdated: set[str] = set()
        for item in items:
            built = item.built
            room_id = built.head.room_id
            results = [stored(new, position + index) for index, new in enumerate(built.events)]
            position += len(results)
            if newest:
                self._store.add(results, built.nodes)
                before = ends[room_id][1] if room_id in ends else built.head.row.position
                self._recent.written(room_id, before, results)
                ends[room_id] = built.head, position - 1
            if not newest or any(new.event.redacts is not None for new in built.events):
                # Those that were built on it in this group know the state as it was, too.
                outdated.add(room_id)
            if not item.submission.future.done():
                item.submission.future.set_result(results)
        self._heads.written(ends.values())
        self._heads.forget(outdated)

    async def _answer_repeated(self, items: Sequence[_Item], *, final: bool) -> None:
        """Answer those whose request has made an event before; the rest are written again."""
        repeated = {made.hash: item for item in items if (made := item.submission.transaction) is not None}
        names = list(repeated)
        found = await self._db.read(lambda tx: events_storage.find_transactions(tx, names))
        for name, event_id in found.items():
            event = await self._store.get(event_id)
            if not repeated[name].submission.future.done():
                repeated[name].submission.future.set_result([event])
        if not found and final:
            for item in items:
                fail(item.submission.future, MatrixError("The event is there already", status=409))


def _follow(submission: _Submission, leader: _Submission) -> None:
    """Give ``submission`` the outcome of ``leader``, which is the same request."""

    def copy(done: asyncio.Future[list[StoredEvent]]) -> None:
        if submission.future.done() or done.cancelled():
            return
        error = done.exception()
        if error is not None:
            submission.future.set_exception(error)
        else:
            submission.future.set_result(done.result())

    leader.future.add_done_callback(copy)


def _refuse(items: Sequence[_Item], refused: RoomsRefused) -> None:
    for item in items:
        error = refused.errors.get(item.built.head.room_id)
        if error is not None:
            fail(item.submission.future, error)
