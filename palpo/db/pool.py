"""A pool of connections to a database server: no more than a bound, made when needed, mended by itself."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import asynccontextmanager
from typing import Generic, TypeVar

from palpo.db.figures import PoolFigures

C = TypeVar("C")


class Pool(Generic[C]):
    """Up to ``size`` connections; whoever comes when all are lent out waits."""

    def __init__(
        self,
        *,
        size: int,
        connect: Callable[[], Awaitable[C]],
        close: Callable[[C], Awaitable[None]],
        is_usable: Callable[[C], bool],
    ) -> None:
        self._connect = connect
        self._close = close
        self._is_usable = is_usable
        self._free: list[C] = []
        self._closed = False
        self._size = size
        self._lent = 0
        self._waiting = 0
        self._slots = asyncio.Semaphore(size)

    @property
    def figures(self) -> PoolFigures:
        """How it is now."""
        return PoolFigures(size=self._size, lent=self._lent, waiting=self._waiting)

    @asynccontextmanager
    async def lend(self) -> AsyncIterator[C]:
        """A connection for the duration of the block; raises what ``connect`` raises.

        Where the block is left by an error that is not an Exception (it was cancelled), the
        connection may be in the middle of a statement and is not used again.
        """
        self._waiting += 1
        try:
            await self._slots.acquire()
        finally:
            self._waiting -= 1
        self._lent += 1
        try:
            connection = self._take_usable() or await self._connect()
            try:
                yield connection
            except Exception:
                await self._give_back(connection)
                raise
            except BaseException:
                await self._close(connection)
                raise
            await self._give_back(connection)
        finally:
            self._lent -= 1
            self._slots.release()

    async def close(self) -> None:
        """Close the connections that are not lent out; those that are, when they come back."""
        self._closed = True
        free, self._free = self._free, []
        await asyncio.gather(*map(self._close, free))

    def _take_usable(self) -> C | None:
        while self._free:
            connection = self._free.pop()
            if self._is_usable(connection):
                return connection
        return None

    async def _give_back(self, connection: C) -> None:
        if self._is_usable(connection) and not self._closed:
            self._free.append(connection)
        else:
            await self._close(connection)
