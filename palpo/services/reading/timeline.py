"""A room's history as one user reads it: page by page, around an event, near a time.

Places in it are orders, ``(place, position)``: a place is just after the event that stands there.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field, replace
from functools import partial

from palpo.core import state_tree
from palpo.core.errors import Forbidden, NotFound
from palpo.core.events import StateKey
from palpo.core.identifiers import EventId, RoomId, UserId
from palpo.core.records.events import StoredEvent
from palpo.core.state_keys import MEMBER
from palpo.db.engine import Database
from palpo.services.history.event_store import EventStore
from palpo.services.history.room_access import RoomAccess
from palpo.services.history.room_heads import RoomHeads
from palpo.services.history.tokens import UNBOUNDED, Order, Place, parse_pagination_token
from palpo.services.history.visibility import FOREVER, Visibility
from palpo.services.personal.account_data import AccountData
from palpo.services.reading.event_filters import Wanted, predicate
from palpo.services.reading.remote_history import RemoteHistory, RemoteTimes
from palpo.storage import events as storage
from palpo.storage import relations as relations_storage
from palpo.wire.client.filters import RoomEventFilter

BEGINNING: Order = (0, 0)
MAX_LIMIT = 1000
MAX_SCANNED = 2000
"""Events that one request looks at when a filter, or visibility, lets few through."""
MIN_PAGE = 20


@dataclass(frozen=True, slots=True, kw_only=True)
class Stretch:
    """Part of a room's timeline."""

    events: list[StoredEvent]
    """In the order in which they were read."""
    start: Place
    end: Place
    """Where reading goes on."""
    complete: bool
    """Whether there is nothing after ``end``."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Context:
    """An event and what is around it."""

    event: StoredEvent
    before: Stretch
    after: Stretch
    state: list[StoredEvent]


@dataclass(frozen=True, slots=True, kw_only=True)
class Query:
    """What is read of a room's timeline, and by whom."""

    room_id: RoomId
    user_id: UserId
    backwards: bool
    limit: int
    upto: int = UNBOUNDED
    """Backwards, only events at stream positions up to this are read."""
    filter: RoomEventFilter | None = None
    wanted: Wanted | None = field(init=False)

    def __post_init__(self) -> None:
        object.__setattr__(self, "wanted", predicate(self.filter))


