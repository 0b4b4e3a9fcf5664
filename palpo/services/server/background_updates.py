"""Whether the server may do what it does of its own accord and that can wait: an administrator can say no.

It is what keeps lists in order and the disk free: summaries of rooms, the user directory's words, retention,
media that nothing refers to, rows of which nobody has use any more. What users and other servers wait for is
not held back, nor what an administrator has begun with one room or user.
"""

from __future__ import annotations

import asyncio
import contextlib
from collections.abc import Awaitable, Callable, Set

from palpo.db.cancelling import end
from palpo.db.engine import Database
from palpo.db.errors import DatabaseError
from palpo.db.leases import Lease
from palpo.storage import server_meta
from palpo.streams import topics
from palpo.streams.wakeups import Wakeups

LOOK_S = 60.0
"""How often is looked without news."""
Work = Callable[[Lease], Awaitable[None]]


class BackgroundUpdates:
    """Holds work back, in all processes, until it may go on: over a restart too."""

    def __init__(self, db: Database, wakeups: Wakeups) -> None:
        self._db = db
        self._waiting: set[asyncio.Event] = set()
        wakeups.listen(topics.BACKGROUND_UPDATES, self._on_news)

    async def enabled(self) -> bool:
        """Whether they may be done."""
        return await self._db.read(server_meta.background_updates)

    async def set_enabled(self, enabled: bool) -> None:
        """Let them be done, or have them wait."""
        await self._db.write(lambda tx: server_meta.set_background_updates(tx, enabled))

    def while_enabled(self, work: Work) -> Work:
        """``work``: begun when they may be done, cancelled when not; it has ended when that has."""

        async def held_back(lease: Lease) -> None:
            while True:
                await self._until(enabled=True)
                task = asyncio.ensure_future(work(lease))
                paused = asyncio.ensure_future(self._until(enabled=False))
                try:
                    await asyncio.wait((task, paused), return_when=asyncio.FIRST_COMPLETED)
                    if task.done():
                        return task.result()
                finally:
                    await end((task, paused))

        return held_back

    async def _until(self, *, enabled: bool) -> None:
        news = asyncio.Event()
        self._waiting.add(news)
        try:
            while True:
                news.clear()
                with contextlib.suppress(DatabaseError):
                    if await self.enabled() is enabled:
                        return
                with contextlib.suppress(TimeoutError):
                    async with asyncio.timeout(LOOK_S):
                        await news.wait()
        finally:
            self._waiting.discard(news)

    def _on_news(self, _keys: Set[str] | None, _position: int) -> None:
        for news in self._waiting:
            news.set()
