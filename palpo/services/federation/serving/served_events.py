"""Events that other servers ask for: what is before others, and single ones.

Spec: server-server API, "Backfilling and retrieving missing events", "Retrieving events". What a server may
not see is redacted. Events that were rejected are given to nobody.
"""

from __future__ import annotations

import heapq
from collections.abc import Collection, Iterable, Sequence
from dataclasses import dataclass, field

from palpo.core.errors import NotFound
from palpo.core.events import SignedEvent
from palpo.core.records.events import EventStatus, StoredEvent
from palpo.db.engine import Database
from palpo.services.federation.servers.residents import Residents
from palpo.services.federation.servers.server_acls import ServerAcls
from palpo.services.history.event_store import EventStore
from palpo.services.history.server_visibility import ServerVisibility
from palpo.storage import events as storage

MAX_EVENTS = 100
"""Of one answer."""
MAX_STARTS = 20
"""Events from which one request has others looked for."""


class ServedEvents:
    """Reads events for servers that are in their rooms."""

    def __init__(
        self,
        db: Database,
        store: EventStore,
        residents: Residents,
        acls: ServerAcls,
        visibility: ServerVisibility,
    ) -> None:
        self._db = db
        self._store = store
        self._residents = residents
        self._acls = acls
        self._visibility = visibility

    async def one(self, server: str, event_id: str) -> bytes:
        """A PDU as JSON; raises NotFound, Forbidden."""
        item = await self._store.find(event_id)
        if item is None or item.status is EventStatus.REJECTED:
            raise NotFound("Event not found")
        await self._acls.check(item.event.room_id, server)
        await self._residents.check(item.event.room_id, server)
        return (await self.shown(server, [item]))[0]

    async def backfill(self, server: str, room_id: str, starts: Sequence[str], limit: int) -> list[bytes]:
        """PDUs of a room, the newest first: up to ``limit`` of ``starts`` and what is before them.

        Raises NotFound, Forbidden.
        """
        await self._residents.check(room_id, server)
        found = await self._walk(room_id, starts[:MAX_STARTS], _bounded(limit))
        return await self.shown(server, found)

    async def missing(
        self,
        server: str,
        room_id: str,
        *,
        earliest: Collection[str],
        latest: Sequence[str],
        limit: int,
        min_depth: int,
    ) -> list[bytes]:
        """PDUs of a room, the oldest first: the newest before ``latest`` and not before ``earliest``.

        Raises NotFound, Forbidden.
        """
        await self._residents.check(room_id, server)
        graph = _Graph(self._db, self._store, room_id)
        await graph.load(latest[:MAX_STARTS])
        starts = [name for start in latest[:MAX_STARTS] for name in graph.before(start)]
        found = await self._walk(
            room_id, starts, _bounded(limit), stops={*earliest, *latest}, min_depth=min_depth
        )
        return await self.shown(server, found[::-1])

    async def shown(self, server: str, items: Sequence[StoredEvent]) -> list[bytes]:
        """PDUs of one room as a server that is in it may have them."""
        hidden = await self._visibility.hidden(items, server)
        return list((await self._store.pdus([item.event_id for item in items], hidden)).values())

    async def _walk(
        self,
        room_id: str,
        starts: Sequence[str],
        limit: int,
        *,
        stops: Collection[str] = (),
        min_depth: int = 0,
    ) -> list[StoredEvent]:
        """Up to ``limit`` events from ``starts`` on and backwards, as they stand in the room's timeline."""
        graph = _Graph(self._db, self._store, room_id)
        await graph.prepare(starts, limit)
        found: list[StoredEvent] = []
        seen = set(stops)
        waiting: list[tuple[int, int, str]] = []
        names: Iterable[str] = starts
        while True:
            fresh = list(dict.fromkeys(name for name in names if name not in seen))
            seen.update(fresh)
            await graph.load(fresh)
            for name in fresh:
                if (item := graph.get(name)) is not None:
                    heapq.heappush(waiting, (-item.place, -item.position, name))
            if not waiting or len(found) == limit:
                return found
            name = heapq.heappop(waiting)[-1]
            if graph.depth(name) >= min_depth:
                found.append(graph.items[name])
            names = graph.before(name)


def _bounded(limit: int) -> int:
    return max(0, min(limit, MAX_EVENTS))


@dataclass(slots=True)
class _Graph:
    """The part of a room's history that has been looked at."""

    _db: Database
    _store: EventStore
    _room_id: str
    items: dict[str, StoredEvent] = field(default_factory=dict)
    _signed: dict[str, SignedEvent] = field(default_factory=dict)

    async def prepare(self, starts: Sequence[str], limit: int) -> None:
        """Load at once what is most likely wanted: what stands before the starts in the timeline."""
        await self.load(starts)
        orders = [item.order for name in starts if (item := self.get(name)) is not None]
        if orders and limit:
            unit = storage.ids_before
            last = max(orders)
            await self.load(await self._db.read(lambda tx: unit(tx, self._room_id, last, limit, upto=2**62)))

    async def load(self, names: Iterable[str]) -> None:
        """Read events that are not here yet."""
        wanted = [name for name in names if name not in self.items]
        items = await self._store.get_many(wanted)
        kept = {name: item for name, item in items.items() if self._is_of_room(item)}
        self._signed |= await self._store.signed(kept)
        # What is in memory may be gone from the database: history is purged.
        self.items |= {name: item for name, item in kept.items() if name in self._signed}

    def get(self, name: str) -> StoredEvent | None:
        """An event that was loaded, None where it is not stored or may not be given away."""
        return self.items.get(name)

    def before(self, name: str) -> Sequence[str]:
        """The events before one."""
        return self._signed[name].prev_events if name in self._signed else ()

    def depth(self, name: str) -> int:
        """The depth that its sender claims."""
        return self._signed[name].depth

    def _is_of_room(self, item: StoredEvent) -> bool:
        judged = item.status not in (EventStatus.REJECTED, EventStatus.OUTLIER)
        return judged and item.event.room_id == self._room_id
