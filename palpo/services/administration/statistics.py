"""Who has most of what."""

from __future__ import annotations

from dataclasses import dataclass

from palpo.core.bounds import TOP
from palpo.db.engine import Database
from palpo.db.transaction import Transaction
from palpo.services.accounts.profiles import Profile
from palpo.storage import media_usage, profiles, room_sizes
from palpo.storage.media_usage import Usage
from palpo.storage.room_sizes import RoomSize

BATCH = 500
LARGEST = 10
"""Rooms that are told of."""


@dataclass(frozen=True, slots=True, kw_only=True)
class UserUsage:
    """What a user has uploaded, and what they are called."""

    usage: Usage
    displayname: str | None


class Statistics:
    """Counts when it is asked."""

    def __init__(self, db: Database) -> None:
        self._db = db

    async def media(
        self, *, from_ts: int = 0, until_ts: int | None = None, search: str | None = None
    ) -> list[UserUsage]:
        """What each user has uploaded within some time, in no order.

        ``search`` is something in the localpart of their user ID or in their name, whatever its case.
        """
        upto = TOP if until_ts is None else until_ts
        found = await self._db.read(lambda tx: media_usage.usage(tx, from_ts=from_ts, until_ts=upto))
        names = await self._names([item.user_id for item in found])
        all_ = [UserUsage(usage=item, displayname=names.get(item.user_id)) for item in found]
        return [item for item in all_ if search is None or _matches(item, search.casefold())]

    async def largest_rooms(self) -> list[RoomSize]:
        """The rooms that take most of the database, by their events."""
        return await self._db.read(lambda tx: room_sizes.largest(tx, LARGEST))

    async def _names(self, user_ids: list[str]) -> dict[str, str | None]:
        async def unit(tx: Transaction, start: int) -> dict[str, bytes]:
            return await profiles.get_many(tx, user_ids[start : start + BATCH])

        found: dict[str, str | None] = {}
        for start in range(0, len(user_ids), BATCH):
            stored = await self._db.read(lambda tx, start=start: unit(tx, start))  # type: ignore[misc]
            found |= {user_id: Profile.of(user_id, fields).displayname for user_id, fields in stored.items()}
        return found


def _matches(item: UserUsage, wanted: str) -> bool:
    localpart = item.usage.user_id[1:].partition(":")[0]
    return wanted in localpart.casefold() or wanted in (item.displayname or "").casefold()
