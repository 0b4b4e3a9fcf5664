"""What one application service is interested in (spec: application service API, "Registration").

In everything that happens in a room of its namespaces, in a room with an alias of its namespaces, and in
a room that a user of its namespaces is in; and in its users' own memberships. Whose room it is at an event
is followed along the stream, so that it is right for events of long ago too.
"""

from __future__ import annotations

from functools import lru_cache

from palpo.config.appservices import Registration
from palpo.core.membership import JOIN, membership_of
from palpo.core.records.events import EventStatus, StoredEvent
from palpo.core.state_keys import MEMBER
from palpo.db.engine import Database
from palpo.services.history.event_store import EventStore
from palpo.storage import aliases, memberships
from palpo.storage import appservices as storage
from palpo.streams.caches import Cache, CacheBudget

CACHED_USERS = 20_000


class Interests:
    """Answers for one registration; ``wants_event`` is to be asked of every event, in order."""

    def __init__(
        self, registration: Registration, db: Database, events: EventStore, caches: CacheBudget
    ) -> None:
        self._registration = registration
        self._db = db
        self._events = events
        self._joined: Cache[str, set[str]] = caches.cache("appservice_rooms")
        """Its users in each room, as of ``_position``."""
        self._position = 0
        # Worked out, not read: it is never out of date.
        self.has_user = lru_cache(CACHED_USERS)(registration.has_user)

    def forget(self) -> None:
        """Begin anew: the next event that is asked about need not follow the last one."""
        self._joined.clear()

    def reached(self, position: int) -> None:
        """Every event up to ``position`` has been asked about."""
        self._position = position

    async def wants_event(self, item: StoredEvent) -> bool:
        """Whether the event is of interest."""
        self._position = item.position
        event = item.event
        target = event.state_key if event.type == MEMBER else None
        if item.status is not EventStatus.ACCEPTED:
            # Of a room that nobody here is in: all that anybody sees of it is an invite, and its end.
            return target is not None and self.has_user(target)
        joined = await self._before(item)
        wanted = bool(joined) or (target is not None and self.has_user(target))
        self._follow(item, joined, target)
        return wanted or await self._wants_place(event.room_id)

    async def wants_room(self, room_id: str) -> bool:
        """Whether what happens in a room now is of interest."""
        return bool(await self.users_in(room_id)) or await self._wants_place(room_id)

    async def users_in(self, room_id: str) -> set[str]:
        """Its users who are in a room now."""
        known = self._joined.touch(room_id)
        if known is not None:
            return known
        rows = await self._db.read(lambda tx: storage.members(tx, room_id))
        own = [row for row in rows if self.has_user(row[0])]
        joined = {user_id for user_id, membership, _ in own if membership == JOIN}
        if all(position <= self._position for _, _, position in own):
            self._joined.keep({room_id: joined})
        return joined

    async def wants_user(self, user_id: str) -> bool:
        """Whether a user is one of its own, or in a room of interest now."""
        if self.has_user(user_id):
            return True
        for room_id in await self._db.read(lambda tx: memberships.joined_rooms(tx, user_id)):
            if await self.wants_room(room_id):
                return True
        return False

    async def joins_or_leaves(self, item: StoredEvent) -> bool:
        """Whether the event makes its target join, or cease to be joined."""
        event = item.event
        if event.type != MEMBER or event.state_key is None or item.status is not EventStatus.ACCEPTED:
            return False
        before = await self._events.state_event(item.state_before, MEMBER, event.state_key)
        was = before is not None and membership_of(before.event) == JOIN
        return was != (membership_of(event) == JOIN)

    async def _wants_place(self, room_id: str) -> bool:
        registration = self._registration
        if registration.rooms and registration.has_room(room_id):
            return True
        if not registration.aliases:
            return False
        found = await self._db.read(lambda tx: aliases.of_room(tx, room_id))
        return any(registration.has_alias(alias) for alias in found)

    async def _before(self, item: StoredEvent) -> set[str]:
        """Its users in the event's room just before the event."""
        room_id = item.event.room_id
        joined = self._joined.touch(room_id)
        if joined is not None:
            return joined
        joined = set()
        for user_id, membership, position in await self._db.read(lambda tx: storage.members(tx, room_id)):
            if not self.has_user(user_id):
                continue
            if position >= item.position:
                # It has changed since, so the state before the event has to say what it was.
                before = await self._events.state_event(item.state_before, MEMBER, user_id)
                membership = "" if before is None else str(before.event.content.get("membership"))
            if membership == JOIN:
                joined.add(user_id)
        self._joined.keep({room_id: joined})
        return joined

    def _follow(self, item: StoredEvent, joined: set[str], target: str | None) -> None:
        if item.state_after != item.room_state:
            self._joined.pop(item.event.room_id, None)  # The room has forks: look again.
        elif target is not None and self.has_user(target):
            if membership_of(item.event) == JOIN:
                joined.add(target)
            else:
                joined.discard(target)
            self._joined.keep({item.event.room_id: joined})
