"""What push rules ask about a room, as it was at an event (spec: client-server API, "Push Rules").

Who may notify the room, how many are in it and what somebody is called there are read from the state at the
event, so that it does not matter when it is judged. Neighbouring events have the same state, or states that
differ in one piece: how many members there are is counted on from the nearest state that is known.
"""

from __future__ import annotations

from collections.abc import Collection, Iterable, Set
from dataclasses import dataclass, field

from palpo.core import state_tree
from palpo.core.errors import MatrixError
from palpo.core.membership import JOIN, membership_of
from palpo.core.power_levels import PowerLevels
from palpo.core.push_rules import RoomContext
from palpo.core.records.events import EventStatus, StoredEvent
from palpo.core.room_versions import ROOM_VERSIONS
from palpo.core.state_keys import CREATE, MEMBER, POWER_LEVELS
from palpo.db.engine import Database
from palpo.db.transaction import Transaction
from palpo.services.history.event_store import EventStore
from palpo.services.history.room_heads import RoomHeads
from palpo.storage import memberships
from palpo.storage import rooms as rooms_storage
from palpo.streams import topics
from palpo.streams.caches import Cache, CacheBudget
from palpo.streams.sizes import deep_size
from palpo.streams.wakeups import Wakeups

MAX_SENDERS = 20
AT_ONCE = 500
"""Member events that are looked at together."""
NO_NAME = ""


@dataclass(frozen=True, slots=True, kw_only=True)
class PushRoom:
    """A room in one of its states."""

    levels: PowerLevels
    member_count: int
    _contexts: dict[str, RoomContext] = field(default_factory=dict)

    def context(self, sender: str) -> RoomContext:
        """The context of an event by ``sender``."""
        found = self._contexts.get(sender)
        if found is None:
            if len(self._contexts) >= MAX_SENDERS:
                self._contexts.clear()
            found = self._contexts[sender] = RoomContext(
                member_count=self.member_count, sender_power=self.levels.user(sender), levels=self.levels
            )
        return found


OUTSIDE = PushRoom(levels=PowerLevels.from_state(ROOM_VERSIONS["1"], None, None), member_count=0)
"""A room that is not here, of which a user sees an invite only."""


class PushRooms:
    """Looks rooms up as they were at events, and keeps what it found by state."""

    def __init__(
        self, db: Database, wakeups: Wakeups, events: EventStore, heads: RoomHeads, caches: CacheBudget
    ) -> None:
        self._db = db
        self._events = events
        self._heads = heads
        self._rooms: Cache[tuple[bytes, bytes], PushRoom] = caches.cache("push_rooms", _room_bytes)
        self._names: Cache[tuple[bytes, str], str] = caches.cache("display_names")
        self._counts: Cache[bytes, int] = caches.cache("member_counts")
        self._counted: Cache[str, bytes] = caches.cache("counted_rooms")
        """Room → a state whose members have been counted."""
        wakeups.listen(topics.REDACTED, self._redacted)

    async def at(self, stored: StoredEvent) -> PushRoom:
        """The room: the levels that the event was sent with, the members once it was in."""
        if stored.status is EventStatus.OUTLIER:
            return OUTSIDE
        key = (stored.state_before, stored.state_after)
        return await self._rooms.get_or_read(key, lambda: self._room(stored))

    async def _room(self, stored: StoredEvent) -> PushRoom:
        levels = await self._levels(stored)
        return PushRoom(levels=levels, member_count=await self._member_count(stored))

    async def display_names(self, root: bytes, user_ids: Collection[str]) -> dict[str, str]:
        """What those of the users are called, in the state ``root``, who have a display name there."""
        known = {user_id: self._names.touch((root, user_id)) for user_id in user_ids}
        missing = [user_id for user_id, name in known.items() if name is None]
        if missing:
            with self._names.reading() as reading:
                members = await self._events.state_events(root, [(MEMBER, user_id) for user_id in missing])
                fresh = {user_id: _display_name(members.get((MEMBER, user_id))) for user_id in missing}
                reading.keep({(root, user_id): name for user_id, name in fresh.items()})
            known.update(fresh)
        return {user_id: name for user_id, name in known.items() if name}

    async def _levels(self, stored: StoredEvent) -> PowerLevels:
        """The power levels in force; the default ones where a room's are malformed."""
        rules = (await self._heads.get(stored.event.room_id)).rules
        state = await self._events.state_events(stored.state_before, [CREATE, POWER_LEVELS])
        create, levels = (state[key].event if key in state else None for key in (CREATE, POWER_LEVELS))
        try:
            return PowerLevels.from_state(rules, create, levels)
        except MatrixError:
            return PowerLevels.from_state(rules, create, None)

    async def _member_count(self, stored: StoredEvent) -> int:
        room_id, root = stored.event.room_id, stored.state_after
        count = self._counts.touch(root)
        if count is None:
            near = stored.state_before if stored.state_before in self._counts else None
            known = near or self._counted.touch(room_id)
            count = None if known is None else self._counts.touch(known)
            if known is None or count is None:
                known, count = await self._count_now(room_id)
            count += await self._difference(known, root)
            self._counts.keep({root: count})
        self._counted.keep({room_id: root})
        return count

    async def _count_now(self, room_id: str) -> tuple[bytes, int]:
        """The room's current state, and how many members are in it."""

        async def read(tx: Transaction) -> tuple[bytes, int, bool]:
            before = await rooms_storage.load_head(tx, room_id)
            counts = await memberships.counts(tx, room_id)
            after = await rooms_storage.load_head(tx, room_id)
            same = before is not None and after is not None and before.state_root == after.state_root
            root = state_tree.EMPTY_ROOT if after is None else after.state_root
            return root, counts.get(JOIN, 0), same or after is None

        while True:
            root, count, settled = await self._db.read(read)
            if settled:
                return root, count

    async def _difference(self, known: bytes, root: bytes) -> int:
        """How many more members are in the state ``root`` than in ``known``."""
        if known == root:
            return 0
        changed = await self._events.read_state(state_tree.diff(known, root))
        pairs = [pair for key, pair in changed.items() if key[0] == MEMBER]
        more = 0
        for start in range(0, len(pairs), AT_ONCE):
            some = pairs[start : start + AT_ONCE]
            more += await self._joined(new for _, new in some) - await self._joined(old for old, _ in some)
        return more

    async def _joined(self, event_ids: Iterable[str | None]) -> int:
        """How many of the member events say that somebody is in the room."""
        found = await self._events.get_list([event_id for event_id in event_ids if event_id is not None])
        return sum(membership_of(item.event) == JOIN for item in found)

    def _redacted(self, room_ids: Set[str] | None, position: int) -> None:
        """A redaction takes names and some levels away; who was a member it does not touch."""
        self._rooms.clear()
        self._names.clear()


def _display_name(member: StoredEvent | None) -> str:
    name = None if member is None else member.event.content.get("displayname")
    return name if isinstance(name, str) else NO_NAME


def _room_bytes(key: tuple[bytes, bytes], room: PushRoom) -> int:
    """With about as many senders as there are between two changes of the state."""
    return 1500 + 250 * MAX_SENDERS // 4 + deep_size(room.levels.content)
