"""How much is unread (spec: client-server API, "Receiving notifications", "Marking notifications as read").

Sync-facing:

- ``await counts(user_id, room_id, upto)`` → ``UnreadCounts``,
- ``await counts_many(user_id, room_ids, upto)`` → the same by room, in a few queries for all of them.

Counting is lazy: a user's push rules judge the events that have come since the last time somebody asked.
What was found is kept in memory, and now and then as a checkpoint in the database, so that neither a
restart nor a long absence makes it begin anew.

    marks     thread → the event's position up to which it has been read
    entries   unread events that notify: (position, thread, highlight), the newest ones
    older     thread → [notifications, highlights] of those before them, at or below ``older_upto``
"""

from __future__ import annotations

import asyncio
from collections import Counter
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field

import msgspec

from palpo.core.events import Event
from palpo.core.push_rules import Evaluator
from palpo.core.state_keys import MEMBER
from palpo.db.engine import Database
from palpo.db.transaction import Transaction, WriteTransaction
from palpo.services.account_data import AccountData
from palpo.services.event_store import Bounded, EventStore
from palpo.services.push_rooms import PushRoom, PushRooms
from palpo.services.push_rules import PushRules
from palpo.services.recent_events import RecentEvents
from palpo.services.room_heads import RoomHeads
from palpo.services.thread_followers import ThreadFollowers
from palpo.services.threads import MAIN, Threads
from palpo.storage import memberships
from palpo.storage import receipts as storage
from palpo.storage import rooms as rooms_storage
from palpo.storage.events import StoredEvent
from palpo.streams.last_changes import LastChanges
from palpo.streams.wakeups import Wakeups

MAX_SCAN = 10_000
"""Events of a room that are judged at most; what is unread beyond is not counted."""
BREATHER = 20
"""Events after which others have their turn: what a user's rules take is not up to this server."""
MAX_ENTRIES = 500
CHECKPOINT_EVERY = 100
"""Events that are judged before what was found is stored."""
AT_ONCE = 20
"""Rooms that are looked at at the same time."""
UNTHREADED = ""

Entry = tuple[int, str, bool]


@dataclass(frozen=True, slots=True, kw_only=True)
class UnreadCounts:
    """Unread events of a room that notify, and those of them that are highlighted.

    The totals include threads; ``threads`` says how much of them is in each thread where there is any.
    """

    notifications: int = 0
    highlights: int = 0
    threads: dict[str, tuple[int, int]] = field(default_factory=dict)

    def without_threads(self) -> tuple[int, int]:
        """``(notifications, highlights)`` of the main timeline."""
        return (
            self.notifications - sum(count for count, _ in self.threads.values()),
            self.highlights - sum(count for _, count in self.threads.values()),
        )


NOTHING = UnreadCounts()


