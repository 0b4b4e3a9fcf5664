"""Where each room's history ends, as this process last saw it."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field, replace

from palpo.core import unpadded_base64
from palpo.core.errors import NotFound
from palpo.core.events import Event, StateKey, reference_hash
from palpo.core.power_levels import PowerLevels
from palpo.core.room_versions import EventIdFormat, RoomVersion, room_version
from palpo.core.state_keys import CREATE, POWER_LEVELS
from palpo.db.engine import Commit, Database
from palpo.services.event_store import Bounded, EventStore
from palpo.storage import rooms as rooms_storage
from palpo.storage.rooms import HeadRow
from palpo.streams.wakeups import Wakeups


@dataclass(frozen=True, slots=True, kw_only=True)
class RoomHead:
    """A room's end: its extremities, its current state, and the state that auth checks keep asking for."""

    row: HeadRow
    rules: RoomVersion
    known: dict[StateKey, Event | None] = field(default_factory=dict)
    """Pieces of the current state that have been looked up; None for those that are not set."""
    hashes: Mapping[str, str] = field(default_factory=dict)
    """Extremity → its reference hash (``hash_of``), where the room version names events with both, and the
    extremity was made by this process: it need not be stored yet."""

    @property
    def room_id(self) -> str:
        """The room."""
        return self.row.room_id

    @property
    def state_root(self) -> bytes:
        """The current state."""
        return self.row.state_root

    def advanced(self, event: Event, state_root: bytes) -> RoomHead:
        """The head once ``event``, which refers to every extremity, is the room's last."""
        row = replace(
            self.row,
            head=self.row.head + 1,
            extremities=(event.event_id,),
            depth=event.depth,
            state_root=state_root,
        )
        known = self.known if event.state_key is None else {**self.known, event.key: event}
        return RoomHead(row=row, rules=self.rules, known=known, hashes=hash_of(self.rules, event))

    def at(self, position: int) -> RoomHead:
        """The same, with its last event's position."""
        return replace(self, row=replace(self.row, position=position))


def hash_of(rules: RoomVersion, event: Event) -> dict[str, str]:
    """Event ID → reference hash (unpadded base64), as the events that follow name both; ``{}`` where they
    name the ID alone."""
    if rules.event_id_format is not EventIdFormat.CHOSEN:
        return {}
    return {event.event_id: unpadded_base64.encode(reference_hash(rules, event.pdu))}


class RoomHeads:
    """Loads heads, and keeps them until a commit, or a write that finds them moved, says otherwise."""

    def __init__(self, db: Database, store: EventStore, wakeups: Wakeups, *, cached: int = 10_000) -> None:
        self._db = db
        self._store = store
        self._cache: Bounded[str, RoomHead] = Bounded(cached)
        self._moves = 0
        wakeups.subscribe(self._on_commit)

    async def get(self, room_id: str) -> RoomHead:
        """The head of a room; raises NotFound where the room is not known."""
        head = self._cache.touch(room_id)
        if head is not None:
            return head
        moves = self._moves
        row = await self._db.read(lambda tx: rooms_storage.load_head(tx, room_id))
        if row is None:
            raise NotFound("Room not found")
        head = RoomHead(row=row, rules=room_version(row.version))
        if moves == self._moves:
            self._cache.keep({room_id: head})
        return head

    async def state(self, head: RoomHead, keys: Iterable[StateKey]) -> dict[StateKey, Event]:
        """Those of ``keys`` that are set in the room's current state."""
        known = head.known
        wanted = list(keys)
        missing = [key for key in wanted if key not in known]
        if missing:
            found = await self._store.state_events(head.state_root, missing)
            known.update({key: found[key].event if key in found else None for key in missing})
        return {key: event for key in wanted if (event := known[key]) is not None}

    async def power_levels(self, head: RoomHead) -> PowerLevels:
        """The power levels in force; raises AuthError where a room's are malformed."""
        state = await self.state(head, [CREATE, POWER_LEVELS])
        return PowerLevels.from_state(head.rules, state.get(CREATE), state.get(POWER_LEVELS))

    def keep(self, heads: Mapping[str, RoomHead]) -> None:
        """Remember heads that have just been written."""
        self._cache.keep(heads)

    def forget(self, room_ids: Iterable[str]) -> None:
        """Load these rooms' heads anew."""
        for room_id in room_ids:
            self._cache.pop(room_id, None)

    def _on_commit(self, commit: Commit) -> None:
        if commit.all_topics:
            self._moves += 1
            self._cache.clear()
            return
        for topic in commit.topics:
            if topic.startswith("head:"):
                self._moves += 1
                self._cache.pop(topic.removeprefix("head:"), None)
