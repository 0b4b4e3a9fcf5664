"""Few workers for many users: each user has their turn, however much another has waiting, and whose work
has taken less time lately goes first.

    queue = FairQueue("thumbnails", workers=2, each=1, waiting=200, waiting_each=50)
    async with queue.turn():
        ...

Who asks is what ``behalf`` says, which the dispatcher sets for each request.
"""

from __future__ import annotations

import asyncio
import time
from collections import OrderedDict, deque
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from contextvars import ContextVar
from typing import Generic, TypeVar

from palpo.core.errors import LimitExceeded

T = TypeVar("T")

RETRY_MS = 1000
HALVED_S = 60.0
"""Seconds after which half of the time that somebody's work took is forgotten."""
MAX_USED = 10_000

behalf: ContextVar[str] = ContextVar("behalf", default="")
"""On whose behalf this task works: a user's ID, or the address of who has none. Empty: the server's own."""


class Rounds(Generic[T]):
    """Items by key, taken one of each key in turn."""

    def __init__(self) -> None:
        self._items: OrderedDict[str, deque[T]] = OrderedDict()
        self._size = 0

    def __len__(self) -> int:
        return self._size

    def of(self, key: str) -> int:
        """How many items a key has."""
        items = self._items.get(key)
        return 0 if items is None else len(items)

    def add(self, key: str, item: T) -> None:
        """Add the last item of a key."""
        self._items.setdefault(key, deque()).append(item)
        self._size += 1

    def take(self, rank: Callable[[str], int | None] | None = None) -> tuple[str, T] | None:
        """Take the first item of the key whose turn it is; None where there is none.

        ``rank`` puts some keys before others, those of the lowest rank first; None leaves a key out.
        """
        places = {key: 0 if rank is None else rank(key) for key in self._items}
        key = min(
            (key for key, place in places.items() if place is not None),
            key=lambda key: places[key] or 0,
            default=None,
        )
        if key is None:
            return None
        items = self._items.pop(key)
        item = items.popleft()
        self._size -= 1
        if items:
            self._items[key] = items  # Behind all others.
        return key, item

    def remove(self, key: str, item: T) -> bool:
        """Take out an item wherever it is; False where it is not there."""
        items = self._items.get(key)
        if items is None or item not in items:
            return False
        items.remove(item)
        self._size -= 1
        if not items:
            del self._items[key]
        return True


class FairQueue:
    """Up to ``workers`` at once, ``each`` of them at most for one user.

    ``waiting`` may wait, ``waiting_each`` of them for one user; beyond that LimitExceeded is raised. A
    user's share of what waits leaves room for others.
    """

    def __init__(
        self,
        name: str,
        *,
        workers: int,
        each: int | None = None,
        waiting: int,
        waiting_each: int,
        now: Callable[[], float] = time.monotonic,
    ) -> None:
        self.name = name
        self._workers = workers
        self._each = workers if each is None else each
        self._most = waiting
        self._most_each = waiting_each
        self._running: dict[str, int] = {}
        self._busy = 0
        self._now = now
        self._used = Used(HALVED_S)
        self._waiting: Rounds[asyncio.Future[None]] = Rounds()

    @property
    def waiting(self) -> int:
        """How many wait."""
        return len(self._waiting)

    @property
    def busy(self) -> int:
        """How many work."""
        return self._busy

    def turn(self, key: str | None = None) -> Turn:
        """A context that waits for a worker and has it; ``key`` is who asks, by default ``behalf``."""
        return Turn(self, behalf.get() if key is None else key)

    async def begin(self, key: str) -> float:
        """Wait for a worker; when it was had."""
        if self._may_begin(key):
            self._begin(key)
        else:
            await self._wait(key)
        return self._now()

    def end(self, key: str, began: float) -> None:
        """Give back a worker that was had since ``began``."""
        now = self._now()
        self._used.add(key, now - began, now)
        self._end(key)

    def _may_begin(self, key: str) -> bool:
        return self._busy < self._workers and self._running.get(key, 0) < self._each

    def _begin(self, key: str) -> None:
        self._busy += 1
        self._running[key] = self._running.get(key, 0) + 1

    def _end(self, key: str) -> None:
        self._busy -= 1
        self._running[key] -= 1
        if not self._running[key]:
            del self._running[key]
        self._next()

    def _next(self) -> None:
        """Give what is free to those whose turn it is."""
        while self._waiting and self._busy < self._workers:
            taken = self._waiting.take(self._rank)
            if taken is None:
                return
            key, future = taken
            if not future.done():
                self._begin(key)
                future.set_result(None)

    def _rank(self, key: str) -> int | None:
        return None if self._running.get(key, 0) >= self._each else int(self._used.of(key, self._now()))

    async def _wait(self, key: str) -> None:
        if self._waiting.of(key) >= self._most_each or len(self._waiting) >= self._most:
            raise LimitExceeded(f"Too much is waiting: {self.name}", retry_after_ms=RETRY_MS)
        future: asyncio.Future[None] = asyncio.get_running_loop().create_future()
        self._waiting.add(key, future)
        try:
            await future
        except asyncio.CancelledError:
            if not self._waiting.remove(key, future) and future.done() and not future.cancelled():
                self._end(key)  # It was given a worker in the same turn of the loop.
            raise


class Turn:
    """A worker of a queue, had from the beginning of a block to its end."""

    __slots__ = ("_began", "_key", "_queue")

    def __init__(self, queue: FairQueue, key: str) -> None:
        self._queue = queue
        self._key = key

    async def __aenter__(self) -> None:
        self._began = await self._queue.begin(self._key)

    async def __aexit__(self, *_: object) -> None:
        self._queue.end(self._key, self._began)


class FairThreads:
    """Threads that are shared out fairly; ``close`` them in the end."""

    def __init__(self, name: str, *, workers: int, waiting: int, waiting_each: int) -> None:
        self.queue = FairQueue(name, workers=workers, waiting=waiting, waiting_each=waiting_each)
        self._threads = ThreadPoolExecutor(workers, thread_name_prefix=name)

    async def run(self, work: Callable[[], T]) -> T:
        """What ``work`` returns, from a thread; raises LimitExceeded where too much waits.

        Whoever is cancelled meanwhile waits for its end: until then the thread is not free.
        """
        async with self.queue.turn():
            future = asyncio.get_running_loop().run_in_executor(self._threads, work)
            try:
                return await asyncio.shield(future)
            except asyncio.CancelledError:
                await asyncio.wait([future])
                raise

    async def close(self) -> None:
        """End the threads, once what they do is done."""
        await asyncio.to_thread(lambda: self._threads.shutdown(wait=True, cancel_futures=True))


class Used:
    """How many seconds each user's work has taken lately: half of them is forgotten after ``halved_s``."""

    def __init__(self, halved_s: float) -> None:
        self._halved_s = halved_s
        self._used: OrderedDict[str, tuple[float, float]] = OrderedDict()
        """Seconds, and as of when."""

    def of(self, key: str, now: float) -> float:
        """What is left of it by ``now``."""
        used, at = self._used.get(key, (0.0, 0.0))
        return used * 0.5 ** ((now - at) / self._halved_s) if used else 0.0

    def add(self, key: str, seconds: float, now: float) -> None:
        """Add what has just taken ``seconds``."""
        self._used[key] = self.of(key, now) + seconds, now
        self._used.move_to_end(key)
        if len(self._used) > MAX_USED:
            self._used.popitem(last=False)
