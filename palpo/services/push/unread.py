"""How much is unread (spec: client-server API, "Receiving notifications", "Marking notifications as read").

Sync-facing:

- ``await counts(user_id, room_id, upto)`` → ``UnreadCounts``,
- ``await counts_many(user_id, room_ids, upto)`` → the same by room, in a few queries for all of them.

Counting is lazy: a user's push rules judge the events that have come since the last time somebody asked, each
by the room as it was at that event, and before the user changes a rule by the rules until then. So when it is
asked makes no difference. Only whom the user ignores is asked anew, for what was counted too. What was found
(``services.push.unread_state``) is kept in memory, and now and then as a checkpoint in the database, so that
neither a restart nor a long absence makes it begin anew.
"""

from __future__ import annotations

import asyncio
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from hashlib import blake2b

from palpo.core.events import Event
from palpo.core.identifiers import UserId
from palpo.core.membership import JOIN, membership_of
from palpo.core.push_rules import Evaluator
from palpo.core.records.events import StoredEvent
from palpo.core.state_keys import MEMBER
from palpo.db.transaction import Transaction, WriteTransaction
from palpo.services.history import HistoryServices
from palpo.services.history.threads import MAIN
from palpo.services.personal.account_data import AccountData
from palpo.services.personal.push_rules import PushRules
from palpo.services.push.push_rooms import PushRoom, PushRooms
from palpo.services.push.thread_followers import ThreadFollowers
from palpo.services.push.unread_state import UNTHREADED, UnreadState, decoded
from palpo.services.server import Server
from palpo.storage import events as events_storage
from palpo.storage import memberships
from palpo.storage import receipts as storage
from palpo.storage import rooms as rooms_storage
from palpo.streams import topics
from palpo.streams.caches import Cache
from palpo.streams.last_changes import LastChanges
from palpo.streams.task_group import together
from palpo.streams.turns import Turns

MAX_SCAN = 10_000
"""New events of a room that are judged: the newest. What came before them since the last time is not counted,
but what was counted stays so, and is read and redacted as it should."""
MAX_OWN = 100
"""The user's own events that are looked at among those that are not judged."""
BATCH = 200
"""Events that are in memory at the same time."""
CHECKPOINT_EVERY = 100
"""Events that are judged before what was found is stored; more of them where much is unread."""
AT_ONCE = 5
"""Rooms that are looked at at the same time."""
SHARE = 1 / 6
"""Of the caches' budget, that states may have: what is dropped is begun again at its checkpoint."""
LONG_AT_ONCE = 2
"""Of all users: rooms with more than BATCH new events that are judged at a time. Others do not wait."""


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


@dataclass(frozen=True, slots=True, kw_only=True)
class _Room:
    """What one user's rules ask about a room, between two states."""

    states: tuple[bytes, bytes]
    facts: PushRoom
    display_name: str | None


@dataclass(frozen=True, slots=True, kw_only=True)
class _Asked:
    """What is asked, and what was looked up for all rooms at once; by room ID."""

    user_id: UserId
    upto: int
    known: dict[str, UnreadState]
    marks: dict[str, dict[str, int]]
    """Thread → position, as the user's receipts have it; where they may have changed."""
    last: dict[str, int]
    """The position of the last event, of rooms that are not known."""
    members: dict[str, str]
    """The user's membership event, if there are rooms that are not known."""
    evaluator: Evaluator
    ignored: frozenset[str]


