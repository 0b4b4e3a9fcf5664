"""A room's state as another server tells it, stored before anything of the room's history rests on it.

    state, auth chain ─▶ in order ─▶ judged by their auth events ─▶ outliers, 500 a transaction ─▶ root

The transactions take no stream position, so writes of other rooms go on between them. Whoever is interrupted
begins again: what is stored stays.
"""

from __future__ import annotations

import secrets
from collections import deque
from collections.abc import AsyncIterator, Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from functools import partial
from itertools import islice

from palpo.core import state_tree
from palpo.core.admission import why_rejected
from palpo.core.auth_rules import check_auth
from palpo.core.errors import AuthError, BadJson
from palpo.core.events import Event, SignedEvent, StateKey
from palpo.core.records.events import EventStatus, Refusal
from palpo.core.room_versions import EventIdFormat, RoomVersion
from palpo.core.state_keys import CREATE
from palpo.core.state_tree import EMPTY_ROOT
from palpo.db.engine import Database
from palpo.db.errors import UniqueViolation
from palpo.db.transaction import WriteTransaction
from palpo.services.history.event_stash import EventStash, check_same
from palpo.services.history.event_store import EventStore
from palpo.storage import event_refusals as event_refusals_storage
from palpo.storage import events as events_storage
from palpo.storage import rooms as rooms_storage
from palpo.storage import state as state_storage
from palpo.storage.events import NewEvent
from palpo.storage.rooms import HeadRow
from palpo.streams.clock import Clock
from palpo.streams.turns import Turns

BATCH = 500
"""Rows in one transaction."""
ATTEMPTS = 5
"""How often a batch is written anew because another process stored some of it meanwhile."""
CHAIN_BITS = 62


