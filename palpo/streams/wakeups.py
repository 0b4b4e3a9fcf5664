"""Who waits for what: topics, and the position that is visible.

A wake-up is a hint. Whoever is woken reads the database from the position that it had reached; a
hint that is lost costs time and loses nothing.

Topics are ``kind:id``: ``room:!id`` for anything in a room, ``user:@id`` for anything of a user's
own, ``session:@id`` for revoked tokens. ``*`` stands for "something, somewhere".
"""

from __future__ import annotations

import asyncio
from collections import defaultdict
from collections.abc import Callable, Iterable

from palpo.db.engine import Commit

EVERYTHING = "*"


class Wakeups:
    """The waiters of this process, by topic."""

    def __init__(self) -> None:
        self.position = 0
        """The highest stream position that this process knows to be visible."""
        self._waiters: defaultdict[str, set[asyncio.Future[None]]] = defaultdict(set)
        self._subscribers: list[Callable[[Commit], None]] = []
        self._closed = False

    def subscribe(self, subscriber: Callable[[Commit], None]) -> None:
        """Call ``subscriber`` for every commit; it must be quick and must not raise."""
        self._subscribers.append(subscriber)

    def on_commit(self, commit: Commit) -> None:
        """Take note of a commit, of this process or another."""
        self.position = max(self.position, commit.position)
        for subscriber in self._subscribers:
            subscriber(commit)
        everything = EVERYTHING in commit.topics
        topics = list(self._waiters) if everything else [t for t in commit.topics if t in self._waiters]
        for topic in topics:
            for waiter in self._waiters[topic]:
                if not waiter.done():
                    waiter.set_result(None)

    async def wait(self, topics: Iterable[str], *, after: int, timeout_s: float) -> bool:
        """Wait until something happens on ``topics``; False if the time ran out or the server stops.

        Returns at once if a position above ``after`` became visible since the caller looked: it may
        have been on one of the topics.
        """
        if self._closed or timeout_s <= 0:
            return False
        if self.position > after:
            return True
        waiter: asyncio.Future[None] = asyncio.get_running_loop().create_future()
        names = list(topics)
        for topic in names:
            self._waiters[topic].add(waiter)
        try:
            async with asyncio.timeout(timeout_s):
                await waiter
        except TimeoutError:
            return False
        else:
            return not self._closed
        finally:
            self._forget(names, waiter)

    def close(self) -> None:
        """Let everyone go who waits: the server stops."""
        self._closed = True
        for waiters in self._waiters.values():
            for waiter in waiters:
                if not waiter.done():
                    waiter.set_result(None)

    def _forget(self, topics: Iterable[str], waiter: asyncio.Future[None]) -> None:
        for topic in topics:
            waiters = self._waiters.get(topic)
            if waiters is not None:
                waiters.discard(waiter)
                if not waiters:
                    del self._waiters[topic]
