"""Long work on the event loop that lets others have their turn.

    turns = Turns()
    for item in many:
        await turns.breathe()
        ...

``breathe`` costs half a microsecond, so it can stand before every item whose work is not trivial. Once the
task has held the loop for HELD_S it waits in a queue of all such tasks, of which one goes on in each turn of
the loop, each user's in turn: however much long work there is, a turn of the loop takes about HELD_S.
"""

from __future__ import annotations

import asyncio
import time
from collections.abc import AsyncIterator, Callable, Iterable
from typing import TypeVar
from weakref import WeakKeyDictionary

from palpo.streams.fair_queue import Rounds, behalf

T = TypeVar("T")

HELD_S = 0.005
"""Seconds for which a task may hold the loop."""


class _Loop:
    """The turns of one event loop, and who waits for one."""

    __slots__ = ("_armed", "_loop", "number", "waiting")

    def __init__(self, loop: asyncio.AbstractEventLoop) -> None:
        self._loop = loop
        self._armed = False
        self.number = 0
        """Changes from one turn of the loop to the next where somebody asked in the first."""
        self.waiting: Rounds[asyncio.Future[None]] = Rounds()

    def turn(self) -> int:
        """The number of this turn."""
        if not self._armed:
            self._armed = True
            self._loop.call_soon(self._next)
        return self.number

    async def wait(self) -> None:
        """Wait for a turn behind all others that do."""
        self.turn()
        future: asyncio.Future[None] = self._loop.create_future()
        key = behalf.get()
        self.waiting.add(key, future)
        try:
            await future
        except asyncio.CancelledError:
            self.waiting.remove(key, future)
            raise

    def _next(self) -> None:
        self._armed = False
        self.number += 1
        taken = self.waiting.take()
        if taken is None:
            return
        if not taken[1].done():
            taken[1].set_result(None)
        self.turn()  # After it has gone on, so that it is among those who wait if it has to again.


_LOOPS: WeakKeyDictionary[asyncio.AbstractEventLoop, _Loop] = WeakKeyDictionary()


class Turns:
    """How long one task has held the loop in one go. Made within the task, for one piece of work."""

    __slots__ = ("_began", "_held_s", "_loop", "_now", "_number", "taken")

    def __init__(self, *, held_s: float = HELD_S, now: Callable[[], float] = time.perf_counter) -> None:
        loop = asyncio.get_running_loop()
        self._loop = _LOOPS.get(loop) or _LOOPS.setdefault(loop, _Loop(loop))
        self._held_s = held_s
        self._now = now
        self._number = self._loop.turn()
        self._began = now()
        self.taken = 0
        """How often others have had their turn."""

    async def breathe(self) -> None:
        """Let others have their turn, if this task has held the loop for long."""
        number = self._loop.turn()
        if number != self._number:  # It has waited for something meanwhile.
            self._number = number
            self._began = self._now()
        elif self._now() - self._began >= self._held_s:
            self.taken += 1
            await self._loop.wait()
            self._number = self._loop.turn()
            self._began = self._now()

    async def over(self, items: Iterable[T]) -> AsyncIterator[T]:
        """``items``, with a breath before each."""
        for item in items:
            await self.breathe()
            yield item
