"""The newest events of a room, as one user may see them and one filter wants them."""

from __future__ import annotations

from collections.abc import Awaitable, Callable
from dataclasses import dataclass
from functools import partial
from typing import Generic, TypeVar

from palpo.core.events import Event
from palpo.core.identifiers import UserId
from palpo.core.membership import JOIN
from palpo.core.records.events import StoredEvent
from palpo.core.state_keys import MEMBER
from palpo.db.engine import Database
from palpo.services.history.event_store import EventStore
from palpo.services.history.recent_events import RecentEvents
from palpo.services.history.room_heads import RoomHeads
from palpo.services.history.tokens import Order, Place, stream_token, timeline_token
from palpo.services.history.visibility import FOREVER, Visibility
from palpo.storage import events, room_roots
from palpo.storage.memberships import Member

MAX_ROUNDS = 8
"""How often more is read because the filter let too little through."""
FURTHER = 100
"""Events up to which each further round reads twice as many."""

Wanted = Callable[[Event], bool]
At = TypeVar("At", int, Order)
"""Where reading goes on: below a position, or a place in the timeline."""


@dataclass(frozen=True, slots=True, kw_only=True)
class TimelinePart:
    """A stretch of a room's timeline."""

    events: list[StoredEvent]
    """Oldest first."""
    limited: bool
    """Whether there is more between it and where the client's knowledge ends."""
    before: int | Place
    """The stream's position before the first event, or its place in the timeline where others came later."""
    complete: bool
    """Whether nothing within the stretch was left out."""

    @property
    def prev_batch(self) -> str:
        """The token with which a client reads on before it."""
        before = self.before
        return timeline_token(before) if isinstance(before, Place) else stream_token(before)


@dataclass(frozen=True, slots=True, kw_only=True)
class _Read(Generic[At]):
    events: list[StoredEvent]
    limited: bool
    at: At
    """Before all of it."""
    complete: bool
    in_order: bool
    """Whether what was read stands in the order of the timeline."""

    def part(self, before: int | Place) -> TimelinePart:
        return TimelinePart(events=self.events, limited=self.limited, before=before, complete=self.complete)


class Timelines:
    """Reads timelines for sync."""

    def __init__(
        self,
        db: Database,
        recent: RecentEvents,
        store: EventStore,
        heads: RoomHeads,
        visibility: Visibility,
    ) -> None:
        self._db = db
        self._recent = recent
        self._store = store
        self._heads = heads
        self._visibility = visibility

    async def latest(
        self, room_id: str, user_id: UserId, *, after: int, upto: int, limit: int, wanted: Wanted | None
    ) -> TimelinePart:
        """The newest ``limit`` events at positions in ``(after, upto]``, none before a gap.

        They are in the order in which they came. For a client that knows nothing yet (``after`` is 0) what
        came late has its place among the others, as in the pages before.
        """

        async def by_position(below: int, count: int) -> list[StoredEvent]:
            ids = await self._recent.latest_ids(room_id, after=after, upto=below, limit=count)
            return await self._store.get_list(ids)

        found = await self._read(by_position, _position_before, upto, user_id, limit, wanted)
        if after or found.in_order:
            return found.part(found.at)

        async def by_place(below: Order, count: int) -> list[StoredEvent]:
            unit = partial(events.ids_before, room_id=room_id, order=below, limit=count, upto=upto)
            return await self._store.get_list(await self._db.read(unit))

        placed = await self._read(by_place, _order_before, FOREVER, user_id, limit, wanted)
        return placed.part(Place(placed.at, upto))

    async def _read(
        self,
        page_before: Callable[[At, int], Awaitable[list[StoredEvent]]],
        before_item: Callable[[StoredEvent], At],
        at: At,
        user_id: UserId,
        limit: int,
        wanted: Wanted | None,
    ) -> _Read[At]:
        """The newest events before ``at``; what is no news is passed over."""
        found: list[StoredEvent] = []
        left_out = gap = False
        more, in_order, last = True, True, 2**62
        asked = limit + 1
        for _ in range(MAX_ROUNDS if limit else 1):
            page = await page_before(at, asked)
            more = len(page) == asked
            end = next((number for number, item in enumerate(page, 1) if item.after_gap), None)
            if end is not None:
                page, gap = page[:end], True
            for item in page:
                in_order, last = in_order and item.place <= last, item.place
            kept = await self._visibility.visible(page, user_id)
            if wanted is not None:
                kept = [item for item in kept if wanted(item.event)]
            left_out = left_out or len(kept) != len(page)
            found += [item for item in kept if item.position > 0]
            if gap or not more or len(found) > limit:
                break
            at = before_item(page[-1])
            asked = max(limit + 1 - len(found), min(2 * asked, FURTHER))
        chosen = found[:limit]
        chosen.reverse()
        if chosen:
            at = before_item(chosen[0])
        elif gap:
            at = before_item(page[-1])
        return _Read(
            events=chosen,
            limited=gap or more or len(found) > limit,
            at=at,
            complete=not left_out,
            in_order=in_order,
        )

    async def state_root(self, room_id: str, position: int) -> bytes | None:
        """The room's current state as it was at ``position``; None before the room began."""
        event_id = await self._recent.last_id(room_id, position)
        if event_id is None:
            return None
        last = await self._store.find(event_id)
        if last is None:  # The history up to there is being deleted at this moment.
            return None
        if (await self._heads.get(room_id)).row.rerooted > last.position:
            changed = await self._db.read(lambda tx: room_roots.at(tx, room_id, position))
            if changed is not None and changed[0] > last.position:
                return changed[1]
        return last.room_state

    async def end_root(self, room_id: str, upto: int) -> bytes:
        """The same of a room that has begun by ``upto``, from memory where it ends there."""
        head = await self._heads.get(room_id)
        if head.row.position <= upto:
            return head.state_root
        return await self.state_root(room_id, upto) or head.state_root

    async def is_whole(self, room_id: str, upto: int) -> bool:
        """Whether no members are missing in what is told of a room up to a position (MSC3902)."""
        return (await self._heads.get(room_id)).row.is_whole_at(upto)

    async def became_whole(self, room_id: str, after: int, upto: int) -> bool:
        """Whether they were missing until a position in ``(after, upto]``."""
        return after < (await self._heads.get(room_id)).row.whole_from <= upto

    async def joined_root(self, member: Member, position: int | None) -> bytes | None:
        """The same where the user of ``member`` was in the room at that position; None where not."""
        if position is None:
            return None
        if member.membership is JOIN and member.position <= position:
            return await self.state_root(member.room_id, position)
        root, before = await self.membership_at(member, position)
        return root if before == JOIN else None

    async def membership_at(self, member: Member, position: int) -> tuple[bytes | None, object]:
        """The state of the room at a position, and what the user of ``member`` was there."""
        root = await self.state_root(member.room_id, position)
        if root is None:
            return None, None
        own = await self._store.state_event(root, MEMBER, member.user_id)
        return root, None if own is None else own.event.content.get("membership")


def _position_before(item: StoredEvent) -> int:
    return item.position - 1


def _order_before(item: StoredEvent) -> Order:
    return item.place, item.position - 1
