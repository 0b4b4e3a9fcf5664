"""Whose device list changed, as one user sees it (spec: "Tracking the device list for a user").

For sync and ``GET /keys/changes``::

    changes = await device_lists.changes_for(user_id, since, upto, rooms=rooms)
    changes.changed, changes.left          # sorted lists of user IDs

``rooms`` are those of the user's joined rooms in which anything happened in ``(since, upto]``; it may
hold more, and None stands for all of them. Where nothing of the kind happened, no query is made.
Positions are stream positions; ``upto`` must not be above what is visible (``wakeups.position``). Whose
keys have changed since ``upto`` may be told of already: of each user only the last change is known.

``changed`` has who updated device or cross-signing keys and shares a room with the user (or is the
user), and whoever has come to share a room with the user; ``left`` those with whom no room is shared
any more. Who has come to share one with users of other servers is among ``changed`` too: these servers are
told of all devices then, and the user's other devices may check them.
"""

from __future__ import annotations

from collections.abc import Collection
from dataclasses import dataclass, field

from palpo.core.identifiers import server_name_of
from palpo.core.membership import JOIN, membership_of
from palpo.core.records.events import StoredEvent
from palpo.core.state_keys import MEMBER
from palpo.db.engine import Database
from palpo.db.transaction import Transaction
from palpo.services.history.event_store import EventStore
from palpo.services.history.recent_events import RecentEvents
from palpo.storage import device_lists as storage
from palpo.storage import memberships, partial_rooms, room_roots, shared_rooms
from palpo.streams import topics
from palpo.streams.caches import CacheBudget
from palpo.streams.last_changes import LastChanges
from palpo.streams.turns import Turns
from palpo.streams.wakeups import Wakeups

BATCH = 500
"""Events that are looked at together."""


@dataclass(frozen=True, slots=True, kw_only=True)
class DeviceListChanges:
    """User IDs, sorted."""

    changed: list[str]
    left: list[str]


NOTHING = DeviceListChanges(changed=[], left=[])


@dataclass(slots=True, kw_only=True)
class _Moves:
    """Who may have begun to share a room with a user, and who may have ceased to."""

    user_id: str
    began: set[str] = field(default_factory=set)
    ceased: set[str] = field(default_factory=set)


class DeviceLists:
    """Tells users whose keys to fetch again."""

    def __init__(
        self,
        db: Database,
        wakeups: Wakeups,
        events: EventStore,
        recent: RecentEvents,
        caches: CacheBudget,
    ) -> None:
        self._db = db
        self._events = events
        self._recent = recent
        self._last_lists = LastChanges(wakeups, topics.DEVICE_LIST, caches)
        self._last_memberships = LastChanges(wakeups, topics.MEMBER, caches)

    async def changes_for(
        self, user_id: str, since: int, upto: int, *, rooms: Collection[str] | None = None
    ) -> DeviceListChanges:
        """What changed for ``user_id`` in ``(since, upto]``."""
        lists = self._last_lists.any_since(since, upto)
        own = self._last_memberships.changed_since(user_id, since, upto)
        if since >= upto or (rooms is not None and not rooms and not lists and not own):
            return NOTHING
        began, ceased = set[str](), set[str]()
        if self._last_memberships.any_since(since, upto):
            moves = await self._moved(user_id, since, upto, rooms, own=own)
            began, ceased = moves.began, moves.ceased
        if not began and not ceased and not lists:
            return NOTHING

        async def unit(tx: Transaction) -> DeviceListChanges:
            updated: set[str] = set()
            if lists:
                updated = await storage.changed_since(tx, since, observer=user_id)
            moved = (began | ceased) - {user_id}
            sharing = await shared_rooms.sharing(tx, user_id, (updated | moved) - {user_id})
            changed = ((updated | began) & sharing) | ((updated | began) & {user_id})
            return DeviceListChanges(changed=sorted(changed), left=sorted(moved - sharing))

        return await self._db.read(unit)

    async def _moved(
        self, user_id: str, since: int, upto: int, rooms: Collection[str] | None, *, own: bool
    ) -> _Moves:
        """Who may have begun to share a room with ``user_id``, and who may have ceased to."""

        async def find(tx: Transaction) -> tuple[list[str], list[str], set[str]]:
            where = set(await memberships.joined_rooms(tx, user_id) if rooms is None else rooms)
            if own:  # The rooms that the user left are not among those joined.
                mine = await memberships.changed(tx, user_id, after=since, upto=upto)
                where.update(membership.room_id for membership in mine)
            rerooted = await room_roots.changed(tx, where, after=since, upto=upto)
            completed = await partial_rooms.completed(tx, rerooted, after=since, upto=upto)
            return await storage.member_events(tx, where, since, upto), rerooted, completed

        event_ids, rerooted, completed = await self._db.read(find)
        moves = _Moves(user_id=user_id)
        for start in range(0, len(event_ids), BATCH):
            for stored in await self._events.get_list(event_ids[start : start + BATCH]):
                member, joins = stored.event.state_key, _is_join(stored)
                if member is not None and await self._was_joined(stored, member) != joins:
                    await self._note(moves, stored.event.room_id, member, joins=joins)
        for room_id in rerooted:
            await self._note_differences(moves, room_id, since, upto, came=room_id not in completed)
        return moves

    async def _note_differences(
        self, moves: _Moves, room_id: str, since: int, upto: int, *, came: bool
    ) -> None:
        """Note whom the room's state says to have moved, though there may be no event of it.

        Who was only missing in the state has not come (``came`` is false): it is told of changes of theirs.
        """
        before, after = await self._root(room_id, since), await self._root(room_id, upto)
        if before is None or after is None or before == after:
            return
        changed = await self._events.changed_ids(before, after)
        keys = [key for key in changed if key[0] == MEMBER]
        turns = Turns()
        for start in range(0, len(keys), BATCH):
            some = keys[start : start + BATCH]
            were = await self._events.state_events(before, some)
            are = await self._events.state_events(after, some)
            async for key in turns.over(some):
                joins = _is_join(are.get(key))
                if _is_join(were.get(key)) != joins and (came or not joins):
                    await self._note(moves, room_id, key[1], joins=joins)

    async def _root(self, room_id: str, position: int) -> bytes | None:
        """The room's current state as it was at a position; None before the room began."""
        event_id = await self._recent.last_id(room_id, position)
        if event_id is None:
            return None
        last = await self._events.find(event_id)
        if last is None:  # The history up to there is being deleted at this moment.
            return None
        changed = await self._db.read(lambda tx: room_roots.at(tx, room_id, position))
        return changed[1] if changed is not None and changed[0] > last.position else last.room_state

    async def _note(self, moves: _Moves, room_id: str, member: str, *, joins: bool) -> None:
        """Note that a member has come or gone: everyone in the room, where it is the user."""
        moved = moves.began if joins else moves.ceased
        if member != moves.user_id:
            moved.add(member)
            return
        others = set(await self._db.read(lambda tx: memberships.users_in_room(tx, room_id))) - {member}
        moved.update(others)
        server = server_name_of(member)
        if joins and any(server_name_of(other) != server for other in others):
            moved.add(member)

    async def _was_joined(self, stored: StoredEvent, member: str) -> bool:
        """Whether ``member`` was joined before the event."""
        return _is_join(await self._events.state_event(stored.state_before, MEMBER, member))


def _is_join(stored: StoredEvent | None) -> bool:
    return stored is not None and membership_of(stored.event) == JOIN