class State(msgspec.Struct, array_like=True):
    """What is known of a user's unread events in a room, up to the position ``upto``."""

    upto: int = 0
    marks: dict[str, int] = {}
    entries: list[Entry] = []
    older: dict[str, tuple[int, int]] = {}
    older_upto: int = 0
    judged: int = 0
    """Events since the last checkpoint."""

    def copy(self) -> State:
        """One that may be changed."""
        return State(
            self.upto, dict(self.marks), list(self.entries), dict(self.older), self.older_upto, self.judged
        )

    def is_read(self, thread: str, position: int) -> bool:
        """Whether an event in a thread has been read."""
        return position <= max(self.marks.get(UNTHREADED, 0), self.marks.get(thread, 0))

    def mark(self, thread: str, position: int) -> bool:
        """Note that ``thread``, or everything, was read up to ``position``.

        False where what is kept cannot say how much remains: the mark is among the older ones.
        """
        if position <= self.marks.get(thread, 0):
            return True
        self.marks[thread] = position
        self.entries = [entry for entry in self.entries if not self.is_read(entry[1], entry[0])]
        touched = list(self.older) if thread == UNTHREADED else [thread] if thread in self.older else []
        if touched and position < self.older_upto:
            return False
        for name in touched:
            del self.older[name]
        return True

    def add(self, entry: Entry) -> None:
        """Note one more unread event, the newest."""
        self.entries.append(entry)
        if len(self.entries) > MAX_ENTRIES:
            half = MAX_ENTRIES // 2
            for position, thread, highlight in self.entries[:half]:
                notifications, highlights = self.older.get(thread, (0, 0))
                self.older[thread] = notifications + 1, highlights + highlight
                self.older_upto = position
            del self.entries[:half]

    def counts(self) -> UnreadCounts:
        """The counts."""
        if not self.entries and not self.older:
            return NOTHING
        notifications: Counter[str] = Counter(entry[1] for entry in self.entries)
        highlights: Counter[str] = Counter(entry[1] for entry in self.entries if entry[2])
        for thread, (more, more_highlights) in self.older.items():
            notifications[thread] += more
            highlights[thread] += more_highlights
        return UnreadCounts(
            notifications=notifications.total(),
            highlights=highlights.total(),
            threads={
                thread: (count, highlights[thread])
                for thread, count in notifications.items()
                if thread != MAIN
            },
        )


@dataclass(frozen=True, slots=True, kw_only=True)
class _Room:
    """What one user's rules ask about a room."""

    facts: PushRoom
    display_name: str | None


@dataclass(frozen=True, slots=True, kw_only=True)
class _Asked:
    """What is asked, and what was looked up for all rooms at once; by room ID."""

    user_id: str
    upto: int
    known: dict[str, State]
    marks: dict[str, dict[str, int]]
    """Thread → position, as the user's receipts have it; where they may have changed."""
    last: dict[str, int]
    """The position of the last event, of rooms that are not known."""
    members: dict[str, str]
    """The user's membership event, if there are rooms that are not known."""
    evaluator: Evaluator
    ignored: frozenset[str]


_ENCODER = msgspec.json.Encoder()
_DECODER = msgspec.json.Decoder(State)


