"""Whose device list changed, as one user sees it (spec: "Tracking the device list for a user").

For sync and ``GET /keys/changes``::

    changes = await device_lists.changes_for(user_id, since, upto, rooms=rooms)
    changes.changed, changes.left          # sorted lists of user IDs

``rooms`` are those of the user's joined rooms in which anything happened in ``(since, upto]``; it may
hold more, and None stands for all of them. Where nothing of the kind happened, no query is made.
Positions are stream positions; ``upto`` must not be above what is visible (``wakeups.position``).

``changed`` has who updated device or cross-signing keys and shares a room with the user (or is the
user), and whoever the user may have come to share a room with; ``left`` those with whom the last
shared room is gone. A user who changed only the profile in a shared room is listed as well: that costs
a key query and is never wrong.
"""

from __future__ import annotations

from collections.abc import Collection
from dataclasses import dataclass

from palpo.db.engine import Database
from palpo.db.transaction import Transaction
from palpo.storage import device_lists as storage
from palpo.storage import memberships
from palpo.streams.last_changes import LastChanges
from palpo.streams.wakeups import Wakeups


@dataclass(frozen=True, slots=True, kw_only=True)
class DeviceListChanges:
    """User IDs, sorted."""

    changed: list[str]
    left: list[str]


NOTHING = DeviceListChanges(changed=[], left=[])


class DeviceLists:
    """Tells users whose keys to fetch again."""

    def __init__(self, db: Database, wakeups: Wakeups) -> None:
        self._db = db
        self._wakeups = wakeups
        self._last = LastChanges(wakeups, "device_list")

    async def changes_for(
        self, user_id: str, since: int, upto: int, *, rooms: Collection[str] | None = None
    ) -> DeviceListChanges:
        """What changed for ``user_id`` in ``(since, upto]``."""
        if since >= upto or (rooms is not None and not rooms and not self._last.any_since(since, upto)):
            return NOTHING
        return await self._db.read(lambda tx: self._read(tx, user_id, since, upto, rooms))

    async def _read(
        self, tx: Transaction, user_id: str, since: int, upto: int, rooms: Collection[str] | None
    ) -> DeviceListChanges:
        updated: set[str] = set()
        if self._last.any_since(since, upto):
            updated = await storage.changed_between(tx, None, since, upto, observer=user_id)
        if rooms is None:
            rooms = await memberships.joined_rooms(tx, user_id)
        moved = await _moved(tx, user_id, since, upto, rooms)
        sharing = await storage.sharing_with(tx, user_id, (updated | moved) - {user_id})
        changed = ((updated | moved) & sharing) | (updated & {user_id})
        return DeviceListChanges(changed=sorted(changed), left=sorted(moved - sharing - {user_id}))


async def _moved(tx: Transaction, user_id: str, since: int, upto: int, rooms: Collection[str]) -> set[str]:
    """Who may have begun or ceased to share a room with ``user_id``."""
    moved = {user for _, user in await storage.users_with_member_events(tx, rooms, since, upto)}
    own = await memberships.changed(tx, user_id, after=since, upto=upto)
    for membership in own:
        if membership.membership in ("join", "leave", "ban"):
            moved.update(await memberships.users_in_room(tx, membership.room_id))
    return moved
