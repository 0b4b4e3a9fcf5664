"""Where each room's history ends, as this process last saw it.

    head ─▶ state root ─▶ [known: key → event ID] ─▶ [events]

A head is only values. What is asked of its state goes by the root: what has been looked up of one is true for
ever, and what is known of it is known of the next, but for what has changed (``RoomHeads.written``). So a
message, which changes no state, costs look-ups in memory and nothing else.
"""

from __future__ import annotations

from collections.abc import Collection, Iterable, Mapping

import msgspec
from msgspec.structs import replace

from palpo.core import state_tree, unpadded_base64
from palpo.core.errors import NotFound
from palpo.core.event_hashes import reference_hash
from palpo.core.events import Event, SignedEvent, StateKey
from palpo.core.identifiers import RoomId
from palpo.core.membership import Membership, membership_of
from palpo.core.power_levels import PowerLevels
from palpo.core.room_versions import EventIdFormat, RoomVersion, room_version
from palpo.core.state_keys import CREATE, MEMBER, POWER_LEVELS
from palpo.db.engine import Database
from palpo.services.history.event_store import EventStore
from palpo.services.history.known_state import NOTHING, UNKNOWN, KnownState
from palpo.storage import rooms as rooms_storage
from palpo.storage.rooms import HeadRow
from palpo.streams import topics
from palpo.streams.caches import Cache, CacheBudget
from palpo.streams.wakeups import Wakeups

HEAD_BYTES = 700
"""What a head takes beside its extremities."""


class Unsaved(msgspec.Struct, frozen=True, kw_only=True):
    """How a state that is not stored yet differs from the one that it was built on."""

    root: bytes
    """The state that is stored."""
    events: Mapping[StateKey, SignedEvent]
    """What has been set since."""


class RoomHead(msgspec.Struct, frozen=True, kw_only=True):
    """A room's end: its extremities and its current state."""

    row: HeadRow
    rules: RoomVersion
    hashes: Mapping[str, str] = {}
    """Extremity → its reference hash (``hash_of``), where the room version names events with both, and the
    extremity was made by this process: it need not be stored yet."""
    unsaved: Unsaved | None = None
    """What storage does not have of the current state."""
    rerooted: bool = False
    """Whether the current state is another than it was, and no event that is about to be written says so."""

    completed: bool = False
    """Whether its state is whole from what is about to be written on, and was not before."""

    @property
    def room_id(self) -> RoomId:
        """The room."""
        return self.row.room_id

    @property
    def state_root(self) -> bytes:
        """The current state."""
        return self.row.state_root

    def advanced(self, event: SignedEvent, state_root: bytes) -> RoomHead:
        """The head once ``event``, which refers to every extremity, is the room's last."""
        row = replace(
            self.row,
            head=self.row.head + 1,
            extremities=(event.event_id,),
            depth=event.depth,
            place=self.row.place + 1,
            state_root=state_root,
            newest_outgoing=event.event_id,
        )
        unsaved = self.unsaved
        if event.state_key is not None:
            unsaved = unsaved or Unsaved(root=self.state_root, events={})
            unsaved = Unsaved(root=unsaved.root, events={**unsaved.events, event.key: event})
        return replace(self, row=row, hashes=hash_of(self.rules, event), unsaved=unsaved)

    def at(self, position: int) -> RoomHead:
        """The same once it is stored, with its last event's position."""
        row = replace(self.row, position=position)
        if self.rerooted:
            row = replace(row, rerooted=position)
        if self.completed:
            row = replace(row, whole_from=position)
        return replace(self, row=row, unsaved=None, rerooted=False, completed=False)


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
        self._states: Cache[bytes, KnownState] = caches.cache("known_states", lambda root, known: known.bytes)
        wakeups.listen(topics.HEAD, self._cache.forget)

    async def get(self, room_id: str) -> RoomHead:
        """The head of a room; raises NotFound where the room is not known, or has not begun."""
        head = self._cache.touch(room_id) or await self.known(room_id)
        if not head.row.extremities:
            raise NotFound("Room not found")
        return head

    async def known(self, room_id: str) -> RoomHead:
        """The same of a room that may not have begun; raises NotFound where it is not known."""
        return self._cache.touch(room_id) or await self._cache.read(room_id, lambda: self._read(room_id))

    async def _read(self, room_id: str) -> RoomHead:
        row = await self._db.read(lambda tx: rooms_storage.load_head(tx, room_id))
        if row is None:
            raise NotFound("Room not found")
        return RoomHead(row=row, rules=room_version(row.version))

    async def state(self, head: RoomHead, keys: Collection[StateKey]) -> dict[StateKey, Event]:
        """Those of ``keys`` that are set in the room's current state."""
        found: dict[StateKey, Event] = {}
        root = head.state_root
        if head.unsaved is not None:
            fresh, root = head.unsaved.events, head.unsaved.root
            found = {key: fresh[key] for key in keys if key in fresh}
            keys = [key for key in keys if key not in found]
        known = self._states.touch(root) or NOTHING
        missing: list[StateKey] = []
        for key in keys:
            event_id = known.ids.get(key, UNKNOWN)
            if event_id is None:
                continue
            item = self._store.kept(event_id)
            if item is None:
                missing.append(key)
            else:
                found[key] = item.event
        return found | await self._look_up(root, missing) if missing else found

    def lacks(self, head: RoomHead, keys: Iterable[StateKey]) -> bool:
        """Whether none of ``keys`` is set in the current state, as far as that is known without looking."""
        known = self._states.touch(head.state_root) if head.unsaved is None else None
        if known is None:
            return False
        return {known.ids.get(key, UNKNOWN) for key in keys} == {None}

    async def _look_up(self, root: bytes, keys: Collection[StateKey]) -> dict[StateKey, Event]:
        ids = await self._store.read_state(state_tree.get_many(root, keys))
        known = self._states.get(root) or NOTHING
        self._states.keep({root: known.including({key: ids.get(key) for key in keys})})
        return {key: item.event for key, item in (await self._store.events_of(ids)).items()}

    async def state_event(self, head: RoomHead, key: StateKey) -> Event | None:
        """One piece of the current state."""
        return (await self.state(head, (key,))).get(key)

    async def membership(self, head: RoomHead, user_id: str) -> Membership | None:
        """What a user is in the room; None for one who has never been anything there."""
        return membership_of(await self.state_event(head, (MEMBER, user_id)))

    async def power_levels(self, head: RoomHead) -> PowerLevels:
        """The power levels in force; raises AuthError where a room's are malformed."""
        state = await self.state(head, [CREATE, POWER_LEVELS])
        return PowerLevels.from_state(head.rules, state.get(CREATE), state.get(POWER_LEVELS))

    def written(self, heads: Iterable[tuple[RoomHead, int]]) -> None:
        """Keep heads that have just been stored, each with its last event's position."""
        for head, position in heads:
            if (unsaved := head.unsaved) is not None:
                known = self._states.pop(unsaved.root) or NOTHING
                changed = {key: event.event_id for key, event in unsaved.events.items()}
                self._states.keep({head.state_root: known.including(changed)})
            self._cache.keep({head.room_id: head.at(position)})

    def forget(self, room_ids: Iterable[str]) -> None:
        """Load these rooms' heads anew."""
        self._cache.forget(room_ids)


def _head_bytes(room_id: str, head: RoomHead) -> int:
    return HEAD_BYTES + 120 * len(head.row.extremities)
