"""The one way into a room's history: drafts in, signed and authorized events out.

    submit ─▶ [lines] ─▶ build: chain onto the head, authorize, sign, new state root
                           └▶ [built] ─▶ persist: one transaction for all that is built ─▶ futures

A process gathers what waits and writes it as one transaction: one room's events in order, many rooms
together. Building needs only a room's head and its state, which are in memory mostly: one task builds room
after room, and persists what is built. Where a room keeps it waiting (a guard does, or the database), another
task goes on with the others, and that room is persisted when it is built. No room is built twice at once, nor
while it is persisted.

Persisting compares every head under the stream position's lock; if another process has moved one, all is
built again, that room on its new head. A new room is its maker's by the quotas, in the same transaction; one
that is too many is refused, and the others are written without it. Nothing is acknowledged before it is
committed.
"""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable, Collection, Hashable, Iterable, Sequence
from dataclasses import dataclass, field
from functools import partial
from itertools import groupby
from typing import Protocol

from palpo.core.errors import MatrixError
from palpo.core.events import SignedEvent
from palpo.core.records.events import StoredEvent
from palpo.core.room_versions import RoomVersion
from palpo.db.errors import UniqueViolation, Unreachable
from palpo.db.failures import detached, fail
from palpo.db.transaction import Transaction
from palpo.services.history.built import Built
from palpo.services.history.drafts import Draft, Guard, SendTransaction
from palpo.services.history.event_store import EventStore
from palpo.services.history.lines import Lines
from palpo.services.history.recent_events import RecentEvents
from palpo.services.history.room_builder import REFERRED, RoomBuilder
from palpo.services.history.room_group import Entry, GroupWrite, HeadsMoved, RoomsRefused
from palpo.services.history.room_heads import RoomHead, RoomHeads
from palpo.services.server import Server
from palpo.storage import events as events_storage
from palpo.storage.events import stored

ATTEMPTS = 50
"""How often something is built because other processes were quicker, which write to the same room."""
Builds = Callable[[RoomHead], Awaitable[Built]]
"""``async def builds(head)``: events that others have sent, with what they do to the room."""


class Countersigner(Protocol):
    """Has events of rooms signed by somebody else too."""

    async def of(self, head: RoomHead, /) -> object | None:
        """Who signs events of a room, if anybody has to."""
        ...

    async def countersigned(
        self, head: RoomHead, events: Sequence[SignedEvent], /
    ) -> Sequence[SignedEvent] | None:
        """The events with one more signature; None where none is needed. Raises MatrixError."""
        ...


AT_ONCE = 64
"""Submissions that are built before they are written, in one transaction."""


@dataclass(slots=True, kw_only=True)
class _Submission:
    room_id: str | None
    """None for a room that its first draft creates, where the event decides the ID."""
    drafts: Sequence[Draft] = ()
    builds: Builds | None = None
    """What builds instead, of what others have sent."""
    creates: RoomVersion | None = None
    transaction: SendTransaction | None = None
    guard: Guard | None = None
    future: asyncio.Future[list[StoredEvent]] = field(
        default_factory=lambda: asyncio.get_running_loop().create_future()
    )
    attempts: int = 0
    """How often it was built in vain."""
    merged: bool = False
    """Whether its room's ends have been merged for it, as far as they could be."""

    @property
    def line(self) -> Hashable:
        """Where it waits: behind others of the same room."""
        return self.room_id or self.future


class _ManyEnds(Exception):
    """The room's ends have to be merged first."""


class _Item(Entry, frozen=True, kw_only=True):
    """A submission and what was built for it."""

    submission: _Submission
    known_upto: int
    """The stream position when the room's head was looked up."""


