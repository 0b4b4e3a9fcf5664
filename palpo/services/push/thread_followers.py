"""Who follows which thread (MSC4306), for push rules that ask for it; from memory mostly."""

from __future__ import annotations

from functools import partial

from palpo.core.events import Event
from palpo.db.engine import Database
from palpo.services.history.threads import MAIN, Threads, relation
from palpo.storage import thread_subscriptions as storage
from palpo.streams import topics
from palpo.streams.caches import Cache, CacheBudget
from palpo.streams.wakeups import Wakeups


class ThreadFollowers:
    """Looks up the subscribers of a thread, and keeps them until one more or less follows it."""

    def __init__(self, db: Database, wakeups: Wakeups, threads: Threads, caches: CacheBudget) -> None:
        self._db = db
        self._threads = threads
        self._followers: Cache[str, frozenset[str]] = caches.cache("thread_followers")
        wakeups.listen(topics.THREAD_FOLLOWERS, self._followers.forget)

    async def follows(self, user_id: str, event: Event) -> bool | None:
        """Whether the user is subscribed to the thread that an event is in; None where it is in none."""
        if relation(event)[1] is None:
            return None
        root = await self._threads.thread_of(event)
        return None if root == MAIN else user_id in await self._of(event.room_id, root)

    async def _of(self, room_id: str, root: str) -> frozenset[str]:
        read = partial(storage.followers, room_id=room_id, root_id=root)
        return await self._followers.get_or_read(root, lambda: self._db.read(read))
