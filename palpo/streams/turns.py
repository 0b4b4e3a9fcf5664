"""Long work on the event loop that lets others have their turn.

    turns = Turns()
    for item in many:
        await turns.breathe()
        ...

``breathe`` costs half a microsecond, so it can stand before every item whose work is not trivial. Once the
task has held the loop for HELD_S it waits in a queue of all such tasks, of which one goes on in each turn of
the loop: however much long work there is, it adds about HELD_S to a turn. The more a user's long work has
held the loop lately, the later it counts as having come, by BEHIND_S at most: who does little waits for one
turn, and nobody for ever.
"""

from __future__ import annotations

import asyncio
import heapq
import threading
import time
from collections import Counter
from collections.abc import AsyncIterator, Callable, Iterable
from itertools import count
from typing import TypeVar

from palpo.streams.fair_queue import Used, behalf

T = TypeVar("T")

HELD_S = 0.005
"""Seconds for which a task may hold the loop."""
BEHIND_S = 2.0
HALVED_S = 10.0
"""Seconds after which half of what a user has held is forgotten."""


class _Loop:
    """The turns of one event loop, and who waits for one."""

    __slots__ = ("_armed", "_serial", "_used", "_waiting", "_waiting_of", "loop", "number", "thread")

    def __init__(self, loop: asyncio.AbstractEventLoop) -> None:
        self.loop = loop
        self.thread = threading.get_ident()
        self._armed = False
        self._used = Used(HALVED_S)
        self._waiting: list[tuple[float, int, asyncio.Future[None]]] = []
        """A heap, by the time that each counts as having come."""
        self._serial = count()
        self._waiting_of: Counter[str] = Counter()
        self.number = 0
        """Changes from one turn of the loop to the next where somebody asked in the first."""

    def turn(self) -> int:
        """The number of this turn."""
        if not self._armed:
            self._armed = True
            self.loop.call_soon(self._next)
        return self.number

    async def wait(self, held_s: float, now: float) -> None:
        """Wait for a turn, having held the loop for ``held_s``."""
        self.turn()
        future: asyncio.Future[None] = self.loop.create_future()
        key = behalf.get()
        self._used.add(key, held_s, now)
        self._waiting_of[key] += 1
        behind = min(self._used.of(key, now) + held_s * self._waiting_of[key], BEHIND_S)
        heapq.heappush(self._waiting, (now + behind, next(self._serial), future))
        try:
            await future
        finally:
            self._waiting_of[key] -= 1
            if not self._waiting_of[key]:
                del self._waiting_of[key]

    def _next(self) -> None:
        self._armed = False
        self.number += 1
        while self._waiting:
            future = heapq.heappop(self._waiting)[-1]
            if not future.done():
                future.set_result(None)
                self.turn()  # After it has gone on, so that it is among those who wait if it has to again.
                return


def _running_loop() -> _Loop:
    """That of the running event loop: a process has one, and tests have one after the other."""
    global _latest
    # A thread runs one at a time. (To ask asyncio which it is would be a system call.)
    if _latest is None or not _latest.loop.is_running() or _latest.thread != threading.get_ident():
        _latest = _Loop(asyncio.get_running_loop())
    return _latest


_latest: _Loop | None = None


class Turns:
    """How long one task has held the loop in one go. Made within the task, for one piece of work."""

    __slots__ = ("_began", "_held_s", "_loop", "_now", "_number", "taken")

    def __init__(self, *, held_s: float = HELD_S, now: Callable[[], float] = time.perf_counter) -> None:
        self._loop = _running_loop()
        self._held_s = held_s
        self._now = now
        self._number = self._loop.turn()
        self._began = now()
        self.taken = 0
        """How often others have had their turn."""

    async def breathe(self) -> None:
        """Let others have their turn, if this task has held the loop for long."""
        if self.due():
            await self.wait()

    def due(self) -> bool:
        """Whether this task has held the loop for long."""
        number = self._loop.turn()
        if number != self._number:  # It has waited for something meanwhile.
            self._number = number
            self._began = self._now()
            return False
        return self._now() - self._began >= self._held_s

    async def wait(self) -> None:
        """Let others have their turn."""
        now = self._now()
        self.taken += 1
        await self._loop.wait(now - self._began, now)
        self._number = self._loop.turn()
        self._began = self._now()

    async def over(self, items: Iterable[T]) -> AsyncIterator[T]:
        """``items``, with a breath before each."""
        for item in items:
            await self.breathe()
            yield item