class Unread:
    """Counts what is unread."""

    def __init__(
        self,
        server: Server,
        history: HistoryServices,
        push_rooms: PushRooms,
        push_rules: PushRules,
        account_data: AccountData,
        followers: ThreadFollowers,
        *,
        max_scan: int = MAX_SCAN,
        batch: int = BATCH,
    ) -> None:
        self._db = server.db
        self._wakeups = wakeups = server.wakeups
        self._max_scan = max_scan
        self._batch = batch
        self._events = history.events
        self._recent = history.recent_events
        self._push_rooms = push_rooms
        self._threads = history.threads
        self._push_rules = push_rules
        self._account_data = account_data
        self._followers = followers
        self._long = asyncio.Semaphore(LONG_AT_ONCE)
        self._states: Cache[tuple[str, str], UnreadState] = server.caches.cache(
            "unread", _state_bytes, share=SHARE
        )
        self._rooms = LastChanges(wakeups, topics.ROOM, server.caches)
        self._reads = LastChanges(wakeups, topics.READ, server.caches)

    async def counts(self, user_id: UserId, room_id: str, upto: int) -> UnreadCounts:
        """The counts of one room that the user is in, at or after the position ``upto``."""
        return (await self.counts_many(user_id, [room_id], upto))[room_id]

    async def counts_many(
        self, user_id: UserId, room_ids: Sequence[str], upto: int
    ) -> dict[str, UnreadCounts]:
        """The counts of rooms that the user is in."""
        states = await self._current(user_id, room_ids, upto)
        return {
            room_id: _counts(state) if state is not None else NOTHING for room_id, state in states.items()
        }

    async def read_marks(
        self, user_id: UserId, room_ids: Sequence[str], upto: int
    ) -> dict[str, dict[str, int]]:
        """Room → thread → the position up to which it has been read, by receipt or by sending.

        The thread UNTHREADED stands for all of the room. The user is in the rooms.
        """
        states = await self._current(user_id, room_ids, upto)
        return {room_id: dict(state.marks) for room_id, state in states.items() if state is not None}

    async def is_read(self, stored: StoredEvent, marks: Mapping[str, int]) -> bool:
        """Whether an event has been read, by what ``read_marks`` has of its room."""
        if stored.position <= marks.get(UNTHREADED, 0):
            return True
        return bool(marks) and stored.position <= marks.get(await self._threads.thread_of(stored.event), 0)

    async def settle(self, user_id: UserId) -> None:
        """Judge whatever has come so far, for good: the user is about to change how it is judged."""
        rooms = await self._db.read(lambda tx: memberships.joined_rooms(tx, user_id))
        states = await self._current(user_id, rooms, self._wakeups.position)
        unsaved = {room_id: state for room_id, state in states.items() if state is not None and state.judged}
        await self._store(user_id, unsaved)

    async def _current(
        self, user_id: UserId, room_ids: Sequence[str], upto: int
    ) -> dict[str, UnreadState | None]:
        """What is known of rooms, brought up to ``upto`` where it is not."""
        states = {room_id: self._states.touch((user_id, room_id)) for room_id in room_ids}
        ignored = _digest(await self._account_data.ignored_users(user_id))
        stale = [
            room_id
            for room_id, state in states.items()
            if state is None
            or state.ignored != ignored
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

    async def _refresh(self, user_id: UserId, room_ids: Sequence[str], upto: int) -> dict[str, UnreadState]:
        """The states of rooms, brought up to ``upto``."""
        asked = await self._asked(user_id, room_ids, upto)
        fresh: dict[str, UnreadState] = {}
        for start in range(0, len(room_ids), AT_ONCE):
            chunk = room_ids[start : start + AT_ONCE]
            states = await together(self._brought_up(asked, room_id) for room_id in chunk)
            # At once, so that it is not lost if the client does not wait for the rest.
            await self._keep(user_id, dict(zip(chunk, states, strict=True)))
            fresh.update(zip(chunk, states, strict=True))
        return fresh

    async def _keep(self, user_id: UserId, states: Mapping[str, UnreadState]) -> None:
        for room_id, state in states.items():
            newest = self._states.get((user_id, room_id))
            if newest is None or newest.upto <= state.upto or newest.ignored != state.ignored:
                self._states.keep({(user_id, room_id): state})
        due = {
            room_id: state
            for room_id, state in states.items()
            if state.judged >= max(CHECKPOINT_EVERY, state.size // 4)
        }
        await self._store(user_id, due)

    async def _asked(self, user_id: UserId, room_ids: Sequence[str], upto: int) -> _Asked:
        """Everything that can be looked up for all rooms at once."""
        ignored = await self._account_data.ignored_users(user_id)
        digest = _digest(ignored)
        known = {
            room_id: state
            for room_id in room_ids
            if (state := self._states.get((user_id, room_id))) is not None and state.ignored == digest
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
                known={**known, **_decoded(stored, digest)},
                marks=await storage.marks(tx, user_id, marked) if marked else {},
                last=await rooms_storage.last_positions(tx, missing) if missing else {},
                members={row.room_id: row.event_id for row in members},
                evaluator=evaluator,
                ignored=ignored,
            )

        evaluator = await self._push_rules.evaluator(user_id)
        return await self._db.read(unit)

    async def _store(self, user_id: UserId, states: Mapping[str, UnreadState]) -> None:
        checkpoints: dict[str, bytes] = {}
        for room_id, state in states.items():
            state.judged = 0
            checkpoints[room_id] = state.encoded()

        async def unit(tx: WriteTransaction) -> None:
            for room_id, encoded in checkpoints.items():
                await storage.put_checkpoint(tx, user_id, room_id, encoded)

        if checkpoints:
            await self._db.write(unit)

    async def _brought_up(self, asked: _Asked, room_id: str) -> UnreadState:
        known = asked.known.get(room_id)
        state = UnreadState(ignored=_digest(asked.ignored)) if known is None else known.copy()
        for thread, position in asked.marks.get(room_id, {}).items():
            state.mark(thread, position)
        if known is None:
            state.mark(UNTHREADED, await self._joined_at(asked.user_id, room_id, asked.members.get(room_id)))
            state.upto = min(state.marks.get(UNTHREADED, 0), asked.upto)
        ids = await self._new_ids(asked, room_id, state.upto, min(self._batch + 1, self._max_scan))
        if len(ids) <= self._batch and len(ids) < self._max_scan:
            await self._judge_all(asked, room_id, ids, state)
        else:
            async with self._long:
                ids = await self._new_ids(asked, room_id, state.upto, self._max_scan)
                await self._judge_all(asked, room_id, ids, state)
        state.upto = max(state.upto, asked.upto)
        return state

    async def _judge_all(self, asked: _Asked, room_id: str, ids: list[str], state: UnreadState) -> None:
        """Judge the new events of a room, the oldest first."""
        if len(ids) == self._max_scan and state.size:
            await self._skip(asked.user_id, room_id, state, upto=asked.upto)
        # What a user's rules take is not up to this server, so others have their turns.
        turns, room = Turns(), None
        for start in range(0, len(ids), self._batch):
            for stored in await self._events.get_list(ids[start : start + self._batch]):
                await turns.breathe()
                room = await self._judge(asked, stored, state, room)
        state.judged += len(ids)

    async def _new_ids(self, asked: _Asked, room_id: str, after: int, limit: int) -> list[str]:
        """The newest events after a position, oldest first."""
        if after >= min(asked.upto, asked.last.get(room_id, asked.upto)):
            return []
        ids = await self._recent.latest_ids(room_id, after=after, upto=asked.upto, limit=limit)
        ids.reverse()
        return ids

    async def _skip(self, user_id: UserId, room_id: str, state: UnreadState, *, upto: int) -> None:
        """What becomes of what is counted by events that are too many to be looked at one by one."""
        oldest, last = state.oldest() or 0, state.upto

        async def read(tx: Transaction) -> tuple[list[int], list[str]]:
            return (
                await events_storage.redacted_positions(tx, room_id, after=oldest - 1, upto=last),
                await events_storage.sent_by(tx, room_id, user_id, after=last, upto=upto, limit=MAX_OWN),
            )

        redacted, own = await self._db.read(read)
        for position in redacted:
            state.forget(position)
        for stored in await self._events.get_list(own):
            await self._own(user_id, stored, state)

    async def _judge(
        self, asked: _Asked, stored: StoredEvent, state: UnreadState, room: _Room | None
    ) -> _Room | None:
        """Judge an event; the room as it was then, which ``room`` was at the event before."""
        event, user_id = stored.event, asked.user_id
        if event.redacts is not None:
            await self._redact(event, state)
        if event.sender == user_id:
            await self._own(user_id, stored, state)
            return room
        if event.sender in asked.ignored or stored.redacted_by is not None:
            return room
        evaluator = asked.evaluator
        follows = await self._followers.follows(user_id, event) if evaluator.asks_for_threads else None
        states = (stored.state_before, stored.state_after)
        if room is None or room.states != states:
            own = (event.type, event.state_key) == (MEMBER, user_id)
            if room is not None and room.states[1] == stored.state_before and not own:
                name = room.display_name
            else:
                name = (await self._push_rooms.display_names(stored.state_after, [user_id])).get(user_id)
            facts = await self._push_rooms.at(stored)
            room = _Room(states=states, facts=facts, display_name=name)
        context = room.facts.context(event.sender)
        actions = evaluator.evaluate(event, context, room.display_name, follows=follows)
        if actions.notify:
            thread = await self._threads.thread_of(event)
            if not state.is_read(thread, stored.position):
                state.add(thread, stored.position, highlight=actions.highlight)
        return room

    async def _redact(self, redaction: Event, state: UnreadState) -> None:
        """Forget what has been redacted."""
        if redaction.redacts is None or not state.size:
            return
        found = await self._events.find(redaction.redacts)
        if found is not None and found.redacted_by is not None and found.event.room_id == redaction.room_id:
            state.forget(found.position)

    async def _own(self, user_id: UserId, stored: StoredEvent, state: UnreadState) -> None:
        """Sending an event reads what came before it: in its thread, or, by joining, everywhere."""
        event = stored.event
        if event.state_key is None:
            state.mark(await self._threads.thread_of(event), stored.position)
        elif await self._joins(user_id, stored):
            state.mark(UNTHREADED, stored.position)

    async def _joins(self, user_id: UserId, stored: StoredEvent) -> bool:
        """Whether by this event the user came into the room."""
        event = stored.event
        if event.key != (MEMBER, user_id) or membership_of(event) != JOIN:
            return False
        before = await self._events.state_event(stored.state_before, MEMBER, user_id)
        return before is None or membership_of(before.event) != JOIN

    async def _joined_at(self, user_id: UserId, room_id: str, event_id: str | None) -> int:
        """The position of the event by which the user came into the room; 0 where that is long ago."""
        if event_id is None:
            row = await self._db.read(lambda tx: memberships.get(tx, room_id, user_id))
            event_id = None if row is None else row.event_id
        for _ in range(10):
            found = await self._events.find(event_id) if event_id else None
            if found is None:
                return 0
            if await self._joins(user_id, found):
                return found.position
            before = await self._events.state_event(found.state_before, MEMBER, user_id)
            event_id = None if before is None else before.event_id
        return 0


def _counts(state: UnreadState) -> UnreadCounts:
    threads = state.counts()
    if not threads:
        return NOTHING
    highlights = sum(count for _, count in threads.values())
    threads.pop(MAIN, None)
    return UnreadCounts(notifications=state.size, highlights=highlights, threads=threads)


def _decoded(stored: Mapping[str, bytes], ignored: bytes) -> dict[str, UnreadState]:
    """Checkpoints, but for those that cannot be read any more, or that count whom the user ignores now."""
    found = {room_id: decoded(state) for room_id, state in stored.items()}
    return {
        room_id: state for room_id, state in found.items() if state is not None and state.ignored == ignored
    }


def _digest(ignored: frozenset[str]) -> bytes:
    """What tells one list of ignored users from another."""
    return blake2b("\n".join(sorted(ignored)).encode(), digest_size=8).digest() if ignored else b""


def _state_bytes(key: tuple[str, str], state: UnreadState) -> int:
    return 700 + state.position_bytes * 9 // 8 + 150 * len(state.marks) + 400 * len(state.threads)


def total(counts: Iterable[UnreadCounts]) -> UnreadCounts:
    """The sum over rooms: a badge."""
    items = list(counts)
    return UnreadCounts(
        notifications=sum(item.notifications for item in items),
        highlights=sum(item.highlights for item in items),
    )
