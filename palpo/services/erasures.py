"""Who has been erased (spec: client-server API, "Account deactivation"); asked for every event of others."""

from __future__ import annotations

from collections.abc import Collection

from palpo.db.engine import Commit, Database
from palpo.services.event_store import Bounded
from palpo.storage import erasures as storage
from palpo.streams.wakeups import Wakeups


class Erasures:
    """Knows, of the users who were asked about last, whether they are erased."""

    def __init__(self, db: Database, wakeups: Wakeups, *, cached: int = 50_000) -> None:
        self._db = db
        self._known: Bounded[str, bool] = Bounded(cached)
        self._changes = 0
        wakeups.subscribe(self._on_commit)

    async def among(self, user_ids: Collection[str]) -> frozenset[str]:
        """Those of ``user_ids`` who are erased."""
        missing = [user_id for user_id in user_ids if user_id not in self._known]
        known = {user_id: self._known.get(user_id, False) for user_id in user_ids}
        if missing:
            changes = self._changes
            erased = await self._db.read(lambda tx: storage.erased(tx, missing))
            read = {user_id: user_id in erased for user_id in missing}
            known |= read
            if changes == self._changes:
                self._known.keep(read)
        return frozenset(user_id for user_id, erased in known.items() if erased)

    def _on_commit(self, commit: Commit) -> None:
        if commit.all_topics or any(topic.startswith("erasure:") for topic in commit.topics):
            self._changes += 1
            self._known.clear()
