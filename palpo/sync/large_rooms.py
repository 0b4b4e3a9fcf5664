"""How many members large rooms have: counted once, and from then on by what differs from state to state.

A database counts a room's members one by one, at every change of any of them.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from typing import Any, TypeVar

from palpo.core import state_tree
from palpo.core.membership import INVITE, JOIN, membership_of
from palpo.core.state_keys import MEMBER
from palpo.core.state_tree import Reading
from palpo.db.transaction import Transaction
from palpo.services.history.event_store import EventStore
from palpo.storage import memberships, rooms
from palpo.streams.caches import Cache, CacheBudget

T = TypeVar("T")
LARGE = 1000
"""Members and invited ones: of fewer the database's own count is no slower."""
MAX_NODES = 500
"""Nodes of two states that are compared: where these differ in more, all are counted anew."""


@dataclass(frozen=True, slots=True)
class Counts:
    """Of a room in one of its states."""

    joined: int
    invited: int


class LargeRooms:
    """Keeps the counts of each in one of its states."""

    def __init__(self, store: EventStore, caches: CacheBudget) -> None:
        self._store = store
        self._kept: Cache[str, tuple[bytes, Counts]] = caches.cache("large_rooms")

    async def at(self, roots: Mapping[str, bytes]) -> dict[str, Counts]:
        """The counts of rooms in the states that ``roots`` has, as far as earlier ones are known of them."""
        found: dict[str, Counts] = {}
        for room_id, root in roots.items():
            kept = self._kept.touch(room_id)
            counts = None if kept is None else await self._moved(*kept, root)
            if counts is not None:
                found[room_id] = counts
                self._kept.keep({room_id: (root, counts)})
        return found

    def note(self, counted: Mapping[str, tuple[bytes, Counts]]) -> None:
        """Go on from what ``count_large`` has found."""
        self._kept.keep(dict(counted))

    async def _moved(self, before: bytes, counts: Counts, after: bytes) -> Counts | None:
        """The counts in the state ``after``; None where it is too far away."""
        changed = await self._store.read_state(_bounded(state_tree.diff(before, after), MAX_NODES))
        if changed is None:
            return None
        pairs = [pair for key, pair in changed.items() if key[0] == MEMBER]
        was, now = await self._count(old for old, _ in pairs), await self._count(new for _, new in pairs)
        if was is None or now is None:
            return None
        return Counts(counts.joined + now[JOIN] - was[JOIN], counts.invited + now[INVITE] - was[INVITE])

    async def _count(self, ids: Iterable[str | None]) -> Counter[Any] | None:
        """How many of the events each membership has."""
        names = [name for name in ids if name is not None]
        events = await self._store.get_many(names)
        if len(events) < len(names):
            return None
        return Counter(membership_of(item.event) for item in events.values())


async def count_large(
    tx: Transaction, counts: Mapping[str, Mapping[str, int]]
) -> dict[str, tuple[bytes, Counts]]:
    """Of those of the counted rooms that are large, a state, and the counts in it.

    ``counts`` has the rooms' members by membership.
    """
    found: dict[str, tuple[bytes, Counts]] = {}
    for room_id, count in counts.items():
        if count.get(JOIN, 0) + count.get(INVITE, 0) < LARGE:
            continue
        before = await rooms.load_head(tx, room_id)
        again = await memberships.counts(tx, room_id)
        after = await rooms.load_head(tx, room_id)
        # Of a room that is partial there may be rows of members that are not in its state yet.
        if before is not None and before == after and not before.is_partial:
            found[room_id] = before.state_root, Counts(again.get(JOIN, 0), again.get(INVITE, 0))
    return found


def _bounded(reading: Reading[T], most: int) -> Reading[T | None]:
    """The same, and None where it would read more than so many nodes."""
    read = 0
    answer: Any = None
    try:
        while True:
            wanted = reading.send(answer)
            read += len(wanted)
            if read > most:
                return None
            answer = yield wanted
    except StopIteration as done:
        found: T = done.value
        return found
