"""Where each room's history ends, as this process last saw it."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field, replace

from palpo.core import state_tree, unpadded_base64
from palpo.core.errors import NotFound
from palpo.core.events import Event, SignedEvent, StateKey, reference_hash
from palpo.core.power_levels import PowerLevels
from palpo.core.room_versions import EventIdFormat, RoomVersion, room_version
from palpo.core.state_keys import CREATE, POWER_LEVELS
from palpo.db.engine import Database
from palpo.services.history.event_store import EventStore
from palpo.services.history.known_state import KnownState
from palpo.storage import rooms as rooms_storage
from palpo.storage.rooms import HeadRow
from palpo.streams import topics
from palpo.streams.caches import Cache, CacheBudget
from palpo.streams.wakeups import Wakeups

HEAD_BYTES = 900
"""What a head takes beside its extremities and its known state."""


@dataclass(slots=True, kw_only=True)
class Unsaved:
    """What has been built onto a room's head and is not stored yet."""

    nodes: dict[bytes, bytes] = field(default_factory=dict)
    """Of the state tree."""
    events: dict[str, SignedEvent] = field(default_factory=dict)
    """State events by ID."""


@dataclass(frozen=True, slots=True, kw_only=True)
class RoomHead:
    """A room's end: its extremities, its current state, and the state that auth checks keep asking for."""

    row: HeadRow
    rules: RoomVersion
    known: KnownState = field(default_factory=KnownState)
    """Pieces of the current state that have been looked up."""
    hashes: Mapping[str, str] = field(default_factory=dict)
    """Extremity → its reference hash (``hash_of``), where the room version names events with both, and the
    extremity was made by this process: it need not be stored yet."""
    unsaved: Unsaved | None = None
    """What storage does not have of the current state; shared by the heads that are built in a row."""

    @property
    def room_id(self) -> str:
        """The room."""
        return self.row.room_id

    @property
    def state_root(self) -> bytes:
        """The current state."""
        return self.row.state_root

    def advanced(
        self, event: SignedEvent, state_root: bytes, nodes: Mapping[bytes, bytes] | None = None
    ) -> RoomHead:
        """The head once ``event``, which refers to every extremity, is the room's last.

        ``nodes`` are those that it adds to the state tree.
        """
        row = replace(
            self.row,
            head=self.row.head + 1,
            extremities=(event.event_id,),
            depth=event.depth,
            state_root=state_root,
        )
        hashes = hash_of(self.rules, event)
        if event.state_key is None:
            return replace(self, row=row, hashes=hashes)
        unsaved = self.unsaved or Unsaved()
        unsaved.nodes.update(nodes or {})
        unsaved.events[event.event_id] = event
        known = self.known.replaced(event.key, event)
        return replace(self, row=row, known=known, hashes=hashes, unsaved=unsaved)

    def at(self, position: int) -> RoomHead:
        """The same once it is stored, with its last event's position."""
        return replace(self, row=replace(self.row, position=position), unsaved=None)


def hash_of(rules: RoomVersion, event: SignedEvent) -> dict[str, str]:
    """Event ID → reference hash (unpadded base64), as the events that follow name both; ``{}`` where they
    name the ID alone."""
    if rules.event_id_format is not EventIdFormat.CHOSEN:
        return {}
    return {event.event_id: unpadded_base64.encode(reference_hash(rules, event.pdu))}


class RoomHeads:
    """Loads heads, and keeps them until a commit, or a write that finds them moved, says otherwise."""

    def __init__(self, db: Database, store: EventStore, wakeups: Wakeups, caches: CacheBudget) -> None:
        self._db = db
        self._store = store
        self._cache: Cache[str, RoomHead] = caches.cache("room_heads", _head_bytes)
        wakeups.listen(topics.HEAD, self._cache.forget)

    async def get(self, room_id: str) -> RoomHead:
        """The head of a room; raises NotFound where the room is not known."""
        return self._cache.touch(room_id) or await self._cache.read(room_id, lambda: self._read(room_id))

    async def _read(self, room_id: str) -> RoomHead:
        row = await self._db.read(lambda tx: rooms_storage.load_head(tx, room_id))
        if row is None:
            raise NotFound("Room not found")
        return RoomHead(row=row, rules=room_version(row.version))

    async def state(self, head: RoomHead, keys: Iterable[StateKey]) -> dict[StateKey, Event]:
        """Those of ``keys`` that are set in the room's current state."""
        known = head.known
        found: dict[StateKey, Event] = {}
        missing: list[StateKey] = []
        for key in keys:
            event = known.events.get(key)
            if event is not None:
                found[key] = event
            elif key not in known.absent:
                missing.append(key)
        if missing:
            found |= await self._look_up(head, missing)
        return found

    async def _look_up(self, head: RoomHead, keys: list[StateKey]) -> dict[StateKey, Event]:
        unsaved = head.unsaved or Unsaved()
        operation = state_tree.get_many(head.state_root, keys)
        ids = await self._store.read_state(operation, unsaved.nodes)
        events: dict[str, Event] = {
            name: unsaved.events[name] for name in ids.values() if name in unsaved.events
        }
        stored = await self._store.get_many([name for name in ids.values() if name not in events])
        events |= {name: item.event for name, item in stored.items()}
        found = {key: events[name] for key, name in ids.items() if name in events}
        for key in keys:
            head.known.add(key, found.get(key))
        if head.room_id in self._cache and self._cache.get(head.room_id) is head:
            self._cache.keep({head.room_id: head})
        return found

    async def power_levels(self, head: RoomHead) -> PowerLevels:
        """The power levels in force; raises AuthError where a room's are malformed."""
        state = await self.state(head, [CREATE, POWER_LEVELS])
        return PowerLevels.from_state(head.rules, state.get(CREATE), state.get(POWER_LEVELS))

    def keep(self, heads: Mapping[str, RoomHead]) -> None:
        """Remember heads that have just been written."""
        self._cache.keep(heads)

    def forget(self, room_ids: Iterable[str]) -> None:
        """Load these rooms' heads anew."""
        self._cache.forget(room_ids)


def _head_bytes(room_id: str, head: RoomHead) -> int:
    return HEAD_BYTES + 120 * len(head.row.extremities) + head.known.bytes
