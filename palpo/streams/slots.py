"""Room for so many things at once, which what takes long keeps from nothing else."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager


class Slots:
    """So many at once, and beside them some that take long."""

    def __init__(self, number: int, *, slow: int, long_s: float) -> None:
        """What has taken ``long_s`` seconds gives its room to others, where fewer than ``slow`` have."""
        self._free = asyncio.Semaphore(number)
        self._slow_left = slow
        self._long_s = long_s

    @asynccontextmanager
    async def one(self) -> AsyncIterator[None]:
        """Wait for room, and have it for the body."""
        await self._free.acquire()
        slow = False

        def hand_over() -> None:
            nonlocal slow
            if self._slow_left > 0:
                slow = True
                self._slow_left -= 1
                self._free.release()

        timer = asyncio.get_running_loop().call_later(self._long_s, hand_over)
        try:
            yield
        finally:
            timer.cancel()
            if slow:
                self._slow_left += 1
            else:
                self._free.release()
