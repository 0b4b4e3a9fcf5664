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
from dataclasses import dataclass

from palpo.core.identifiers import server_name_of
from palpo.core.membership import JOIN, membership_of
from palpo.core.records.events import StoredEvent
from palpo.core.state_keys import MEMBER
from palpo.db.engine import Database
from palpo.db.transaction import Transaction
from palpo.services.history.event_store import EventStore
from palpo.storage import device_lists as storage
from palpo.storage import memberships, shared_rooms
from palpo.streams import topics
from palpo.streams.caches import CacheBudget
from palpo.streams.last_changes import LastChanges
from palpo.streams.wakeups import Wakeups

BATCH = 500
"""Events that are looked at together."""


@dataclass(frozen=True, slots=True, kw_only=True)
class DeviceListChanges:
    """User IDs, sorted."""

    changed: list[str]
    left: list[str]


NOTHING = DeviceListChanges(changed=[], left=[])


class DeviceLists:
    """Tells users whose keys to fetch again."""

    def __init__(self, db: Database, wakeups: Wakeups, events: EventStore, caches: CacheBudget) -> None:
        self._db = db
        self._events = events
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
            began, ceased = await self._moved(user_id, since, upto, rooms, own=own)
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
    ) -> tuple[set[str], set[str]]:
        """Who may have begun to share a room with ``user_id``, and who may have ceased to."""

        async def find(tx: Transaction) -> list[str]:
            where = set(await memberships.joined_rooms(tx, user_id) if rooms is None else rooms)
            if own:  # The rooms that the user left are not among those joined.
                mine = await memberships.changed(tx, user_id, after=since, upto=upto)
                where.update(membership.room_id for membership in mine)
            return await storage.member_events(tx, where, since, upto)

        event_ids = await self._db.read(find)
        moved = set[str](), set[str]()
        for start in range(0, len(event_ids), BATCH):
            for stored in await self._events.get_list(event_ids[start : start + BATCH]):
                await self._note_move(stored, user_id, *moved)
        return moved

    async def _note_move(self, stored: StoredEvent, user_id: str, began: set[str], ceased: set[str]) -> None:
        """Note who was moved by a membership event: its user, or everyone in the room for ``user_id``."""
        member, joins = stored.event.state_key, _is_join(stored)
        if member is None or await self._was_joined(stored, member) == joins:
            return
        moved = began if joins else ceased
        if member != user_id:
            moved.add(member)
            return
        room_id = stored.event.room_id
        others = set(await self._db.read(lambda tx: memberships.users_in_room(tx, room_id))) - {user_id}
        moved.update(others)
        server = server_name_of(user_id)
        if joins and any(server_name_of(other) != server for other in others):
            moved.add(user_id)

    async def _was_joined(self, stored: StoredEvent, member: str) -> bool:
        """Whether ``member`` was joined before the event."""
        return _is_join(await self._events.state_event(stored.state_before, MEMBER, member))


def _is_join(stored: StoredEvent | None) -> bool:
    return stored is not None and membership_of(stored.event) == JOIN
