"""Reading events and room state, through caches of things that never change."""

from __future__ import annotations

from collections.abc import AsyncIterator, Collection, Iterable, Mapping, Sequence
from functools import partial
from typing import TypeVar

from palpo.core import state_tree
from palpo.core.driving import drive_async, together
from palpo.core.errors import NotFound
from palpo.core.events import SignedEvent, StateKey
from palpo.core.records.events import EventStatus, StoredEvent
from palpo.core.state_tree import Reading
from palpo.db.engine import Database
from palpo.storage import events as events_storage
from palpo.storage import state as state_storage
from palpo.streams import topics
from palpo.streams.caches import Cache, CacheBudget
from palpo.streams.sizes import deep_size
from palpo.streams.turns import Turns
from palpo.streams.wakeups import Wakeups

T = TypeVar("T")

State = dict[StateKey, StoredEvent]

PART = 1000
"""Entries of a large state that are read together."""
EVENTS_AT_ONCE = 500
"""Events that are read together."""
AT_ONCE = 1000
"""State trees that are read together."""

SHARE = 1 / 4
"""Of the caches' budget, that events may have: there are always more of them."""
EVENT_BYTES = 450
"""What an event takes beside its client form and its content, where that is kept decoded."""
LARGE_BYTES = 8192
NODE_BYTES = 2 * 33 + state_tree.HASH_SIZE


