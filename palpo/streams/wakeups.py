"""Who waits for what: topics, and the position that is visible.

A wake-up is a hint. Whoever is woken reads the database from the position that it had reached; a
hint that is lost costs time and loses nothing.

Topics are ``kind:id``: ``room:!id`` for anything in a room, ``user:@id`` for anything of a user's
own, ``member:@id`` for their memberships, ``session:@id`` for revoked tokens, ``event:$id`` for a
redaction, ``head:!id`` for a room whose history has grown, ``erasure:@id`` for an account that is gone,
``directory:`` for what the room directory lists. ``*`` stands for "something, somewhere".

Commits are heard of in any order, twice or not at all: another process's hint may be on its way while our
own commit, which came after it, is there already. Caches are told of each as it is heard of, once. The
position moves on when nothing is missing before it, and only then are those woken who wait.
"""

from __future__ import annotations

import asyncio
import heapq
from collections import defaultdict, deque
from collections.abc import Callable, Collection, Iterable

from palpo.db.engine import EVERYTHING, Commit

LOG_LENGTH = 20_000
"""Commits that are remembered, so that a quiet sync need not ask the database."""
LOG_BYTES = 8 * 1024 * 1024
"""What they may take, as ``_size`` estimates it."""
MAX_AHEAD = 1_000
"""Commits that wait for what is missing before them; with more, it is no longer waited for."""
AHEAD_BYTES = 1024 * 1024
"""What they may take."""


class Wakeups:
    """The waiters of this process, by topic."""

    def __init__(self) -> None:
        self.position = 0
        """The highest stream position that this process knows to be visible, with all before it heard of."""
        self.heard = 0
        """The highest of any commit that was heard of."""
        self._waiters: defaultdict[str, set[asyncio.Future[None]]] = defaultdict(set)
        self._subscribers: list[Callable[[Commit], None]] = []
        self._closed = False
        self._log: deque[tuple[int, frozenset[str]]] = deque()
        self._log_bytes = 0
        self._log_start = 0
        """Every commit above this position is in the log."""
        self._ahead: list[tuple[int, int, frozenset[str]]] = []
        """A heap of ``(since, position, topics)``: commits before which something is missing."""
        self._ahead_bytes = 0
        self._ahead_known: set[tuple[int, int]] = set()

    def start(self, position: int) -> None:
        """Begin at ``position``: what came before is not remembered, what was heard of it already stays."""
        self.heard = max(self.heard, position)
        self.position = self._log_start = position
        self._log.clear()
        self._log_bytes = 0
        self._catch_up()

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
        """Call ``subscriber`` for every commit, once; it must be quick and must not raise.

        It may hear of one before the position has reached it, and of none in order.
        """
        self._subscribers.append(subscriber)

    def on_commit(self, commit: Commit) -> None:
        """Take note of a commit, of this process or another."""
        if not self._is_news(commit):
            return
        self.heard = max(self.heard, commit.position)
        woken = self._remember(commit)
        for subscriber in self._subscribers:
            subscriber(commit)
        self._wake(woken)
        if len(self._ahead) > MAX_AHEAD or self._ahead_bytes > AHEAD_BYTES:
            # Whatever was committed before what we have heard of is there to be read.
            self.on_commit(Commit(position=self.heard, topics=frozenset({EVERYTHING})))

    def _is_news(self, commit: Commit) -> bool:
        if commit.all_topics:
            return True
        if not commit.position:
            return bool(commit.topics)
        return commit.position > self.position and (commit.since, commit.position) not in self._ahead_known

    def _remember(self, commit: Commit) -> frozenset[str]:
        """Move on as far as nothing is missing; the topics that have become visible by that.

        Where something is missing, its own hint is on its way, or one that stands for everything will be.
        """
        if commit.all_topics:
            self.start(max(self.position, commit.position))
            return commit.topics
        if not commit.position:
            return commit.topics
        if commit.since > self.position:
            self._keep(commit)
            return frozenset()
        self._append(commit.position, commit.topics)
        return commit.topics | self._catch_up() if self._ahead else commit.topics

    def _keep(self, commit: Commit) -> None:
        heapq.heappush(self._ahead, (commit.since, commit.position, commit.topics))
        self._ahead_known.add((commit.since, commit.position))
        self._ahead_bytes += _size(commit.topics)

    def _catch_up(self) -> frozenset[str]:
        """Move over the commits that have waited for what was missing; their topics."""
        visible: set[str] = set()
        while self._ahead and self._ahead[0][0] <= self.position:
            since, position, topics = heapq.heappop(self._ahead)
            self._ahead_known.discard((since, position))
            self._ahead_bytes -= _size(topics)
            if position > self.position:
                self._append(position, topics)
                visible |= topics
        return frozenset(visible)

    def _append(self, position: int, topics: frozenset[str]) -> None:
        self.position = position
        self._log.append((position, topics))
        self._log_bytes += _size(topics)
        while len(self._log) > LOG_LENGTH or self._log_bytes > LOG_BYTES:
            self._log_start, dropped = self._log.popleft()
            self._log_bytes -= _size(dropped)

    def _wake(self, topics: frozenset[str]) -> None:
        wanted = list(self._waiters) if EVERYTHING in topics else [t for t in topics if t in self._waiters]
        for topic in wanted:
            for waiter in self._waiters[topic]:
                if not waiter.done():
                    waiter.set_result(None)

    async def wait(
        self,
        topics: Collection[str],
        *,
        after: int,
        timeout_s: float,
        waiter: asyncio.Future[None] | None = None,
    ) -> bool:
        """Wait until something happens on ``topics``; False if the time ran out or the server stops.

        Returns at once if it has happened above the position ``after`` already, and as soon as somebody
        resolves the ``waiter``.
        """
        if self._closed or timeout_s <= 0:
            return False
        changed = self.changed_since(after)
        if changed is None or not changed.isdisjoint(topics):
            return True
        waiter = waiter or asyncio.get_running_loop().create_future()
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


def _size(topics: frozenset[str]) -> int:
    """About what a commit takes in memory, in bytes."""
    return 400 + sum(map(len, topics)) + 100 * len(topics)