class Timeline:
    """Reads room history."""

    def __init__(
        self,
        db: Database,
        store: EventStore,
        heads: RoomHeads,
        access: RoomAccess,
        visibility: Visibility,
        account_data: AccountData,
        remote: RemoteHistory | None = None,
        remote_times: RemoteTimes | None = None,
    ) -> None:
        """The remote ones fetch what is missing of histories; None where there is no federation."""
        self._remote = remote
        self._remote_times = remote_times
        self._db = db
        self._store = store
        self._heads = heads
        self._access = access
        self._visibility = visibility
        self._account_data = account_data

    async def readable_until(self, room_id: RoomId, user_id: UserId) -> Order:
        """How far into a room's timeline the user may look.

        Raises Forbidden for who is not in the room and never was, unless anybody may look.
        """
        try:
            head = await self._heads.get(room_id)
        except NotFound:
            raise Forbidden("You are not in the room") from None
        until = await self._visibility.sees_until(room_id, user_id)
        if until == FOREVER or await self._access.world_readable(head):
            return FOREVER
        if until < BEGINNING:
            raise Forbidden("You are not in the room, and were not before")
        return until

    async def place_of(self, room_id: RoomId, token: str) -> Place:
        """The place in the room's timeline that a token means; raises InvalidParam."""
        place = parse_pagination_token(token)
        if isinstance(place, Place):
            return place
        return Place(await self._db.read(lambda tx: storage.order_at(tx, room_id, place)), upto=place)

    async def messages(self, query: Query, from_token: str | None, to_token: str | None) -> Stretch:
        """A page of history. Raises Forbidden, InvalidParam."""
        room_id = query.room_id
        until = await self.readable_until(room_id, query.user_id)
        start = None if from_token is None else await self.place_of(room_id, from_token)
        stop = None if to_token is None else (await self.place_of(room_id, to_token)).order
        if query.backwards:
            if start is None:
                row = (await self._heads.get(room_id)).row
                start = Place(until if until != FOREVER else (row.place, row.position))
            if query.upto != start.upto:
                query = replace(query, upto=start.upto)
            return await self.walk(query, min(start.order, until), stop or BEGINNING)
        order = BEGINNING if start is None else start.order
        return await self.walk(query, order, min(stop or FOREVER, until))

    async def walk(self, query: Query, start: Order, stop: Order) -> Stretch:
        """Up to ``query.limit`` events between two places that the user may see and wants."""
        found: list[StoredEvent] = []
        at, complete, scanned = start, False, 0
        gaps = _Gaps(self._remote, query.room_id, query.backwards)
        while not complete and len(found) <= query.limit and scanned < MAX_SCANNED:
            asked = max(query.limit + 1 - len(found), MIN_PAGE)
            page = await self._page(query, at, asked)
            complete = len(page) < asked
            scanned += len(page)
            gap = await gaps.next(at, stop[0] if complete else page[-1].place)
            inside = page if gap is None else gaps.on_this_side(page, gap[1])
            complete = complete and gap is None
            if stop not in (BEGINNING, FOREVER):
                kept = [item for item in inside if _is_before_stop(item, stop, backwards=query.backwards)]
                complete = complete or len(kept) < len(inside)
                inside = kept
            if inside:
                at = place_after(inside[-1], backwards=query.backwards)
            found += await self._wanted(query, inside)
            if gap is None or complete:
                continue
            if len(found) >= query.limit or not await gaps.cross(gap[0], seen=bool(found)):
                break
        if len(found) > query.limit:
            found = found[: query.limit]
            complete = False
            at = place_after(found[-1], backwards=query.backwards) if found else start
        return Stretch(
            events=found, start=Place(start, query.upto), end=Place(at, query.upto), complete=complete
        )

    async def context(self, query: Query, event_id: EventId) -> Context:
        """An event and up to ``query.limit`` around it; raises NotFound."""
        room_id, user_id = query.room_id, query.user_id
        item = await self._visibility.get(room_id, event_id, user_id)
        after_limit = query.limit // 2
        back = replace(query, backwards=True, limit=query.limit - after_limit)
        before = await self.walk(back, place_after(item, backwards=True), BEGINNING)
        after = await self.walk(replace(query, backwards=False, limit=after_limit), item.order, FOREVER)
        last = after.events[-1] if after.events else item
        around = [*before.events, item, *after.events]
        state = await self._state(query, last.state_after, around)
        return Context(event=item, before=before, after=after, state=state)

    async def members(self, events: Sequence[StoredEvent]) -> list[StoredEvent]:
        """The membership events of the senders of a page (spec: "Lazy-loading room members")."""
        if not events:
            return []
        root = max(events, key=lambda item: item.order).state_after
        return list((await self._store.state_events(root, _member_keys(events))).values())

    async def near(self, room_id: RoomId, user_id: UserId, ts: int, *, backwards: bool) -> StoredEvent:
        """The event nearest to a time (ms since the Unix epoch) in one direction.

        Raises Forbidden, and NotFound where there is none that the user may see.
        """
        await self.readable_until(room_id, user_id)
        local = await self._near_here(room_id, user_id, ts, backwards=backwards)
        remote = await self._near_elsewhere(room_id, user_id, ts, local, backwards=backwards)
        found = remote or local
        if found is None:
            raise NotFound(f"There is no event {'before' if backwards else 'after'} {ts}")
        return found

    async def _near_elsewhere(
        self, room_id: RoomId, user_id: UserId, ts: int, local: StoredEvent | None, *, backwards: bool
    ) -> StoredEvent | None:
        """One that is nearer than ``local``, of what is missing here."""
        known = None if local is None else local.event.origin_server_ts
        if self._remote_times is None or known == ts:
            return None
        event_id = await self._remote_times.near(room_id, ts, backwards=backwards, limit_ts=known)
        item = None if event_id is None else await self._store.find(event_id)
        return item if item is not None and await self._visibility.sees(item, user_id) else None

    async def _near_here(
        self, room_id: RoomId, user_id: UserId, ts: int, *, backwards: bool
    ) -> StoredEvent | None:
        near = partial(storage.near_time, room_id=room_id, ts=ts, backwards=backwards)
        skipped = 0
        while skipped < MAX_SCANNED:
            asked = 1 if skipped == 0 else 100
            ids = await self._db.read(partial(near, limit=asked, skipped=skipped))
            seen = await self._visibility.visible(await self._store.get_list(ids), user_id)
            if seen:
                return seen[0]
            if len(ids) < asked:
                break
            skipped += asked
        return None

    async def without_ignored(self, page: Sequence[StoredEvent], user_id: UserId) -> Sequence[StoredEvent]:
        """The page without messages of users whom the reader ignores (spec: "Ignoring Users")."""
        ignored = await self._account_data.ignored_users(user_id)
        if not ignored:
            return page
        return [item for item in page if item.event.state_key is not None or item.event.sender not in ignored]

    async def with_children(
        self, page: Sequence[StoredEvent], filter_: RoomEventFilter
    ) -> Sequence[StoredEvent]:
        """The events of the page that others relate to as the filter says (``related_by_…``)."""
        rel_types, senders = filter_.related_by_rel_types, filter_.related_by_senders
        if not page or (rel_types is None and senders is None):
            return page
        ids = [item.event_id for item in page]
        related = await self._db.read(
            lambda tx: relations_storage.related(tx, ids, rel_types=rel_types, senders=senders)
        )
        return [item for item in page if item.event_id in related]

    async def _page(self, query: Query, at: Order, limit: int) -> list[StoredEvent]:
        room_id = query.room_id
        if query.backwards:
            unit = partial(storage.ids_before, room_id=room_id, order=at, limit=limit, upto=query.upto)
        else:
            unit = partial(storage.ids_after, room_id=room_id, order=at, limit=limit)
        return await self._store.get_list(await self._db.read(unit))

    async def _wanted(self, query: Query, page: Sequence[StoredEvent]) -> list[StoredEvent]:
        wanted = query.wanted
        page = await self.without_ignored(page, query.user_id)
        if wanted is not None:
            page = [item for item in page if wanted(item.event)]
        if query.filter is not None:
            page = await self.with_children(page, query.filter)
        return await self._visibility.visible(page, query.user_id)

    async def _state(self, query: Query, root: bytes, around: Sequence[StoredEvent]) -> list[StoredEvent]:
        lazy = query.filter is not None and bool(query.filter.lazy_load_members)
        if lazy:
            ids = await self._store.read_state(state_tree.items(root))
            members = set(_member_keys(around))
            kept = [id_ for key, id_ in ids.items() if key[0] != MEMBER or key in members]
            state = await self._store.get_list(kept)
        else:
            state = list((await self._store.full_state(root)).values())
        wanted = query.wanted
        return state if wanted is None else [item for item in state if wanted(item.event)]


