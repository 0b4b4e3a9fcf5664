"""Room summaries: counts, and the heroes that a room without a name is called by."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

from palpo.core.membership import BAN, INVITE, JOIN, LEAVE
from palpo.db.engine import Database
from palpo.db.transaction import Transaction
from palpo.services.history.event_store import EventStore
from palpo.storage import memberships
from palpo.streams import topics
from palpo.streams.caches import Cache, CacheBudget
from palpo.streams.wakeups import Wakeups
from palpo.sync.large_rooms import Counts, LargeRooms, count_large

MAX_HEROES = 5
GONE = (LEAVE, BAN)
HERE = (JOIN, INVITE)
NAME = "m.room.name"


@dataclass(frozen=True, slots=True, kw_only=True)
class RoomSummary:
    """``heroes`` is None for a room that has a name."""

    joined: int
    invited: int
    heroes: list[str] | None


@dataclass(frozen=True, slots=True, kw_only=True)
class _Members:
    """What a summary is made of, the same for every reader."""

    named: bool
    joined: int
    invited: int
    here: list[str]
    """The first users who are in an unnamed room or invited to it."""
    gone: list[str]
    """The first who have left, where hardly anybody is here."""


class Summaries:
    """Makes summaries (spec: "GET /sync", RoomSummary), and keeps each room's.

    It is kept as long as the room's state is the same and nothing of it is redacted.
    """

    def __init__(
        self, db: Database, store: EventStore, wakeups: Wakeups, caches: CacheBudget, large: LargeRooms
    ) -> None:
        self._db = db
        self._store = store
        self._large = large
        self._cache: Cache[str, tuple[bytes, _Members]] = caches.cache("summaries")
        # A redaction changes what a state says, but not the state.
        wakeups.listen(topics.REDACTED, self._cache.forget)

    async def get(self, room_id: str, user_id: str, root: bytes) -> RoomSummary:
        """The summary of a room in the state ``root``, as ``user_id`` sees it."""
        return (await self.get_many(user_id, {room_id: root}))[room_id]

    async def get_many(self, user_id: str, rooms: Mapping[str, bytes]) -> dict[str, RoomSummary]:
        """The same for each room of ``rooms``, which has their states' roots."""
        kept = {room_id: self._cache.touch(room_id) for room_id in rooms}
        known = {
            room_id: None if found is None or found[0] != rooms[room_id] else found[1]
            for room_id, found in kept.items()
        }
        missing = {room_id: rooms[room_id] for room_id, found in known.items() if found is None}
        if missing:
            known.update(await self._read(missing))
        return {
            room_id: RoomSummary(
                joined=members.joined, invited=members.invited, heroes=_heroes(members, user_id)
            )
            for room_id, members in known.items()
            if members is not None
        }

    async def _read(self, rooms: Mapping[str, bytes]) -> dict[str, _Members]:
        with self._cache.reading() as reading:
            named = {room_id: await self._named(root) for room_id, root in rooms.items()}
            counted = await self._large.at(rooms)
            loaded, large = await self._db.read(lambda tx: _load(tx, named, counted))
            self._large.note(large)
            reading.keep({room_id: (rooms[room_id], members) for room_id, members in loaded.items()})
        return loaded

    async def _named(self, root: bytes) -> bool:
        found = await self._store.state_event(root, NAME, "")
        name = None if found is None else found.event.content.get("name")
        return isinstance(name, str) and name != ""


def _heroes(members: _Members, user_id: str) -> list[str] | None:
    if members.named:
        return None
    for users in (members.here, members.gone):
        others = [other for other in users if other != user_id]
        if others:
            return others[:MAX_HEROES]
    return []


_Large = dict[str, tuple[bytes, Counts]]
"""Of large rooms that had to be counted, the state, and its counts."""


async def _load(
    tx: Transaction, named: Mapping[str, bool], counted: Mapping[str, Counts]
) -> tuple[dict[str, _Members], _Large]:
    """What the rooms' summaries are made of; ``counted`` are those whose counts are known."""
    uncounted = [room_id for room_id in named if room_id not in counted]
    counts = await memberships.counts_many(tx, uncounted) if uncounted else {}
    found: dict[str, _Members] = {}
    for room_id, has_name in named.items():
        count = counts.get(room_id, {})
        known = counted.get(room_id) or Counts(count.get(JOIN, 0), count.get(INVITE, 0))
        here = [] if has_name else await _first(tx, room_id, HERE)
        found[room_id] = _Members(
            named=has_name,
            joined=known.joined,
            invited=known.invited,
            here=here,
            gone=await _first(tx, room_id, GONE) if len(here) < 2 and not has_name else [],
        )
    return found, await count_large(tx, counts)


async def _first(tx: Transaction, room_id: str, wanted: tuple[str, ...]) -> list[str]:
    """The first users with one of the memberships: the reader may be one, so one more than are shown."""
    return [user for user, _ in await memberships.first_users(tx, room_id, wanted, MAX_HEROES + 1)]
