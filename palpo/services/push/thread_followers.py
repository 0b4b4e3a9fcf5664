"""Who follows which thread (MSC4306), for push rules that ask for it; from memory mostly."""

from __future__ import annotations

from palpo.core.events import Event
from palpo.db.engine import Commit, Database
from palpo.services.history.threads import MAIN, Threads, relation
from palpo.storage import thread_subscriptions as storage
from palpo.streams.caches import Cache, CacheBudget
from palpo.streams.wakeups import Wakeups

PREFIX = storage.THREAD_TOPIC


class ThreadFollowers:
    """Looks up the subscribers of a thread, and keeps them until one more or less follows it."""

    def __init__(self, db: Database, wakeups: Wakeups, threads: Threads, caches: CacheBudget) -> None:
        self._db = db
        self._threads = threads
        self._followers: Cache[str, frozenset[str]] = caches.cache("thread_followers")
        self._changes = 0
        wakeups.subscribe(self._on_commit)

    async def follows(self, user_id: str, event: Event) -> bool | None:
        """Whether the user is subscribed to the thread that an event is in; None where it is in none."""
        if relation(event)[1] is None:
            return None
        root = await self._threads.thread_of(event)
        return None if root == MAIN else user_id in await self._of(event.room_id, root)

    async def _of(self, room_id: str, root: str) -> frozenset[str]:
        found = self._followers.get(root)
        if found is None:
            changes = self._changes
            found = await self._db.read(lambda tx: storage.followers(tx, room_id, root))
            if changes == self._changes:
                self._followers.keep({root: found})
        return found

    def _on_commit(self, commit: Commit) -> None:
        if commit.all_topics:
            self._changes += 1
            self._followers.clear()
            return
        for topic in commit.topics:
            if topic.startswith(PREFIX):
                self._changes += 1
                self._followers.pop(topic.removeprefix(PREFIX), None)