@dataclass(slots=True)
class _Gaps:
    """What is missing in the part of a timeline that one request reads: one gap of it is filled."""

    _remote: RemoteHistory | None
    _room_id: RoomId
    _backwards: bool
    _passed: set[str] = field(default_factory=set)
    _filled: bool = False

    async def next(self, at: Order, upto: int) -> tuple[str, int] | None:
        """The first, from ``at`` on, with the place of the event that follows it."""
        if self._remote is None:
            return None
        return await self._remote.gap(self._room_id, at, upto, backwards=self._backwards, passed=self._passed)

    def on_this_side(self, page: Sequence[StoredEvent], place: int) -> list[StoredEvent]:
        """What of a page is read before a gap."""
        return [item for item in page if (item.place >= place) is self._backwards]

    async def cross(self, event_id: str, *, seen: bool) -> bool:
        """Fill a gap; whether to read on.

        What cannot be filled is for the next page. One that would be empty goes past it, and forwards all
        do: what comes next is on the other side, and only what is far from there is left out.
        """
        remote = self._remote
        if remote is not None and not self._filled:
            self._filled = True
            if await remote.fill(self._room_id, event_id):
                return True
        past = not (seen and self._backwards)
        if past:
            self._passed.add(event_id)
        return past


def place_after(item: StoredEvent, *, backwards: bool) -> Order:
    """Where reading goes on after an event: just after it, or just before."""
    place, position = item.order
    return (place, position - 1) if backwards else (place, position)


def _is_before_stop(item: StoredEvent, stop: Order, *, backwards: bool) -> bool:
    return item.order > stop if backwards else item.order <= stop


def _member_keys(events: Sequence[StoredEvent]) -> list[StateKey]:
    return [(MEMBER, sender) for sender in dict.fromkeys(item.event.sender for item in events)]
