"""Rooms as administrators see them: what is known of each, found and sorted in many ways."""

from __future__ import annotations

from collections.abc import AsyncIterator, Callable, Mapping, Sequence
from dataclasses import dataclass
from enum import Enum
from functools import partial

from palpo.core import state_tree
from palpo.core.events import Event, StateKey
from palpo.core.identifiers import RoomId
from palpo.core.state_keys import (
    AVATAR,
    CANONICAL_ALIAS,
    CREATE,
    ENCRYPTION,
    GUEST_ACCESS,
    HISTORY_VISIBILITY,
    JOIN_RULES,
    NAME,
    TOPIC,
)
from palpo.db.engine import Database
from palpo.db.transaction import Transaction
from palpo.services.history.event_store import EventStore
from palpo.services.history.room_heads import RoomHeads
from palpo.services.rooms.room_overviews import plain_topic
from palpo.storage import room_directory, room_lists
from palpo.storage.rooms import HeadRow
from palpo.streams import topics
from palpo.streams.caches import Cache, CacheBudget
from palpo.streams.wakeups import Wakeups

BATCH = 1000
TOMBSTONE: StateKey = ("m.room.tombstone", "")
SHOWN = (
    CREATE,
    NAME,
    TOPIC,
    AVATAR,
    CANONICAL_ALIAS,
    JOIN_RULES,
    GUEST_ACCESS,
    ENCRYPTION,
    HISTORY_VISIBILITY,
    TOMBSTONE,
)


@dataclass(frozen=True, slots=True, kw_only=True)
class RoomFacts:
    """What a room's state says."""

    room_id: RoomId
    version: str
    creator: str | None
    name: str | None
    topic: str | None
    avatar: str | None
    canonical_alias: str | None
    encryption: str | None
    federatable: bool
    join_rules: str | None
    guest_access: str | None
    history_visibility: str | None
    room_type: str | None
    state_events: int
    tombstoned: bool
    replacement_room: str | None


@dataclass(frozen=True, slots=True, kw_only=True)
class ListedRoom:
    """A room, who is in it, and whether the directory lists it."""

    facts: RoomFacts
    joined_members: int
    joined_local_members: int
    public: bool


@dataclass(frozen=True, slots=True, kw_only=True)
class RoomDetails:
    """The same, and what takes more to know."""

    room: ListedRoom
    joined_local_devices: int
    forgotten: bool
    """Whether all users here have forgotten it."""


class RoomOrder(Enum):
    """What a list of rooms is sorted by; numbers and flags have the greatest first."""

    NAME = "name"
    CANONICAL_ALIAS = "canonical_alias"
    JOINED_MEMBERS = "joined_members"
    JOINED_LOCAL_MEMBERS = "joined_local_members"
    VERSION = "version"
    CREATOR = "creator"
    ENCRYPTION = "encryption"
    FEDERATABLE = "federatable"
    PUBLIC = "public"
    JOIN_RULES = "join_rules"
    GUEST_ACCESS = "guest_access"
    HISTORY_VISIBILITY = "history_visibility"
    STATE_EVENTS = "state_events"


Key = Callable[[ListedRoom], tuple[int | str, ...]]


def _text_key(name: str) -> Key:
    def key(room: ListedRoom) -> tuple[int | str, ...]:
        value: str | None = getattr(room.facts, name)
        return (0, "") if value is None else (1, value.casefold(), value)

    return key


ORDERS: Mapping[RoomOrder, Key] = {
    **{
        order: _text_key(order.value)
        for order in RoomOrder
        if order.value in RoomFacts.__annotations__ and order is not RoomOrder.VERSION
    },
    RoomOrder.JOINED_MEMBERS: lambda room: (-room.joined_members,),
    RoomOrder.JOINED_LOCAL_MEMBERS: lambda room: (-room.joined_local_members,),
    RoomOrder.VERSION: lambda room: _descending(room.facts.version),
    RoomOrder.FEDERATABLE: lambda room: (-int(room.facts.federatable),),
    RoomOrder.PUBLIC: lambda room: (-int(room.public),),
    RoomOrder.STATE_EVENTS: lambda room: (-room.facts.state_events,),
}


@dataclass(frozen=True, slots=True, kw_only=True)
class RoomQuery:
    """Which rooms are wanted, and in which order."""

    search: str | None = None
    """Something in the name or in the alias's localpart, whatever its case, or in the room ID."""
    public: bool | None = None
    """Only those that the directory lists, or only others."""
    empty: bool | None = None
    """Only those that nobody is in, or only others."""
    order: RoomOrder = RoomOrder.NAME
    backwards: bool = False