class Unread:
    """Counts what is unread."""

    def __init__(
        self,
        db: Database,
        wakeups: Wakeups,
        events: EventStore,
        heads: RoomHeads,
        recent: RecentEvents,
        push_rooms: PushRooms,
        threads: Threads,
        push_rules: PushRules,
        account_data: AccountData,
        followers: ThreadFollowers,
        *,
        cached: int = 50_000,
    ) -> None:
        self._db = db
        self._events = events
        self._heads = heads
        self._recent = recent
        self._push_rooms = push_rooms
        self._threads = threads
        self._push_rules = push_rules
        self._account_data = account_data
        self._followers = followers
        self._states: Bounded[tuple[str, str], State] = Bounded(cached)
        self._rooms = LastChanges(wakeups, "room")
        self._reads = LastChanges(wakeups, "read")

    async def counts(self, user_id: str, room_id: str, upto: int) -> UnreadCounts:
        """The counts of one room that the user is in, at or after the position ``upto``."""
        return (await self.counts_many(user_id, [room_id], upto))[room_id]

    async def counts_many(self, user_id: str, room_ids: Sequence[str], upto: int) -> dict[str, UnreadCounts]:
        """The counts of rooms that the user is in."""
        states = await self._current(user_id, room_ids, upto)
        return {
            room_id: state.counts() if state is not None else NOTHING for room_id, state in states.items()
        }

    async def read_marks(self, user_id: str, room_ids: Sequence[str], upto: int) -> dict[str, dict[str, int]]:
        """Room → thread → the position up to which it has been read, by receipt or by sending.

        The thread UNTHREADED stands for all of the room. The user is in the rooms.
        """
        states = await self._current(user_id, room_ids, upto)
        return {room_id: dict(state.marks) for room_id, state in states.items() if state is not None}

    async def _current(self, user_id: str, room_ids: Sequence[str], upto: int) -> dict[str, State | None]:
        """What is known of rooms, brought up to ``upto`` where it is not."""
        states = {room_id: self._states.touch((user_id, room_id)) for room_id in room_ids}
        stale = [
            room_id
            for room_id, state in states.items()
            if state is None
            or (
                state.upto < upto
                and (
                    self._rooms.changed_since(room_id, state.upto, upto)
                    or self._reads.changed_since(user_id, state.upto, upto)
                )
            )
        ]
        if stale:
            states.update(await self._refresh(user_id, stale, upto))
        return states

    async def _refresh(self, user_id: str, room_ids: Sequence[str], upto: int) -> dict[str, State]:
        """The states of rooms, brought up to ``upto``."""
        asked = await self._asked(user_id, room_ids, upto)
        fresh: dict[str, State] = {}
        for start in range(0, len(room_ids), AT_ONCE):
            chunk = room_ids[start : start + AT_ONCE]
            states = await asyncio.gather(*(self._brought_up(asked, room_id) for room_id in chunk))
            fresh.update(zip(chunk, states, strict=True))
        for room_id, state in fresh.items():
            newest = self._states.get((user_id, room_id))
            if newest is None or newest.upto <= state.upto:
                self._states.keep({(user_id, room_id): state})
        await self._store(user_id, fresh)
        return fresh

    async def _asked(self, user_id: str, room_ids: Sequence[str], upto: int) -> _Asked:
        """Everything that can be looked up for all rooms at once."""
        known = {
            room_id: state
            for room_id in room_ids
            if (state := self._states.get((user_id, room_id))) is not None
        }
        missing = [room_id for room_id in room_ids if room_id not in known]
        oldest = min((state.upto for state in known.values()), default=upto)
        read = self._reads.changed_since(user_id, oldest, upto)
        marked = room_ids if read else missing

        async def unit(tx: Transaction) -> _Asked:
            stored = await storage.checkpoints(tx, user_id, missing) if missing else {}
            members = await memberships.of_user(tx, user_id) if missing else []
            return _Asked(
                user_id=user_id,
                upto=upto,
                known={**known, **{room_id: _DECODER.decode(state) for room_id, state in stored.items()}},
                marks=await storage.marks(tx, user_id, marked) if marked else {},
                last=await rooms_storage.last_positions(tx, missing) if missing else {},
                members={row.room_id: row.event_id for row in members},
                evaluator=evaluator,
                ignored=ignored,
            )

        evaluator = await self._push_rules.evaluator(user_id)
        ignored = await self._account_data.ignored_users(user_id)
        return await self._db.read(unit)

    async def _store(self, user_id: str, states: Mapping[str, State]) -> None:
        """Store those that have changed much since they were stored."""
        checkpoints: dict[str, bytes] = {}
        for room_id, state in states.items():
            if state.judged >= CHECKPOINT_EVERY:
                state.judged = 0
                checkpoints[room_id] = _ENCODER.encode(state)

        async def unit(tx: WriteTransaction) -> None:
            for room_id, encoded in checkpoints.items():
                await storage.put_checkpoint(tx, user_id, room_id, encoded)

        if checkpoints:
            await self._db.write(unit)

    async def _brought_up(self, asked: _Asked, room_id: str) -> State:
        known, marks = asked.known.get(room_id), asked.marks.get(room_id, {})
        state = State(marks=dict(marks)) if known is None else known.copy()
        kept = [state.mark(thread, position) for thread, position in marks.items()]
        if known is None or not all(kept):
            joined = await self._joined_at(asked.user_id, room_id, asked.members.get(room_id))
            state = State(marks=state.marks)
            state.marks[UNTHREADED] = max(state.marks.get(UNTHREADED, 0), joined)
            state.upto = min(state.marks[UNTHREADED], asked.upto)
        new = await self._new_events(asked, room_id, state.upto)
        if new:
            room = await self._room(asked.user_id, room_id)
            for number, stored in enumerate(new, 1):
                await self._judge(asked, stored, state, room)
                if number % BREATHER == 0:
                    await asyncio.sleep(0)
            state.judged += len(new)
        state.upto = max(state.upto, asked.upto)
        return state

    async def _new_events(self, asked: _Asked, room_id: str, after: int) -> list[StoredEvent]:
        """The newest events after a position, oldest first."""
        if after >= min(asked.upto, asked.last.get(room_id, asked.upto)):
            return []
        ids = await self._recent.latest_ids(room_id, after=after, upto=asked.upto, limit=MAX_SCAN)
        ids.reverse()
        return await self._events.get_list(ids)

    async def _judge(self, asked: _Asked, stored: StoredEvent, state: State, room: _Room) -> None:
        event = stored.event
        if event.redacts is not None:
            await self._redact(event, state)
        if event.sender == asked.user_id:
            await self._own(asked.user_id, stored, state)
            return
        if event.sender in asked.ignored or stored.redacted_by is not None:
            return
        evaluator, user_id = asked.evaluator, asked.user_id
        follows = await self._followers.follows(user_id, event) if evaluator.asks_for_threads else None
        context = room.facts.context(event.sender)
        actions = evaluator.evaluate(event, context, room.display_name, follows=follows)
        if not actions.notify:
            return
        thread = await self._threads.thread_of(event)
        if not state.is_read(thread, stored.position):
            state.add((stored.position, thread, actions.highlight))

    async def _redact(self, redaction: Event, state: State) -> None:
        """Forget what has been redacted."""
        target = redaction.redacts or ""
        found = (await self._events.get_many([target])).get(target)
        if found is not None and found.redacted_by is not None and found.event.room_id == redaction.room_id:
            state.entries = [entry for entry in state.entries if entry[0] != found.position]

    async def _own(self, user_id: str, stored: StoredEvent, state: State) -> None:
        """Sending an event reads what came before it: in its thread, or, by joining, everywhere."""
        event = stored.event
        if event.state_key is None:
            state.mark(await self._threads.thread_of(event), stored.position)
        elif await self._joins(user_id, stored):
            state.mark(UNTHREADED, stored.position)

    async def _joins(self, user_id: str, stored: StoredEvent) -> bool:
        """Whether by this event the user came into the room."""
        event = stored.event
        if event.key != (MEMBER, user_id) or event.content.get("membership") != "join":
            return False
        before = await self._events.state_event(stored.state_before, MEMBER, user_id)
        return before is None or before.event.content.get("membership") != "join"

    async def _joined_at(self, user_id: str, room_id: str, event_id: str | None) -> int:
        """The position of the event by which the user came into the room; 0 where that is long ago."""
        if event_id is None:
            row = await self._db.read(lambda tx: memberships.get(tx, room_id, user_id))
            event_id = None if row is None else row.event_id
        for _ in range(10):
            found = (await self._events.get_many([event_id])).get(event_id) if event_id else None
            if found is None:
                return 0
            if await self._joins(user_id, found):
                return found.position
            before = await self._events.state_event(found.state_before, MEMBER, user_id)
            event_id = None if before is None else before.event_id
        return 0

    async def _room(self, user_id: str, room_id: str) -> _Room:
        head = await self._heads.get(room_id)
        key = (MEMBER, user_id)
        member = (await self._heads.state(head, [key])).get(key)
        name = None if member is None else member.content.get("displayname")
        return _Room(
            facts=await self._push_rooms.get(head), display_name=name if isinstance(name, str) else None
        )


def total(counts: Iterable[UnreadCounts]) -> UnreadCounts:
    """The sum over rooms: a badge."""
    items = list(counts)
    return UnreadCounts(
        notifications=sum(item.notifications for item in items),
        highlights=sum(item.highlights for item in items),
    )
