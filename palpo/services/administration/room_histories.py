"""Rooms' histories and spaces as administrators read them: whole, whoever is in the room."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import orjson

from palpo.core.errors import Forbidden, InvalidParam, NotFound
from palpo.core.identifiers import EventId, RoomId, UserId
from palpo.core.records.events import EventStatus, StoredEvent
from palpo.db.engine import Database
from palpo.services.history.event_store import EventStore
from palpo.services.history.room_access import RoomAccess
from palpo.services.history.room_heads import RoomHeads
from palpo.services.history.tokens import Order
from palpo.services.history.visibility import FOREVER, Visibility
from palpo.services.personal.account_data import AccountData
from palpo.services.reading.timeline import Context, Query, Stretch, Timeline
from palpo.services.rooms.room_summaries import RoomSummaries
from palpo.services.rooms.space_rooms import SpaceRoom
from palpo.streams.clock import Clock

MAX_ROOMS = 5000
"""How much of a space is looked at."""
MAX_PAGE = 100


@dataclass(frozen=True, slots=True, kw_only=True)
class SpacePage:
    """Some rooms of a space, depth first."""

    rooms: Sequence[SpaceRoom]
    next_from: int | None
    """Where the next page begins."""


class _Everything(Visibility):
    """Lets whoever asks see every event that was accepted."""

    def __init__(self, store: EventStore) -> None:
        self._all = store

    async def visible(self, events: Sequence[StoredEvent], user_id: UserId) -> list[StoredEvent]:
        return [item for item in events if item.status is EventStatus.ACCEPTED]

    async def get(self, room_id: RoomId, event_id: str, user_id: UserId) -> StoredEvent:
        found = await self._all.find(event_id)
        if found is None or found.event.room_id != room_id:
            raise NotFound("Event not found")
        return found


class _Whole(Timeline):
    """A timeline without bounds, in which nobody is ignored."""

    async def readable_until(self, room_id: RoomId, user_id: UserId) -> Order:
        await self._heads.get(room_id)
        return FOREVER

    async def without_ignored(self, page: Sequence[StoredEvent], user_id: UserId) -> Sequence[StoredEvent]:
        return page


class RoomHistories:
    """Reads what is here; other servers are not asked."""

    def __init__(
        self,
        db: Database,
        clock: Clock,
        events: EventStore,
        heads: RoomHeads,
        access: RoomAccess,
        account_data: AccountData,
        summaries: RoomSummaries,
    ) -> None:
        self._clock = clock
        self._events = events
        self._heads = heads
        self._summaries = summaries
        self._timeline = _Whole(db, events, heads, access, _Everything(events), account_data)

    async def messages(self, query: Query, from_token: str | None, to_token: str | None) -> Stretch:
        """A page of a room's timeline; raises NotFound, InvalidParam."""
        return await self._timeline.messages(query, from_token, to_token)

    async def members(self, page: Sequence[StoredEvent]) -> list[StoredEvent]:
        """The membership events of the senders of a page."""
        return await self._timeline.members(page)

    async def context(self, query: Query, event_id: EventId) -> Context:
        """An event and what is around it; raises NotFound."""
        return await self._timeline.context(query, event_id)

    async def near(self, room_id: RoomId, by: UserId, ts: int, *, backwards: bool) -> StoredEvent:
        """The event nearest to a time in one direction; raises NotFound."""
        return await self._timeline.near(room_id, by, ts, backwards=backwards)

    async def state(self, room_id: RoomId, type_: str | None = None) -> list[StoredEvent]:
        """A room's current state, or its events of one type; raises NotFound."""
        head = await self._heads.get(room_id)
        return list((await self._events.full_state(head.state_root, type_)).values())

    async def event(self, event_id: str) -> dict[str, object]:
        """An event as servers exchange it, with its ID; raises NotFound."""
        found = await self._events.pdus([event_id])
        if event_id not in found:
            raise NotFound("Event not found")
        pdu = orjson.loads(found[event_id])
        sent_ts = pdu["origin_server_ts"]
        age = max(0, self._clock.now_ms() - sent_ts)
        unsigned = {**pdu.get("unsigned", {}), "age": age, "age_ts": sent_ts}
        return {**pdu, "event_id": event_id, "unsigned": unsigned}

    async def space(
        self, room_id: RoomId, *, skipped: int = 0, limit: int = 50, max_depth: int | None = None
    ) -> SpacePage:
        """A room and those below it that are here, after ``skipped``; raises NotFound."""
        await self._heads.get(room_id)
        wanted = skipped + min(limit, MAX_PAGE)
        found: list[SpaceRoom] = []
        seen: set[str] = set()
        waiting: list[tuple[RoomId, int]] = [(room_id, 0)]
        while waiting and len(seen) < MAX_ROOMS:
            next_id, depth = waiting.pop()
            room = None if next_id in seen else await self._room(next_id)
            if room is None:
                continue
            seen.add(next_id)
            found.append(room)
            if len(found) > wanted:
                return SpacePage(rooms=found[skipped:wanted], next_from=wanted)
            if max_depth is None or depth < max_depth:
                below = [(RoomId(child.state_key or ""), depth + 1) for child in room.children]
                waiting.extend(reversed(below))
        return SpacePage(rooms=found[skipped:wanted], next_from=None)

    async def _room(self, room_id: RoomId) -> SpaceRoom | None:
        try:
            return await self._summaries.room(room_id)
        except (NotFound, Forbidden, InvalidParam):
            return None
