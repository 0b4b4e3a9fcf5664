"""Filters of lists, and lists of rooms that are kept sorted by activity: pure."""

from __future__ import annotations

from bisect import bisect_left, insort
from collections.abc import Iterator
from dataclasses import dataclass

from palpo.core.membership import INVITE
from palpo.storage.memberships import Member


@dataclass(frozen=True, slots=True, kw_only=True)
class RoomFacts:
    """What filters ask about a room."""

    encrypted: bool = False
    type: str | None = None


UNKNOWN = RoomFacts()


@dataclass(frozen=True, slots=True, kw_only=True)
class RoomFilter:
    """Which rooms are in a list (MSC4186, ``SlidingRoomFilter``); None does not ask."""

    dm: bool | None = None
    spaces: frozenset[str] | None = None
    encrypted: bool | None = None
    invited: bool | None = None
    types: frozenset[str | None] | None = None
    not_types: frozenset[str | None] = frozenset()
    tags: frozenset[str] | None = None
    not_tags: frozenset[str] = frozenset()

    @property
    def size(self) -> int:
        """How many rooms, types and tags it names."""
        return sum(
            len(names or ()) for names in (self.spaces, self.types, self.not_types, self.tags, self.not_tags)
        )

    @property
    def asks_facts(self) -> bool:
        """Whether the room's state matters."""
        return self.encrypted is not None or self.types is not None or bool(self.not_types)

    def matches(
        self, room: ListedRoom, facts: RoomFacts, personal: Personal, children: frozenset[str]
    ) -> bool:
        """Whether ``room`` is in the list; ``children`` are the rooms in the filter's spaces."""
        room_id = room.room_id
        tags = personal.tags.get(room_id, frozenset())
        return (
            (self.dm is None or self.dm == (room_id in personal.direct))
            and (self.invited is None or self.invited == (room.membership == INVITE))
            and (self.encrypted is None or self.encrypted == facts.encrypted)
            and (self.types is None or facts.type in self.types)
            and facts.type not in self.not_types
            and (self.spaces is None or room_id in children)
            and (self.tags is None or not self.tags.isdisjoint(tags))
            and self.not_tags.isdisjoint(tags)
        )


ALL_ROOMS = RoomFilter()


@dataclass(frozen=True, slots=True, kw_only=True)
class Personal:
    """What the user's account data says of rooms."""

    direct: frozenset[str] = frozenset()
    tags: dict[str, frozenset[str]]
    ignored: frozenset[str] = frozenset()


@dataclass(frozen=True, slots=True, kw_only=True)
class ListedRoom:
    """A room of a user's."""

    row: Member
    activity: int
    """The position of what last happened in it, as far as the user is concerned."""

    @property
    def room_id(self) -> str:
        """The room."""
        return self.row.room_id

    @property
    def membership(self) -> str:
        """``join``, ``invite``, ``knock``, ``leave`` or ``ban``."""
        return self.row.membership


class SortedRooms:
    """Rooms in the order of their activity, the latest first."""

    __slots__ = ("_keys", "_places")

    def __init__(self) -> None:
        self._keys: list[tuple[int, str]] = []
        self._places: dict[str, int] = {}

    def __len__(self) -> int:
        return len(self._keys)

    def put(self, room_id: str, activity: int) -> None:
        """Add a room, or move it to where it belongs now."""
        if self._places.get(room_id) == activity:
            return
        self.discard(room_id)
        self._places[room_id] = activity
        insort(self._keys, (-activity, room_id))

    def discard(self, room_id: str) -> None:
        """Take a room out, if it is in."""
        activity = self._places.pop(room_id, None)
        if activity is not None:
            del self._keys[bisect_left(self._keys, (-activity, room_id))]

    def within(self, ranges: tuple[tuple[int, int], ...] | None) -> Iterator[str]:
        """The rooms at those indexes, both ends included; every room for None."""
        for start, end in ranges if ranges is not None else ((0, len(self._keys)),):
            for _, room_id in self._keys[start : end + 1]:
                yield room_id
