"""A client's filter, compiled for sync (spec: "Filtering")."""

from __future__ import annotations

from collections.abc import Callable, Collection
from dataclasses import dataclass

from palpo.core.events import Event
from palpo.core.identifiers import UserId
from palpo.services.personal.filters import Filters
from palpo.services.reading.event_filters import (
    parse_filter,
    plain_predicate,
    predicate,
    room_data_predicate,
    wants_nothing,
)
from palpo.streams.caches import Cache, CacheBudget
from palpo.wire.client.filters import Filter, RoomEventFilter, RoomFilter

DEFAULT_TIMELINE_LIMIT = 10
MAX_TIMELINE_LIMIT = 500

Wanted = Callable[[Event], bool]
WantedPlain = Callable[[str, str], bool]
"""By event type and sender."""
WantedOfRoom = Callable[[str, str, str], bool]
"""By room, event type and sender."""


@dataclass(frozen=True, slots=True, kw_only=True)
class SyncFilter:
    """What of a sync a client wants; a predicate that is None lets everything through."""

    timeline_limit: int = DEFAULT_TIMELINE_LIMIT
    timeline: Wanted | None = None
    state: Wanted | None = None
    lazy_members: bool = False
    include_redundant_members: bool = False
    include_leave: bool = False
    rooms: Collection[str] | None = None
    not_rooms: Collection[str] = frozenset()
    account_data: WantedPlain | None = None
    room_account_data: WantedOfRoom | None = None
    ephemeral: WantedOfRoom | None = None
    presence: WantedPlain | None = None
    unread_threads: bool = False
    federation_format: bool = False
    """Events are wanted as servers exchange them."""

    def wants_room(self, room_id: str) -> bool:
        """Whether anything of the room is wanted."""
        return room_id not in self.not_rooms and (self.rooms is None or room_id in self.rooms)


NO_FILTER = SyncFilter()


class SyncFilters:
    """Finds and compiles filters."""

    def __init__(self, filters: Filters, caches: CacheBudget) -> None:
        self._filters = filters
        self._compiled: Cache[bytes, SyncFilter] = caches.cache("compiled_filters", _filter_bytes)

    async def get(self, user_id: UserId, given: str | None) -> SyncFilter:
        """The filter that a request names by ID, or holds as JSON.

        Raises NotFound, NotJson, BadJson, InvalidParam.
        """
        if given is None:
            return NO_FILTER
        if given.startswith("{"):
            text = given.encode("utf-8", "replace")
        else:
            text = await self._filters.get(user_id, given)
        found = self._compiled.touch(text)
        if found is None:
            found = compile_filter(parse_filter(text))
            self._compiled.keep({text: found})
        return found


def _filter_bytes(text: bytes, compiled: SyncFilter) -> int:
    """Of the text, and of predicates made of what it lists."""
    return 2000 + 6 * len(text)


def compile_filter(filter_: Filter) -> SyncFilter:
    """The predicates that ``filter_`` describes."""
    room = filter_.room or RoomFilter()
    timeline = room.timeline or RoomEventFilter()
    state = room.state or RoomEventFilter()
    limit = DEFAULT_TIMELINE_LIMIT if timeline.limit is None else timeline.limit
    if wants_nothing(timeline):
        limit = 0
    return SyncFilter(
        timeline_limit=min(limit, MAX_TIMELINE_LIMIT),
        timeline=predicate(room.timeline),
        state=predicate(room.state),
        lazy_members=bool(state.lazy_load_members),
        include_redundant_members=bool(state.include_redundant_members),
        include_leave=bool(room.include_leave),
        rooms=None if room.rooms is None else frozenset(room.rooms),
        not_rooms=frozenset(room.not_rooms or ()),
        account_data=plain_predicate(filter_.account_data),
        room_account_data=room_data_predicate(room.account_data),
        ephemeral=room_data_predicate(room.ephemeral),
        presence=plain_predicate(filter_.presence),
        unread_threads=bool(timeline.unread_thread_notifications),
        federation_format=filter_.event_format == "federation",
    )
