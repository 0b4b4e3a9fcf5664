"""Which rooms a user is in, asked at every sync and changed rarely."""

from __future__ import annotations

from palpo.core.identifiers import UserId
from palpo.db.engine import Database
from palpo.storage import memberships
from palpo.storage.memberships import Member
from palpo.streams import topics
from palpo.streams.caches import Cache, CacheBudget
from palpo.streams.wakeups import Wakeups

MAX_READS = 3
"""How often memberships are read again because they changed meanwhile."""


class UserRooms:
    """Every membership of a user, kept until a commit says that something of the user's changed."""

    def __init__(self, db: Database, wakeups: Wakeups, caches: CacheBudget) -> None:
        self._db = db
        self._cache: Cache[str, dict[str, Member]] = caches.cache("memberships", _bytes)
        wakeups.listen(topics.MEMBER, self._cache.forget)

    async def get(self, user_id: UserId) -> dict[str, Member]:
        """The user's memberships that are not forgotten, by room; shared, so not to be changed.

        Nothing is awaited once they are known: they are those at the position visible at that moment.
        """
        found = self._cache.touch(user_id)
        return await self._load(user_id) if found is None else found

    async def _load(self, user_id: UserId) -> dict[str, Member]:
        for _ in range(MAX_READS):
            with self._cache.reading() as reading:
                rows = await self._db.read(lambda tx: memberships.of_user(tx, user_id))
                found: dict[str, Member] = {row.room_id: row for row in rows}
                if reading.keep({user_id: found}):
                    break
        return found

    async def changed(self, user_id: UserId, *, after: int, upto: int) -> list[Member]:
        """The memberships that last changed at a position in ``(after, upto]``, forgotten ones too."""
        return await self._db.read(lambda tx: memberships.changed(tx, user_id, after=after, upto=upto))


def _bytes(user_id: UserId, rows: dict[str, Member]) -> int:
    stripped = sum(len(row.stripped_state) for row in rows.values() if row.stripped_state is not None)
    return 400 + 600 * len(rows) + stripped
