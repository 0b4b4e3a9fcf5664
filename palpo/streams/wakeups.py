"""Who waits for what: topics, and the position that is visible.

A wake-up is a hint. Whoever is woken reads the database from the position that it had reached; a
hint that is lost costs time and loses nothing.

Topics are ``kind:id``: ``room:!id`` for anything in a room, ``user:@id`` for anything of a user's
own, ``member:@id`` for their memberships, ``session:@id`` for revoked tokens, ``event:$id`` for a
redaction, ``head:!id`` for a room whose history has grown, ``erasure:@id`` for an account that is gone,
``directory:`` for what the room directory lists. ``*`` stands for "something, somewhere".
"""

from __future__ import annotations

import asyncio
from collections import defaultdict, deque
from collections.abc import Callable, Collection, Iterable

from palpo.db.engine import Commit

LOG_LENGTH = 20_000
"""Commits that are remembered, so that a quiet sync need not ask the database."""


class Wakeups:
    """The waiters of this process, by topic."""

    def __init__(self) -> None:
        self.position = 0
        """The highest stream position that this process knows to be visible."""
        self._waiters: defaultdict[str, set[asyncio.Future[None]]] = defaultdict(set)
        self._subscribers: list[Callable[[Commit], None]] = []
        self._closed = False
        self._log: deque[tuple[int, frozenset[str]]] = deque()
        self._log_start = 0
        """Every commit above this position is in the log."""

    def start(self, position: int) -> None:
        """Begin at ``position``: what came before is not remembered."""
        self.position = self._log_start = position
        self._log.clear()

    def changed_since(self, position: int) -> set[str] | None:
        """The topics of every commit above ``position``; None where not all are remembered."""
        if position < self._log_start:
            return None
        topics: set[str] = set()
        for committed, of_commit in reversed(self._log):
            if committed <= position:
                break
            topics |= of_commit
        return topics

    def subscribe(self, subscriber: Callable[[Commit], None]) -> None:
        """Call ``subscriber`` for every commit; it must be quick and must not raise."""
        self._subscribers.append(subscriber)

    def on_commit(self, commit: Commit) -> None:
        """Take note of a commit, of this process or another."""
        self._remember(commit)
        for subscriber in self._subscribers:
            subscriber(commit)
        everything = commit.all_topics
        topics = list(self._waiters) if everything else [t for t in commit.topics if t in self._waiters]
        for topic in topics:
            for waiter in self._waiters[topic]:
                if not waiter.done():
                    waiter.set_result(None)

    def _remember(self, commit: Commit) -> None:
        """Move on, if nothing is missing between the commits known so far and this one.

        Where something is, its own hint is on its way, or one that stands for everything will be.
        """
        if commit.all_topics:
            self.start(max(self.position, commit.position))
        elif commit.position > self.position and commit.since <= self.position:
            self.position = commit.position
            self._log.append((commit.position, commit.topics))
            if len(self._log) > LOG_LENGTH:
                self._log_start = self._log.popleft()[0]

    async def wait(self, topics: Collection[str], *, after: int, timeout_s: float) -> bool:
        """Wait until something happens on ``topics``; False if the time ran out or the server stops.

        Returns at once if it has happened above the position ``after`` already.
        """
        if self._closed or timeout_s <= 0:
            return False
        changed = self.changed_since(after)
        if changed is None or not changed.isdisjoint(topics):
            return True
        waiter: asyncio.Future[None] = asyncio.get_running_loop().create_future()
        for topic in topics:
            self._waiters[topic].add(waiter)
        try:
            async with asyncio.timeout(timeout_s):
                await waiter
        except TimeoutError:
            return False
        else:
            return not self._closed
        finally:
            self._forget(topics, waiter)

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
