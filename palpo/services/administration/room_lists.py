"""Rooms as administrators see them: what is known of each, found and sorted in many ways."""

from __future__ import annotations

from collections.abc import Mapping, Sequence, Set
from dataclasses import dataclass

from palpo.core import state_tree
from palpo.core.events import Event, StateKey
from palpo.core.identifiers import RoomId
from palpo.core.records.rooms import RoomOrder
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
from palpo.db.transaction import Transaction, WriteTransaction
from palpo.services.history.event_store import EventStore
from palpo.services.history.room_heads import RoomHeads
from palpo.services.rooms.room_overviews import plain_topic
from palpo.storage import room_directory, room_lists
from palpo.storage import room_summaries as storage
from palpo.storage.accounts import listed as in_list
from palpo.storage.room_summaries import Found, Summary, Wanted
from palpo.storage.rooms import HeadRow
from palpo.streams import topics
from palpo.streams.caches import Cache, CacheBudget
from palpo.streams.wakeups import Wakeups

BATCH = 200
"""Rooms that are looked into together."""
AT_ONCE = 100
"""Rooms that have changed and are looked into before a list is shown; of more it says what was known last."""
MAX_REDACTED = 1000
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
    """Lists rooms, by summaries that are made where they are missing or out of date.

    What states say is kept in memory as long as they are the same.
    """

    def __init__(
        self, db: Database, events: EventStore, heads: RoomHeads, wakeups: Wakeups, caches: CacheBudget
    ) -> None:
        self._db = db
        self._events = events
        self._heads = heads
        self._facts: Cache[str, tuple[bytes, RoomFacts]] = caches.cache("room_facts")
        self._redacted: set[str] = set()
        """Rooms whose states may say something else than they did."""
        wakeups.listen(topics.REDACTED, self._on_redacted)

    async def find(
        self, query: RoomQuery, *, skipped: int = 0, limit: int = 100
    ) -> tuple[int, list[ListedRoom]]:
        """How many are wanted, and some of them, in order."""
        if await self.refresh(AT_ONCE) >= AT_ONCE:
            while await self.refresh(BATCH, new=True):
                pass
        wanted = Wanted(search=query.search, public=query.public, empty=query.empty)

        async def unit(tx: Transaction) -> tuple[int, list[Found]]:
            found = await storage.page(
                tx, wanted, order=query.order.value, backwards=query.backwards, skipped=skipped, limit=limit
            )
            if len(found) < limit and (found or not skipped):
                return skipped + len(found), found
            return await storage.total(tx, wanted), found

        total, found = await self._db.read(unit)
        return total, await self._shown(found)

    async def refresh(self, limit: int, *, new: bool = False) -> int:
        """Look into up to ``limit`` rooms that are ``new`` or have changed since; how many were."""
        redacted = set() if new else {self._redacted.pop() for _ in range(min(limit, len(self._redacted)))}

        async def unit(tx: Transaction) -> list[HeadRow]:
            if new:
                return await storage.missing(tx, limit)
            rows = await storage.outdated(tx, limit)
            others = redacted - {row.room_id for row in rows}
            return rows + (await storage.heads_of(tx, others) if others else [])

        rows = await self._db.read(unit)
        await self.summarize(rows)
        return len(rows)

    async def summarize(self, rows: Sequence[HeadRow]) -> None:
        """Store what is known of rooms that have begun, unless they have changed meanwhile."""
        if not rows:
            return
        summaries = [_summary(room, row) for row, room in zip(rows, await self._listed(rows), strict=True)]

        async def unit(tx: WriteTransaction) -> None:
            roots = {row.room_id for row in await storage.heads_of(tx, [row.room_id for row in rows])}
            await storage.put(tx, [item for item in summaries if item.room_id in roots])

        await self._db.write(unit)

    async def _shown(self, found: Sequence[Found]) -> list[ListedRoom]:
        outdated = [item.head for item in found if item.state_root != item.head.state_root]
        counted = {room.facts.room_id: room for room in await self._listed(outdated)} if outdated else {}
        facts = await self._facts_of([item.head for item in found if item.head.room_id not in counted])
        return [
            counted.get(item.head.room_id)
            or ListedRoom(
                facts=facts[item.head.room_id],
                joined_members=item.joined_members,
                joined_local_members=item.joined_local_members,
                public=item.public,
            )
            for item in found
        ]

    def _on_redacted(self, keys: Set[str] | None, position: int) -> None:
        self._facts.forget(keys, position)
        if len(self._redacted) < MAX_REDACTED:
            self._redacted |= keys or set()

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


def _summary(room: ListedRoom, row: HeadRow) -> Summary:
    facts = room.facts
    return Summary(
        room_id=facts.room_id,
        state_root=row.state_root,
        joined_members=room.joined_members,
        joined_local_members=room.joined_local_members,
        version=int(facts.version) if facts.version.isdecimal() and len(facts.version) < 10 else -1,
        federatable=facts.federatable,
        state_events=facts.state_events,
        name=in_list(facts.name or ""),
        canonical_alias=in_list(facts.canonical_alias or ""),
        creator=in_list(facts.creator or ""),
        encryption=in_list(facts.encryption or ""),
        join_rules=in_list(facts.join_rules or ""),
        guest_access=in_list(facts.guest_access or ""),
        history_visibility=in_list(facts.history_visibility or ""),
    )
