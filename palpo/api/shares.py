"""What many callers share: so much for all of them, and so much for each."""

from __future__ import annotations

import asyncio


class Full(Exception):
    """There is no room: the caller's own share is used up, or everybody's together are."""


class Shares:
    """Room in bytes. Who has nothing yet may have more than a share, so that no one thing is too large."""

    def __init__(self, total: int, each: int) -> None:
        self._total = total
        self._each = each
        self.used = 0
        """Bytes that are taken."""
        self._of: dict[str, int] = {}
        self._waiting: set[asyncio.Future[None]] = set()

    async def take(self, caller: str, size: int, *, wait_s: float = 0.0) -> None:
        """Take ``size`` bytes for ``caller``, waiting for them up to ``wait_s``; raises Full."""
        if not self._fits(caller, size):
            await self._wait(caller, size, wait_s)
        self.used += size
        self._of[caller] = self._of.get(caller, 0) + size

    def give_back(self, caller: str, size: int) -> None:
        """Return what was taken."""
        self.used -= size
        left = self._of[caller] - size
        if left:
            self._of[caller] = left
        else:
            del self._of[caller]
        for waiter in self._waiting:
            if not waiter.done():
                waiter.set_result(None)

    def _fits(self, caller: str, size: int) -> bool:
        own = self._of.get(caller, 0)
        return (not own or own + size <= self._each) and (not self.used or self.used + size <= self._total)

    async def _wait(self, caller: str, size: int, wait_s: float) -> None:
        if wait_s <= 0:
            raise Full
        try:
            async with asyncio.timeout(wait_s):
                while not self._fits(caller, size):
                    waiter = asyncio.get_running_loop().create_future()
                    self._waiting.add(waiter)
                    try:
                        await waiter
                    finally:
                        self._waiting.discard(waiter)
        except TimeoutError:
            raise Full from None


class AtOnce:
    """How many things each caller has under way at once."""

    def __init__(self, most: int) -> None:
        self._most = most
        self._of: dict[str, int] = {}

    def enter(self, caller: str) -> None:
        """One more; raises Full."""
        count = self._of.get(caller, 0)
        if count >= self._most:
            raise Full
        self._of[caller] = count + 1

    def leave(self, caller: str) -> None:
        """One less."""
        count = self._of[caller] - 1
        if count:
            self._of[caller] = count
        else:
            del self._of[caller]
