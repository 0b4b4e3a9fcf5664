"""Many tasks that begin at once, of which few go on in each turn of the event loop.

What each of them does is short, so none would ever wait for its turn by ``streams.turns``; but all of them in
one turn would hold the loop.
"""

from __future__ import annotations

import asyncio
from collections import deque


class Pace:
    """Lets so many through in each turn, or each ``every_s`` seconds, in the order in which they come."""

    def __init__(self, each: int, *, every_s: float = 0.0) -> None:
        self._each = each
        self._every_s = every_s
        self._room = each
        self._waiting: deque[asyncio.Future[None]] = deque()
        self._armed = False

    async def turn(self) -> None:
        """Wait until it is one's turn, which may be now."""
        self._arm()
        if self._room and not self._waiting:
            self._room -= 1
            return
        future: asyncio.Future[None] = asyncio.get_running_loop().create_future()
        self._waiting.append(future)
        await future

    def _arm(self) -> None:
        if self._armed:
            return
        self._armed = True
        loop = asyncio.get_running_loop()
        if self._every_s:
            loop.call_later(self._every_s, self._next)
        else:
            loop.call_soon(self._next)

    def _next(self) -> None:
        self._armed = False
        self._room = self._each
        while self._room and self._waiting:
            future = self._waiting.popleft()
            if not future.done():
                future.set_result(None)
                self._room -= 1
        if self._room < self._each:
            self._arm()
