"""Who has been erased (spec: client-server API, "Account deactivation"); asked for every event of others."""

from __future__ import annotations

from collections.abc import Collection

from palpo.db.engine import Database
from palpo.storage import erasures as storage
from palpo.streams import topics
from palpo.streams.caches import Cache, CacheBudget
from palpo.streams.wakeups import Wakeups


class Erasures:
    """Knows, of the users who were asked about last, whether they are erased."""

    def __init__(self, db: Database, wakeups: Wakeups, caches: CacheBudget) -> None:
        self._db = db
        self._known: Cache[str, bool] = caches.cache("erasures")
        wakeups.listen(topics.ERASURE, self._known.forget)

    async def among(self, user_ids: Collection[str]) -> frozenset[str]:
        """Those of ``user_ids`` who are erased."""
        found = {user_id: known for user_id in user_ids if (known := self._known.touch(user_id)) is not None}
        missing = [user_id for user_id in user_ids if user_id not in found]
        if missing:
            with self._known.reading() as reading:
                erased = await self._db.read(lambda tx: storage.erased(tx, missing))
                read = {user_id: user_id in erased for user_id in missing}
                reading.keep(read)
            found |= read
        return frozenset(user_id for user_id, erased in found.items() if erased)