class EventStore:
    """Events by ID and room state by root. Both are immutable, except that an event may be redacted."""

    def __init__(self, db: Database, wakeups: Wakeups, caches: CacheBudget) -> None:
        self._db = db
        self._events: Cache[str, StoredEvent] = caches.cache("events", event_bytes, share=SHARE)
        self._nodes: Cache[bytes, bytes] = caches.cache("state_nodes", _node_bytes)
        wakeups.listen(topics.EVENT, self._events.forget)

    async def get(self, event_id: str) -> StoredEvent:
        """One event; raises NotFound."""
        found = await self.find(event_id)
        if found is None:
            raise NotFound("Event not found")
        return found

    def kept(self, event_id: str) -> StoredEvent | None:
        """One event, if it is in memory."""
        return self._events.touch(event_id)

    async def find(self, event_id: str) -> StoredEvent | None:
        """One event, None where it is not stored."""
        return self.kept(event_id) or (await self.get_many([event_id])).get(event_id)

    async def get_many(self, ids: Iterable[str]) -> dict[str, StoredEvent]:
        """Those of ``ids`` that are stored, in the order in which they are given."""
        cache = self._events
        wanted = list(ids)
        found = cache.touch_all(wanted)
        # An event that a client names may be anything; with U+0000 in it no database would look it up.
        missing = [event_id for event_id in wanted if event_id not in found and "\0" not in event_id]
        if not missing:
            return found
        for at in range(0, len(missing), EVENTS_AT_ONCE):
            found.update(await self._load(missing[at : at + EVENTS_AT_ONCE]))
        return {event_id: found[event_id] for event_id in wanted if event_id in found}

    async def _load(self, missing: Sequence[str]) -> dict[str, StoredEvent]:
        with self._events.reading() as reading:
            rows = await self._db.read(lambda tx: events_storage.load_rows(tx, missing))
            fresh: dict[str, StoredEvent] = {}
            turns = Turns()
            for row in rows:
                await turns.breathe()
                item = events_storage.loaded(row)
                fresh[item.event_id] = item
            reading.keep(fresh)
        return fresh

    async def get_list(self, ids: Sequence[str]) -> list[StoredEvent]:
        """As ``get_many``, as a list."""
        return list((await self.get_many(ids)).values())

    async def signed(self, ids: Iterable[str]) -> dict[str, SignedEvent]:
        """Those of ``ids`` that are stored, as servers exchange them: read each time."""
        wanted = list(ids)
        if len(wanted) <= EVENTS_AT_ONCE:
            return await self._db.read(lambda tx: events_storage.load_signed(tx, wanted)) if wanted else {}
        found: dict[str, SignedEvent] = {}
        turns = Turns()
        for at in range(0, len(wanted), EVENTS_AT_ONCE):
            some = wanted[at : at + EVENTS_AT_ONCE]
            for row in await self._db.read(partial(events_storage.load_rows, ids=some)):
                await turns.breathe()
                found[row[0]] = events_storage.signed(row)
        return found

    async def statuses(self, ids: Iterable[str]) -> dict[str, EventStatus]:
        """What became of those of ``ids`` that are stored; more than a few of them."""
        wanted = list(ids)
        found: dict[str, EventStatus] = {}
        turns = Turns()
        for at in range(0, len(wanted), EVENTS_AT_ONCE):
            await turns.breathe()
            some = wanted[at : at + EVENTS_AT_ONCE]
            found |= await self._db.read(partial(events_storage.statuses, ids=some))
        return found

    async def pdus(self, ids: Iterable[str], pruned: Collection[str] = ()) -> dict[str, bytes]:
        """The same as JSON, in the order in which they are given; some of them ``pruned`` as if redacted."""
        wanted = [event_id for event_id in ids if "\0" not in event_id]
        rows = await self._db.read(lambda tx: events_storage.load_rows(tx, wanted)) if wanted else ()
        found = {row[0]: events_storage.pdu(row, pruned=row[0] in pruned) async for row in Turns().over(rows)}
        return {event_id: found[event_id] for event_id in wanted if event_id in found}

    async def state_in_parts(self, root: bytes) -> AsyncIterator[dict[StateKey, str]]:
        """The whole state ``root``, in parts of at most ``PART``: each event's ID by its key."""
        turns = Turns()
        for part in await self.read_state(state_tree.parts(root, PART)):
            await turns.breathe()
            yield await self.read_state(state_tree.items(part))

    async def read_state(self, operation: Reading[T], unsaved: Mapping[bytes, bytes] | None = None) -> T:
        """Run an operation of ``core.state_tree`` on the stored nodes, and those that are ``unsaved``."""
        return await drive_async(operation, partial(self._read_nodes, unsaved or {}))

    async def _read_nodes(self, unsaved: Mapping[bytes, bytes], names: Sequence[bytes]) -> dict[bytes, bytes]:
        """The nodes of these names; what is held here stays, whatever the cache drops meanwhile.

        Between large steps, and where none are wanted, others have their turn.
        """
        if len(names) >= state_tree.AT_ONCE or not names:
            await Turns().wait()
        nodes = self._nodes.touch_all(names)
        if len(nodes) < len(names):
            nodes |= {name: unsaved[name] for name in names if name in unsaved}
            missing = [name for name in names if name not in nodes]
            if missing:
                nodes |= await self._load_nodes(missing)
        return nodes

    async def read_states(self, operations: Sequence[Reading[T]]) -> list[T]:
        """The same for several operations, step by step together: what they need is loaded at once."""
        results: list[T] = []
        for start in range(0, len(operations), AT_ONCE):
            results += await self.read_state(together(operations[start : start + AT_ONCE]))
        return results

    async def _load_nodes(self, missing: Sequence[bytes]) -> dict[bytes, bytes]:
        loaded = await self._db.read(lambda tx: state_storage.load_nodes(tx, missing))
        self._nodes.keep(loaded)
        return loaded

    async def state_event(self, root: bytes, type_: str, state_key: str = "") -> StoredEvent | None:
        """One piece of the state ``root``, or None."""
        event_id = await self.read_state(state_tree.get(root, (type_, state_key)))
        return None if event_id is None else await self.get(event_id)

    async def state_events(self, root: bytes, keys: Iterable[StateKey]) -> State:
        """Those of ``keys`` that are set in the state ``root``."""
        return await self.events_of(await self.read_state(state_tree.get_many(root, keys)))

    async def full_state(self, root: bytes, type_: str | None = None) -> State:
        """The whole state ``root``, or its events of one type."""
        return await self.events_of(await self.read_state(state_tree.items(root, type_)))

    async def changed_state(self, before: bytes, after: bytes) -> State:
        """What is set in ``after`` and was not, or not so, in ``before``."""
        changed = await self.changed_ids(before, after)
        return await self.events_of({key: new for key, new in changed.items() if new is not None})

    async def changed_ids(self, before: bytes, after: bytes) -> dict[StateKey, str | None]:
        """The IDs of events that are set in ``after`` where ``before`` differs; None where none is."""
        changed = await self.read_state(state_tree.diff(before, after))
        return {key: new for key, (_, new) in changed.items()}

    async def events_of(self, ids: Mapping[StateKey, str]) -> State:
        """The events of a part of a state."""
        found = await self.get_many(ids.values())
        return {key: found[event_id] for key, event_id in ids.items() if event_id in found}

    def add(self, new: Iterable[StoredEvent], nodes: Mapping[bytes, bytes]) -> None:
        """Keep what has just been written."""
        self._events.keep({item.event_id: item for item in new})
        self._nodes.keep(nodes)


def event_bytes(event_id: str, item: StoredEvent) -> int:
    """What an event takes in memory."""
    decoded = item.event.decoded
    size = len(item.client)
    if size > LARGE_BYTES:
        size = size * 4 // 3  # With the gaps that blocks of such sizes leave between them.
    return EVENT_BYTES + size + (0 if decoded is None else deep_size(decoded))


def _node_bytes(name: bytes, node: bytes) -> int:
    return NODE_BYTES + len(node)
