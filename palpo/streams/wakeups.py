"""Who waits for what: topics, and the position that is visible.

A wake-up is a hint. Whoever is woken reads the database from the position that it had reached; a
hint that is lost costs time and loses nothing.

``palpo.streams.topics`` says which kinds of topics there are. Whoever listens to a kind is called for commits
that have it, with its keys, and for those that say that anything may have changed.

Commits are heard of in any order, twice or not at all: another process's hint may be on its way while our
own commit, which came after it, is there already. Caches are told of each as it is heard of, once. The
position moves on when nothing is missing before it, and only then are those woken who wait.
"""

from __future__ import annotations

import asyncio
import heapq
from collections import deque
from collections.abc import Callable, Collection, Mapping, Set
from itertools import takewhile

from palpo.db.engine import Commit
from palpo.db.topics import Kind, Topics, disjoint, merged

LOG_LENGTH = 20_000
"""Commits that are remembered, so that a quiet sync need not ask the database."""
LOG_BYTES = 8 * 1024 * 1024
"""What they may take, as ``_size`` estimates it."""
MAX_AHEAD = 1_000
"""Commits that wait for what is missing before them; with more, it is no longer waited for."""
AHEAD_BYTES = 1024 * 1024
"""What they may take."""

Listener = Callable[[Set[str] | None, int], None]
"""``def listener(keys, position)``: what has changed of a kind, None for anything; the commit's position."""

_Logged = Mapping[Kind, tuple[str, ...]]