class StateImport:
    """Stores states of rooms, and what they rest on."""

    def __init__(
        self, db: Database, store: EventStore, clock: Clock, *, draw: Callable[[int], int] = secrets.randbits
    ) -> None:
        """``draw`` draws as many random bits as it is told to."""
        self._db = db
        self._store = store
        self._clock = clock
        self._draw = draw

    async def store(
        self,
        rules: RoomVersion,
        room_id: str,
        state: Sequence[SignedEvent],
        auth_chain: Sequence[SignedEvent],
    ) -> bytes:
        """Store a state, whose signatures and hashes have been checked; the root of what of it is good.

        An event is judged by its auth events. A rejected one is stored, but not in the state, nor is one
        that rests on it. One whose auth events cannot be had is left out. Raises BadJson for events of
        another room, for one that is stored with another hash, and for a state without its create event.
        """
        given = EventStash(rules, room_id)
        async for event in Turns().over([*auth_chain, *state]):
            given.add(event)
        return await self.store_given(rules, room_id, [event.event_id for event in state], given)

    async def store_given(
        self, rules: RoomVersion, room_id: str, state: Iterable[str], given: EventStash
    ) -> bytes:
        """The same of a state by its events' IDs, which are ``given`` with what they rest on."""
        keys = await _keys(state, given)
        create = await self._create(rules, room_id, keys.get(CREATE), given)
        is_known = await self._db.read(lambda tx: rooms_storage.load_head(tx, room_id)) is not None
        await self._db.write(lambda tx: rooms_storage.add(tx, _unbegun(rules, create)))
        await self._check_room(rules, room_id, create.event_id)
        is_new = not is_known and rules.event_id_format is not EventIdFormat.CHOSEN
        work = _Work(rules=rules, given=given, create=create, is_new=is_new)
        async for batch in _in_batches(_in_order(given, create.event_id)):
            await self._take(work, batch)
        good = [(key, name) async for key, name in Turns().over(keys.items()) if work.is_good(name)]
        return await self.store_root(good)

    async def _create(self, rules: RoomVersion, room_id: str, name: str | None, given: EventStash) -> Event:
        """The room's create event."""
        if rules.create_event_is_room_id:
            name = f"${room_id[1:]}"
        if name is None:
            raise BadJson("The state has no create event")
        if name in given:
            _check_create(rules, given[name])
            return given[name]
        found = await self._store.find(name)
        if found is None or found.event.room_id != room_id:
            raise BadJson("The create event is not there")
        return found.event

    async def _check_room(self, rules: RoomVersion, room_id: str, create_event_id: str) -> None:
        row = await self._db.read(lambda tx: rooms_storage.load_head(tx, room_id))
        if row is None or (row.version, row.create_event_id) != (rules.id, create_event_id):
            raise BadJson("The room is known with another version, or another create event")

    async def _take(self, work: _Work, batch: Sequence[str]) -> None:
        """Judge some events, and store those that are not."""
        outside = {
            name for event_id in batch for name in work.given.auth_events(event_id) if name not in work.status
        }
        known = [] if work.is_new else batch
        await self._recall(work, [*known, *(outside - work.given.keys())])
        turns = Turns()
        new = []
        for name in batch:
            await turns.breathe()
            if (judged := work.judge(name)) is not None:
                new.append(judged)
        if work.status.get(work.create.event_id) is EventStatus.REJECTED:
            raise BadJson("The room's create event is not allowed")
        if new:
            await self._write(new)

    async def _recall(self, work: _Work, names: Sequence[str]) -> None:
        """Note what is known of events."""
        known = await self._db.read(lambda tx: events_storage.statuses(tx, names))
        strangers = [name for name in known if name not in work.given]
        work.outside |= {name: item.event for name, item in (await self._store.get_many(strangers)).items()}
        work.status |= {name: known[name] for name in strangers}
        work.stored = {name: status for name, status in known.items() if name in work.given}
        if work.rules.event_id_format is EventIdFormat.CHOSEN:
            for name, event in (await self._store.signed(work.stored)).items():
                check_same(work.rules, work.given[name], event)

    async def _write(self, new: Sequence[NewEvent]) -> None:
        async def unit(again: bool, tx: WriteTransaction) -> None:
            due = new
            if again:
                known = await events_storage.statuses(tx, [item.event.event_id for item in new])
                due = [item for item in new if item.stored or item.event.event_id not in known]
            # Chains that begin have numbers of their own kind: positions of the stream are above 0.
            await events_storage.insert(tx, due, -1 - BATCH - self._draw(CHAIN_BITS))
            await event_refusals_storage.note(tx, due, (), self._clock.now_ms())

        for attempt in range(1, ATTEMPTS + 1):
            try:
                await self._db.write(partial(unit, attempt > 1))
                return
            except UniqueViolation:
                if attempt == ATTEMPTS:
                    raise

    async def store_root(self, entries: Sequence[tuple[StateKey, str]]) -> bytes:
        """Store a state of events that are stored; its root."""
        built = await _finished(entries)
        nodes = iter(built.new_nodes.items())
        while some := dict(islice(nodes, BATCH)):
            await self._db.write(partial(state_storage.insert_nodes, nodes=some))
        return built.root


@dataclass(slots=True, kw_only=True)
class _Work:
    """One state on its way in."""

    rules: RoomVersion
    given: EventStash
    create: Event
    is_new: bool
    """Whether nothing of the room was here, so that nothing of it has to be looked up."""
    outside: dict[str, Event] = field(default_factory=dict)
    """Auth events that are not given, and are stored."""
    status: dict[str, EventStatus] = field(default_factory=dict)
    """Of those of ``given`` that have been judged, and of those ``outside``."""
    stored: Mapping[str, EventStatus] = field(default_factory=dict)
    """Of those of the batch that are stored."""

    def is_good(self, name: str) -> bool:
        """Whether an event may be in a state."""
        return self.status.get(name, EventStatus.REJECTED) is not EventStatus.REJECTED

    def judge(self, name: str) -> NewEvent | None:
        """Judge an event; what is to be stored of it.

        An outlier is judged too: there may be no verdict on it yet.
        """
        known = self.stored.get(name)
        if known is not None and known is not EventStatus.OUTLIER:
            self.status[name] = known
            return None
        if any(auth not in self.status for auth in self.given.auth_events(name)):
            return None
        event = self.given[name]
        refusal = why_rejected(self.rules, event, self._auth(event), self._room(event))
        status = EventStatus.OUTLIER if refusal is None else EventStatus.REJECTED
        self.status[name] = status
        return None if status is known else _outlier(event, status, refusal, stored=known is not None)

    def _auth(self, event: SignedEvent) -> dict[str, tuple[Event, EventStatus]]:
        return {name: (self._event(name), self.status[name]) for name in event.auth_events}

    def _event(self, name: str) -> Event:
        return self.given[name] if name in self.given else self.outside[name]

    def _room(self, event: SignedEvent) -> Event | None:
        is_room = self.rules.create_event_is_room_id and event.event_id != self.create.event_id
        return self.create if is_room else None


