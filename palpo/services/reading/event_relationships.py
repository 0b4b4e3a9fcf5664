"""Walking through what relates to an event, up or down (MSC2836)."""

from __future__ import annotations

import hashlib
from collections import deque
from collections.abc import Awaitable, Callable, Sequence
from dataclasses import dataclass, field
from functools import partial

from palpo.core.canonical_json import to_json
from palpo.core.errors import NotFound
from palpo.core.identifiers import EventId, RoomId, UserId
from palpo.core.records.events import EventStatus, StoredEvent
from palpo.core.unpadded_base64 import encode
from palpo.db.engine import Database
from palpo.services.history.event_store import EventStore
from palpo.services.history.visibility import Visibility
from palpo.services.reading.remote_history import RemoteRelationships
from palpo.services.reading.timeline import Timeline
from palpo.storage import event_relationships as storage
from palpo.storage import relations
from palpo.storage.event_relationships import ChildSummary

MAX_FETCHES = 3
"""Events that others are asked for on one walk."""
MAX_EVENTS = 100
"""Events of one answer, and children of one event that are looked at."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Walk:
    """Where to walk and how far; ``max_depth`` None: as far as it goes."""

    event_id: EventId
    room_id: RoomId | None
    up: bool
    depth_first: bool
    recent_first: bool
    include_parent: bool
    include_children: bool
    limit: int
    max_depth: int | None
    max_breadth: int


@dataclass(frozen=True, slots=True, kw_only=True)
class Relationships:
    """What a walk came by, the event that it started from first."""

    events: list[StoredEvent]
    limited: bool
    """Whether there was more to find than the limit lets through."""


@dataclass(slots=True)
class Reader:
    """For whom a walk is."""

    visible: Callable[[Sequence[StoredEvent]], Awaitable[list[StoredEvent]]]
    """Those of events that the reader may see."""
    remote: RemoteRelationships | None = None
    fetches: int = 0


@dataclass(slots=True)
class _Found:
    """Events in the order they are answered; ``visited`` guards against circles."""

    limit: int
    events: dict[str, StoredEvent] = field(default_factory=dict)
    visited: set[str] = field(default_factory=set)

    def add(self, item: StoredEvent) -> None:
        self.events.setdefault(item.event_id, item)

    @property
    def full(self) -> bool:
        """Whether there is one more than the limit: enough to tell that there are more."""
        return len(self.events) > self.limit


class EventRelationships:
    """Walks from an event to its parents or to its children, as far as a user may see them."""

    def __init__(
        self,
        db: Database,
        store: EventStore,
        visibility: Visibility,
        timeline: Timeline,
        remote: RemoteRelationships | None = None,
    ) -> None:
        """``remote`` fetches what is not here; None where there is no federation."""
        self._remote = remote
        self._db = db
        self._store = store
        self._visibility = visibility
        self._timeline = timeline

    async def walk(self, walk: Walk, user_id: UserId) -> Relationships:
        """The events around one event. Raises NotFound where the user cannot see that one, and Forbidden."""
        anchor = await self._anchor(walk, user_id)
        remote = self._remote
        return await self.around(anchor, walk, Reader(partial(self._visible, user_id=user_id), remote))

    async def around(self, anchor: StoredEvent, walk: Walk, reader: Reader) -> Relationships:
        """The events around ``anchor`` that the reader may see."""
        found = _Found(walk.limit)
        found.add(anchor)
        if walk.include_parent:
            for parent in await self._parents(anchor, reader):
                found.add(parent)
        if walk.include_children:
            for child in await self._children(anchor, walk, reader, MAX_EVENTS):
                found.add(child)
        await self._explore(anchor, walk, reader, found)
        events = list(found.events.values())
        return Relationships(events=events[: walk.limit], limited=len(events) > walk.limit)

    async def with_children(self, events: Sequence[StoredEvent], shown: Sequence[bytes]) -> list[bytes]:
        """Rendered events, and in their ``unsigned`` how many children they have and a hash of those."""
        result = []
        for item, event in zip(events, shown, strict=True):
            find = partial(storage.summary, room_id=item.event.room_id, target=item.event_id)
            summary = await self._db.read(find)
            # A rendered event ends with its ``unsigned``, which is never empty.
            result.append(event[:-2] + _members(summary) + b"}}")
        return result

    async def _anchor(self, walk: Walk, user_id: UserId) -> StoredEvent:
        found = await self._store.find(walk.event_id)
        if _is_missing(found) and walk.room_id is not None and self._remote is not None:
            await self._timeline.readable_until(walk.room_id, user_id)
            await self._remote.related(walk.room_id, walk.event_id)
            found = await self._store.find(walk.event_id)
        if found is None:
            raise NotFound("Event not found")
        return await self._visibility.get(walk.room_id or found.event.room_id, walk.event_id, user_id)

    async def _explore(self, anchor: StoredEvent, walk: Walk, reader: Reader, found: _Found) -> None:
        waiting = deque([(anchor, 0)])
        while waiting and not found.full:
            item, depth = waiting.pop() if walk.depth_first else waiting.popleft()
            if item.event_id in found.visited:
                continue
            found.visited.add(item.event_id)
            found.add(item)
            if walk.max_depth is not None and depth >= walk.max_depth:
                continue
            following = await self._next(item, walk, reader)
            if walk.depth_first:
                following.reverse()
            waiting.extend((other, depth + 1) for other in following)

    async def _next(self, item: StoredEvent, walk: Walk, reader: Reader) -> list[StoredEvent]:
        if walk.up:
            return await self._parents(item, reader)
        return await self._children(item, walk, reader, walk.max_breadth)

    async def _parents(self, item: StoredEvent, reader: Reader) -> list[StoredEvent]:
        """The event that one relates to: none or one."""
        event_id, room_id = item.event_id, item.event.room_id
        relation = await self._db.read(lambda tx: relations.relation_of(tx, event_id))
        if relation is None:
            return []
        await self._fetch(relation[1], room_id, reader)
        return await self._seen([relation[1]], room_id, reader)

    async def _fetch(self, event_id: str, room_id: RoomId, reader: Reader) -> None:
        """Have an event fetched that is not here."""
        item = await self._store.find(event_id)
        if _is_missing(item) and reader.remote is not None and reader.fetches < MAX_FETCHES:
            reader.fetches += 1
            await reader.remote.related(room_id, event_id)

    async def _children(self, item: StoredEvent, walk: Walk, reader: Reader, limit: int) -> list[StoredEvent]:
        event_id, room_id = item.event_id, item.event.room_id
        ids = await self._db.read(
            lambda tx: storage.children(tx, room_id, event_id, recent_first=walk.recent_first, limit=limit)
        )
        return await self._seen(ids, room_id, reader)

    async def _seen(self, ids: Sequence[str], room_id: RoomId, reader: Reader) -> list[StoredEvent]:
        events = await self._store.get_list(list(ids))
        return await reader.visible([item for item in events if item.event.room_id == room_id])

    async def _visible(self, items: Sequence[StoredEvent], user_id: UserId) -> list[StoredEvent]:
        return await self._visibility.visible(await self._timeline.without_ignored(items, user_id), user_id)


def _members(summary: ChildSummary) -> bytes:
    """``children`` and ``children_hash``, each after a comma."""
    members = b',"children":' + to_json(summary.counts)
    if summary.ids is None:
        return members
    digest = hashlib.sha256("".join(sorted(summary.ids)).encode()).digest()
    return members + b',"children_hash":' + to_json(encode(digest))


def _is_missing(item: StoredEvent | None) -> bool:
    """Whether an event is not in the timeline here: not known, or only since another one refers to it."""
    return item is None or item.status is EventStatus.OUTLIER
