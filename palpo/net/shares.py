"""Room for work on many things at once, of which no one thing takes more than its share."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Hashable
from contextlib import asynccontextmanager


class Shares:
    """So many at once for all keys together, and so many for each."""

    def __init__(self, all_keys: int, each_key: int) -> None:
        self._all = asyncio.Semaphore(all_keys)
        self._each_key = each_key
        self._of: dict[Hashable, tuple[asyncio.Semaphore, int]] = {}
        """The room of each key, and how many use it or wait."""

    @property
    def keys(self) -> int:
        """Keys that somebody holds a place of, or waits for one."""
        return len(self._of)

    @asynccontextmanager
    async def hold(self, key: Hashable) -> AsyncIterator[None]:
        """Hold a place; who waits for one of ``key`` takes none from others."""
        own, users = self._of.get(key) or (asyncio.Semaphore(self._each_key), 0)
        self._of[key] = own, users + 1
        try:
            async with own, self._all:
                yield
        finally:
            users = self._of[key][1] - 1
            if users:
                self._of[key] = own, users
            else:
                del self._of[key]