def _outlier(event: SignedEvent, status: EventStatus, refusal: Refusal | None, *, stored: bool) -> NewEvent:
    return NewEvent(
        event=event,
        place=0,
        state_before=EMPTY_ROOT,
        state_after=EMPTY_ROOT,
        room_state=EMPTY_ROOT,
        status=status,
        refusal=refusal,
        stored=stored,
        elsewhere=True,
    )


def _unbegun(rules: RoomVersion, create: Event) -> HeadRow:
    """The row of a room of which nothing but outliers is here."""
    return HeadRow(
        room_id=create.room_id,
        version=rules.id,
        create_event_id=create.event_id,
        head=0,
        extremities=(),
        depth=0,
        state_root=EMPTY_ROOT,
    )


def _check_create(rules: RoomVersion, create: SignedEvent) -> None:
    """Raises BadJson: nobody begins a room that is not theirs, and what is known of one stays."""
    try:
        check_auth(rules, create, {})
    except AuthError as error:
        raise BadJson(f"The room's create event is not allowed: {error.message}") from error


async def _keys(state: Iterable[str], given: EventStash) -> dict[StateKey, str]:
    """What the state sets; raises BadJson where it is none."""
    keys: dict[StateKey, str] = {}
    async for name in Turns().over(state):
        key = given.key(name)
        if key is None:
            raise BadJson(f"{name} is no state event")
        if keys.setdefault(key, name) != name:
            raise BadJson(f"The state has two events for {key}")
    return keys


async def _in_order(given: EventStash, create: str) -> AsyncIterator[str]:
    """IDs, each after those of its auth events that are given; those that rest on themselves are left out."""
    lacking: dict[str, int] = {}
    citing: dict[str, list[str]] = {}
    ready: deque[str] = deque()
    turns = Turns()
    for name in given:
        await turns.breathe()
        needed = {auth for auth in given.auth_events(name) if auth in given}
        lacking[name] = len(needed)
        for auth in needed:
            citing.setdefault(auth, []).append(name)
        if not needed:
            (ready.append if name == create else ready.appendleft)(name)
    while ready:
        await turns.breathe()
        # The newest first: what rests on one event follows it, while that is still at hand.
        name = ready.pop()
        yield name
        for other in citing.pop(name, ()):
            await turns.breathe()  # Nearly all of them rest on the room's create event.
            lacking[other] -= 1
            if not lacking[other]:
                ready.append(other)


async def _in_batches(names: AsyncIterator[str]) -> AsyncIterator[list[str]]:
    batch: list[str] = []
    async for name in names:
        batch.append(name)
        if len(batch) == BATCH:
            yield batch
            batch = []
    if batch:
        yield batch


async def _finished(entries: Sequence[tuple[StateKey, str]]) -> state_tree.Update:
    """The state of ``entries``, made with turns of the loop between."""
    work = state_tree.building(entries)
    turns = Turns()
    while True:
        try:
            next(work)
        except StopIteration as done:
            update: state_tree.Update = done.value
            return update
        await turns.breathe()