class RoomLists:
    """Lists rooms; what their states say is kept in memory as long as they are the same."""

    def __init__(
        self, db: Database, events: EventStore, heads: RoomHeads, wakeups: Wakeups, caches: CacheBudget
    ) -> None:
        self._db = db
        self._events = events
        self._heads = heads
        self._facts: Cache[str, tuple[bytes, RoomFacts]] = caches.cache("room_facts")
        wakeups.listen(topics.REDACTED, self._facts.forget)

    async def find(self, query: RoomQuery) -> list[ListedRoom]:
        """All that are wanted, in order."""
        found = [room async for room in self._all() if _is_wanted(room, query)]
        found.sort(key=lambda room: room.facts.room_id)
        found.sort(key=ORDERS[query.order], reverse=query.backwards)
        return found

    async def details(self, room_id: RoomId) -> RoomDetails:
        """One room; raises NotFound."""
        head = await self._heads.get(room_id)
        (room,) = await self._listed([head.row])

        async def unit(tx: Transaction) -> RoomDetails:
            return RoomDetails(
                room=room,
                joined_local_devices=await room_lists.device_count(tx, room_id),
                forgotten=await room_lists.is_forgotten(tx, room_id),
            )

        return await self._db.read(unit)

    async def _all(self) -> AsyncIterator[ListedRoom]:
        after = ""
        while rows := await self._db.read(partial(room_lists.heads_after, room_id=after, limit=BATCH)):
            after = rows[-1].room_id
            for room in await self._listed([row for row in rows if row.extremities]):
                yield room

    async def _listed(self, rows: Sequence[HeadRow]) -> list[ListedRoom]:
        ids = [row.room_id for row in rows]

        async def unit(tx: Transaction) -> tuple[dict[str, int], dict[str, int], set[str]]:
            joined = await room_directory.joined_counts(tx, ids)
            return joined, await room_lists.local_counts(tx, ids), await room_lists.listed(tx, ids)

        facts = await self._facts_of(rows)
        joined, local, listed = await self._db.read(unit)
        return [
            ListedRoom(
                facts=facts[room_id],
                joined_members=joined.get(room_id, 0),
                joined_local_members=local.get(room_id, 0),
                public=room_id in listed,
            )
            for room_id in ids
        ]

    async def _facts_of(self, rows: Sequence[HeadRow]) -> dict[str, RoomFacts]:
        found: dict[str, RoomFacts] = {}
        missing: list[HeadRow] = []
        for row in rows:
            kept = self._facts.touch(row.room_id)
            if kept is not None and kept[0] == row.state_root:
                found[row.room_id] = kept[1]
            else:
                missing.append(row)
        with self._facts.reading() as reading:
            fresh = await self._read(missing)
            reading.keep({row.room_id: (row.state_root, fresh[row.room_id]) for row in missing})
        return found | fresh

    async def _read(self, rows: Sequence[HeadRow]) -> dict[str, RoomFacts]:
        states = await self._events.read_states([state_tree.get_many(row.state_root, SHOWN) for row in rows])
        counts = await self._events.read_states([state_tree.count(row.state_root) for row in rows])
        events = await self._events.get_many([name for ids in states for name in ids.values()])
        found: dict[str, RoomFacts] = {}
        for row, ids, count in zip(rows, states, counts, strict=True):
            state = {key: events[name].event for key, name in ids.items() if name in events}
            found[row.room_id] = _facts(row, state, count)
        return found


def _facts(row: HeadRow, state: Mapping[StateKey, Event], count: int) -> RoomFacts:
    create = state.get(CREATE)
    return RoomFacts(
        room_id=row.room_id,
        version=row.version,
        creator=None if create is None else create.sender,
        name=_text(state, NAME, "name"),
        topic=plain_topic(state.get(TOPIC)),
        avatar=_text(state, AVATAR, "url"),
        canonical_alias=_text(state, CANONICAL_ALIAS, "alias"),
        encryption=_text(state, ENCRYPTION, "algorithm"),
        federatable=create is None or create.content.get("m.federate") is not False,
        join_rules=_text(state, JOIN_RULES, "join_rule"),
        guest_access=_text(state, GUEST_ACCESS, "guest_access"),
        history_visibility=_text(state, HISTORY_VISIBILITY, "history_visibility"),
        room_type=_text(state, CREATE, "type"),
        state_events=count,
        tombstoned=TOMBSTONE in state,
        replacement_room=_text(state, TOMBSTONE, "replacement_room"),
    )


def _text(state: Mapping[StateKey, Event], key: StateKey, name: str) -> str | None:
    event = state.get(key)
    value = None if event is None else event.content.get(name)
    return value if isinstance(value, str) and value else None


def _descending(version: str) -> tuple[int | str, ...]:
    """Versions with the greatest number first; those that are no numbers are last."""
    return (0, -int(version)) if version.isdecimal() else (1, version)


def _is_wanted(room: ListedRoom, query: RoomQuery) -> bool:
    if query.public is not None and room.public is not query.public:
        return False
    if query.empty is not None and (room.joined_members == 0) is not query.empty:
        return False
    return not query.search or _matches(room.facts, query.search)


def _matches(facts: RoomFacts, search: str) -> bool:
    wanted = search.casefold()
    localpart = (facts.canonical_alias or "#")[1:].partition(":")[0]
    return (
        wanted in (facts.name or "").casefold() or wanted in localpart.casefold() or search in facts.room_id
    )