class RoomWriter:
    """The process's writer of events by local users."""

    def __init__(
        self,
        server: Server,
        store: EventStore,
        heads: RoomHeads,
        builder: RoomBuilder,
        recent: RecentEvents,
        countersigners: Iterable[Countersigner],
    ) -> None:
        """``countersigners`` may have rooms' events signed by others too, before these are sent."""
        self._db = server.db
        self._store = store
        self._heads = heads
        self._builder = builder
        self._recent = recent
        self._quotas = server.quotas
        self._wakeups = server.wakeups
        self._clock = server.clock
        self._countersigners = countersigners
        self._lines: Lines[_Submission] = Lines(is_alone=lambda submission: submission.builds is not None)
        self._built: list[_Item] = []
        self._leader: asyncio.Task[None] | None = None
        """The task that goes on with what waits; there may be others, each kept waiting by a room."""
        self._wake = asyncio.Event()
        self._stopping = False

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
        builds = await self._countersigned(room_id, drafts, transaction, guard)
        return await self._queued(
            _Submission(room_id=room_id, drafts=drafts, builds=builds, transaction=transaction, guard=guard)
        )

    async def _countersigned(
        self,
        room_id: str,
        drafts: Sequence[Draft],
        transaction: SendTransaction | None,
        guard: Guard | None,
    ) -> Builds | None:
        """What builds the events of a room whose events others have to sign too; None for any other.

        The room goes on meanwhile: what it has come to is looked at again when they are written.
        """
        for countersigner in self._countersigners:
            head = await self._heads.get(room_id)
            if await countersigner.of(head) is None:
                continue
            if transaction is not None and await self.find_transaction(transaction) is not None:
                break
            if guard is not None:
                await guard(head)
            built = await self._builder.extend(head, drafts, {})
            signed = await countersigner.countersigned(head, [new.event for new in built.events])
            if signed is not None:
                return partial(self._builder.adopt, signed, guard)
        return None

    async def admit(self, room_id: str, builds: Builds) -> list[StoredEvent]:
        """Write what ``builds`` makes of the room's head, again where another process was quicker.

        The head is that of a room that has not begun where that is so; raises NotFound where it is not known.
        """
        return await self._queued(_Submission(room_id=room_id, builds=builds))

    async def create(self, version: RoomVersion, room_id: str | None, drafts: Sequence[Draft]) -> str:
        """Make a room of ``drafts``, the first being its create event; returns the room's ID.

        ``room_id`` is None for versions in which the create event decides it. Raises UserLimitExceeded and
        ResourceLimitExceeded where the create event's sender, or all users, have made as many as they may.
        """
        written = await self._queued(_Submission(room_id=room_id, drafts=drafts, creates=version))
        return written[0].event.room_id

    async def find_transaction(self, transaction: SendTransaction) -> str | None:
        """The event that the same request has made before."""
        name = transaction.hash

        async def find(tx: Transaction) -> str | None:
            return (await events_storage.find_transactions(tx, [name])).get(name)

        return await self._db.read(find)

    def _queued(self, submission: _Submission) -> asyncio.Future[list[StoredEvent]]:
        """The outcome. No variable of who awaits it may lead to it: what it raises would lead to itself."""
        self._lines.add(submission.line, submission)
        self._wake.set()
        return asyncio.shield(submission.future)

    async def run(self) -> None:
        """Write what waits until cancelled."""
        async with asyncio.TaskGroup() as tasks:
            self._go_on(tasks)
            try:
                await asyncio.Event().wait()
            finally:
                # The group would wait for ever for a task that is begun while it cancels the others.
                self._stopping = True

    def _go_on(self, tasks: asyncio.TaskGroup) -> None:
        """Have another task go on, as the one that did is kept waiting."""
        if self._stopping:
            return
        self._leader = tasks.create_task(self._lead(tasks), name="room-writer")
        self._wake.set()

    async def _lead(self, tasks: asyncio.TaskGroup) -> None:
        """Build and persist, until a room keeps this task waiting."""
        this = asyncio.current_task()
        while self._leader is this:
            await self._wake.wait()
            self._wake.clear()
            while self._leader is this and (self._lines or self._built):
                waits = asyncio.get_running_loop().call_soon(self._go_on, tasks)
                try:
                    while self._leader is this and self._lines and len(self._built) < AT_ONCE:
                        await self._build_next()
                finally:
                    waits.cancel()
                if self._leader is this and self._built:
                    await self._persist_built()
        self._wake.set()  # There is what this task has built.

    async def _build_next(self) -> None:
        """Build what waits in one room."""
        line, batch = self._lines.take(AT_ONCE - len(self._built))
        items: list[_Item] = []
        try:
            items = await self._build_all(batch, self._wakeups.position)
        except Unreachable as error:
            self._fail(batch, error)
        except _ManyEnds:
            self._lines.done(line, [self._merge_for(batch[0]), *batch])
            return
        self._built += items
        if not items:
            self._lines.done(line)

    async def _build_all(self, batch: Sequence[_Submission], known_upto: int) -> list[_Item]:
        head: RoomHead | None = None
        nodes: dict[bytes, bytes] = {}
        made: dict[SendTransaction, _Submission] = {}
        items: list[_Item] = []
        for submission in batch:
            transaction = submission.transaction
            if transaction in made:
                _follow(submission, made[transaction])
                continue
            try:
                built = await self._build(submission, head, nodes)
            except (Unreachable, _ManyEnds):
                raise
            except Exception as error:  # noqa: BLE001 - it is the submitter's, who awaits the future
                fail(submission.future, detached(error))
                continue
            if built.is_nothing:
                submission.future.set_result([])
                continue
            head = built.head
            if built.nodes:
                nodes = nodes | built.nodes
            items.append(
                _Item(built=built, transaction=transaction, submission=submission, known_upto=known_upto)
            )
            if transaction is not None:
                made[transaction] = submission
        return items

    async def _build(
        self, submission: _Submission, head: RoomHead | None, nodes: dict[bytes, bytes]
    ) -> Built:
        if submission.creates is not None:
            return await self._builder.create(submission.creates, submission.room_id, submission.drafts)
        room_id = submission.room_id or ""
        if submission.builds is not None:
            return await submission.builds(head or await self._heads.known(room_id))
        head = head or await self._heads.get(room_id)
        if len(head.row.extremities) > REFERRED and not submission.merged:
            raise _ManyEnds
        if submission.guard is not None:
            await submission.guard(head)
        return await self._builder.extend(head, submission.drafts, nodes)

    def _merge_for(self, submission: _Submission) -> _Submission:
        """What merges the ends of a submission's room, before it is built."""
        submission.merged = True
        sender = submission.drafts[0].sender
        merge = _Submission(room_id=submission.room_id, builds=lambda head: self._builder.merge(head, sender))
        # Where nobody may, nobody has to be told.
        merge.future.add_done_callback(lambda done: done.cancelled() or done.exception())
        return merge

    async def _persist_built(self) -> None:
        """Persist what is built; what could not be is built again."""
        items, self._built = self._built, []
        try:
            await self._persist(items)
        except Exception as error:  # noqa: BLE001 - the writer serves every room
            self._fail([item.submission for item in items], error)
        for line, submissions in groupby((item.submission for item in items), key=lambda item: item.line):
            self._lines.done(line, [item for item in submissions if not item.future.done()])

    async def _persist(self, items: Sequence[_Item]) -> None:
        if not all(item.built.events for item in items):
            items = sorted(items, key=lambda item: not item.built.events)
        group = GroupWrite(
            items,
            self._quotas,
            server_name=self._builder.server_name,
            now_ms=self._clock.now_ms(),
            known_upto=min(item.known_upto for item in items),
            written=partial(self._written, items),
        )
        try:
            await self._db.write(group.write)
        except HeadsMoved as moved:
            self._heads.forget(moved.room_ids)
        except RoomsRefused as refused:
            for item in items:
                if (error := refused.errors.get(item.built.head.room_id)) is not None:
                    fail(item.submission.future, error)
        except UniqueViolation:
            self._heads.forget([item.built.head.room_id for item in items])
            await self._answer_repeated(items)
        for item in items:
            item.submission.attempts += 1
            if item.submission.attempts == ATTEMPTS:
                fail(
                    item.submission.future, MatrixError("The room is being written to; try again", status=503)
                )

    def _fail(self, submissions: Sequence[_Submission], error: Exception) -> None:
        """Tell the submitters; called where ``error`` was caught."""
        if isinstance(error, Unreachable):
            # What waits behind would only wait as long, one after the other.
            submissions = [*submissions, *self._lines.drain()]
        failed = detached(error)
        for submission in submissions:
            fail(submission.future, failed)

    def _written(
        self, items: Sequence[_Item], position: int, redacted: Collection[str], committed: int
    ) -> None:
        """Keep what has just been committed, before anyone looks for it, and answer those who wait."""
        # Of another process's commit, which came after ours, the hint may have been here before us:
        # then what we wrote is no longer the newest.
        newest = self._wakeups.heard <= committed
        ends: dict[str, tuple[RoomHead, int]] = {}
        for item in items:
            built = item.built
            room_id = built.head.room_id
            results = [stored(new, position + index) for index, new in enumerate(built.events)]
            position += built.positions
            if newest:
                kept = [item for item in results if item.event_id not in redacted] if redacted else results
                self._store.add(kept, built.nodes)
                before = ends[room_id][1] if room_id in ends else built.head.row.position
                self._recent.written(room_id, before, results, position - 1)
            ends[room_id] = built.head, position - 1
            if not item.submission.future.done():
                item.submission.future.set_result(results)
        if newest:
            self._heads.written(ends.values())
        else:
            self._heads.forget(ends)

    async def _answer_repeated(self, items: Sequence[_Item]) -> None:
        """Answer those whose request has made an event before; the rest are written again."""
        repeated = {made.hash: item for item in items if (made := item.transaction) is not None}
        names = list(repeated)
        found = await self._db.read(lambda tx: events_storage.find_transactions(tx, names))
        for name, event_id in found.items():
            event = await self._store.get(event_id)
            if not repeated[name].submission.future.done():
                repeated[name].submission.future.set_result([event])
        for item in items:
            if not found and item.submission.attempts:
                fail(item.submission.future, MatrixError("The event is there already", status=409))


def _follow(submission: _Submission, leader: _Submission) -> None:
    """Give ``submission`` the outcome of ``leader``, which is the same request."""

    def copy(done: asyncio.Future[list[StoredEvent]]) -> None:
        if submission.future.done() or done.cancelled():
            return
        error = done.exception()
        if error is not None:
            fail(submission.future, error)
        else:
            submission.future.set_result(done.result())

    leader.future.add_done_callback(copy)