class Wakeups:
    """The waiters of this process, by topic."""

    def __init__(
        self, *, log_length: int = LOG_LENGTH, log_bytes: int = LOG_BYTES, max_ahead: int = MAX_AHEAD
    ) -> None:
        self._max_log = log_length, log_bytes
        self._max_ahead = max_ahead
        self.position = 0
        """The highest stream position that this process knows to be visible, with all before it heard of."""
        self.heard = 0
        """The highest of any commit that was heard of."""
        self.waiting = 0
        """How many wait for something to happen: syncs, mostly."""
        self._waiters: dict[Kind, dict[str, set[asyncio.Future[None]]]] = {}
        self._subscribers: list[Callable[[Commit], None]] = []
        self._listeners: dict[Kind, list[Listener]] = {}
        self._closed = False
        self._log: deque[tuple[int, _Logged]] = deque()
        self._log_bytes = 0
        self._log_start = 0
        """Every commit above this position is in the log."""
        self._ahead: list[tuple[int, int, Commit]] = []
        """A heap of ``(since, position, commit)``: commits before which something is missing."""
        self._ahead_bytes = 0
        self._ahead_known: set[tuple[int, int]] = set()

    def start(self, position: int) -> None:
        """Begin at ``position``: what came before is not remembered, what was heard of it already stays."""
        self.heard = max(self.heard, position)
        self.position = self._log_start = position
        self._log.clear()
        self._log_bytes = 0
        self._catch_up()

    def changed_since(self, position: int) -> Topics | None:
        """The topics of every commit above ``position``; None where not all are remembered."""
        if position < self._log_start:
            return None
        return merged(topics for _, topics in takewhile(lambda item: item[0] > position, reversed(self._log)))

    def listen(self, kind: Kind, listener: Listener) -> None:
        """Call ``listener`` for every commit that changes something of a kind, once, or may change anything.

        It must be quick and must not raise. It may hear of one before the position has reached it, and of
        none in order.
        """
        self._listeners.setdefault(kind, []).append(listener)

    def subscribe(self, subscriber: Callable[[Commit], None]) -> None:
        """Call ``subscriber`` for every commit, as ``listen`` does for some, and before those."""
        self._subscribers.append(subscriber)

    def on_commit(self, commit: Commit) -> None:
        """Take note of a commit, of this process or another."""
        if not self._is_news(commit):
            return
        self.heard = max(self.heard, commit.position)
        visible = self._remember(commit)
        self._tell(commit)
        self._wake(visible)
        if len(self._ahead) > self._max_ahead or self._ahead_bytes > AHEAD_BYTES:
            # Whatever was committed before what we have heard of is there to be read.
            self.on_commit(Commit(position=self.heard, all_topics=True))

    def _tell(self, commit: Commit) -> None:
        for subscriber in self._subscribers:
            subscriber(commit)
        if commit.all_topics:
            for listeners in self._listeners.values():
                for listener in listeners:
                    listener(None, commit.position)
            return
        for kind, keys in commit.topics.items():
            for listener in self._listeners.get(kind, ()):
                listener(keys, commit.position)

    def _is_news(self, commit: Commit) -> bool:
        if commit.all_topics:
            return True
        if not commit.position:
            return bool(commit.topics)
        return commit.position > self.position and (commit.since, commit.position) not in self._ahead_known

    def _remember(self, commit: Commit) -> Topics:
        """Move on as far as nothing is missing; the topics that have become visible by that.

        Where something is missing, its own hint is on its way, or one that stands for everything will be.
        """
        if commit.all_topics:
            self.start(max(self.position, commit.position))
            return self._waited_for()
        if not commit.position:
            return commit.topics
        if commit.since > self.position:
            self._keep(commit)
            return {}
        self._append(commit)
        return merged((commit.topics, *self._catch_up())) if self._ahead else commit.topics

    def _keep(self, commit: Commit) -> None:
        heapq.heappush(self._ahead, (commit.since, commit.position, commit))
        self._ahead_known.add((commit.since, commit.position))
        self._ahead_bytes += _size(commit.topics)

    def _catch_up(self) -> list[Topics]:
        """Move over the commits that have waited for what was missing; their topics."""
        visible: list[Topics] = []
        while self._ahead and self._ahead[0][0] <= self.position:
            commit = heapq.heappop(self._ahead)[-1]
            self._ahead_known.discard((commit.since, commit.position))
            self._ahead_bytes -= _size(commit.topics)
            if commit.position > self.position:
                self._append(commit)
                visible.append(commit.topics)
        return visible

    def _append(self, commit: Commit) -> None:
        self.position = commit.position
        self._log.append((commit.position, {kind: tuple(keys) for kind, keys in commit.topics.items()}))
        self._log_bytes += _size(commit.topics)
        length, size = self._max_log
        while len(self._log) > length or self._log_bytes > size:
            self._log_start, dropped = self._log.popleft()
            self._log_bytes -= _size(dropped)

    def _wake(self, topics: Topics) -> None:
        for kind, keys in topics.items():
            waiting = self._waiters.get(kind)
            if waiting is not None:
                for key in keys:
                    for waiter in waiting.get(key, ()):
                        if not waiter.done():
                            waiter.set_result(None)

    async def wait(
        self,
        topics: Topics,
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
        if changed is None or not disjoint(changed, topics):
            return True
        waiter = waiter or asyncio.get_running_loop().create_future()
        for kind, keys in topics.items():
            waiting = self._waiters.setdefault(kind, {})
            for key in keys:
                waiting.setdefault(key, set()).add(waiter)
        self.waiting += 1
        try:
            async with asyncio.timeout(timeout_s):
                await waiter
        except TimeoutError:
            return False
        else:
            return not self._closed
        finally:
            self.waiting -= 1
            self._forget(topics, waiter)

    def close(self) -> None:
        """Let everyone go who waits: the server stops."""
        self._closed = True
        self._wake(self._waited_for())

    def _waited_for(self) -> Topics:
        return {kind: set(waiting) for kind, waiting in self._waiters.items()}

    def _forget(self, topics: Topics, waiter: asyncio.Future[None]) -> None:
        for kind, keys in topics.items():
            waiting = self._waiters.get(kind, {})
            for key in keys:
                waiters = waiting.get(key, set())
                waiters.discard(waiter)
                if not waiters:
                    waiting.pop(key, None)
            if not waiting:
                self._waiters.pop(kind, None)


def _size(topics: Mapping[Kind, Collection[str]]) -> int:
    """About what a commit takes in memory, in bytes."""
    return 320 + sum(80 + 90 * len(keys) + sum(map(len, keys)) for keys in topics.values())
