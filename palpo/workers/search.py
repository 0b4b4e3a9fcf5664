"""Indexes what is sent, soon after it has been sent, and what an older version has indexed."""

from __future__ import annotations

import asyncio

import structlog

from palpo.db.errors import AWAY, DatabaseError
from palpo.services.reading.search_index import SearchIndex
from palpo.services.reading.user_directory import UserDirectory
from palpo.streams import topics
from palpo.streams.leases import Lease
from palpo.streams.wakeups import Wakeups

log = structlog.get_logger("palpo.search")

GATHER_S = 0.5
"""How long events are gathered: a search does not wait for this, it indexes what is missing itself."""
BATCHES = 5
"""Of what is indexed anew, in one go."""
PAUSE_S = 5.0
"""How long to wait after the database has failed."""


class SearchWorker:
    """Follows the rooms' histories into the search index."""

    def __init__(self, index: SearchIndex, directory: UserDirectory, wakeups: Wakeups) -> None:
        self._index = index
        self._directory = directory
        self._wake = asyncio.Event()
        self._wake.set()
        wakeups.listen(topics.HEAD, lambda room_ids, position: self._wake.set())

    async def work(self, _lease: Lease) -> None:
        """Index until cancelled; one process at a time is enough."""
        while True:
            await self._wake.wait()
            await asyncio.sleep(GATHER_S)
            self._wake.clear()
            try:
                await self._index.catch_up()
                if not await self._rebuild():
                    self._wake.set()
            except DatabaseError as error:
                if not isinstance(error, AWAY):
                    log.warning("search_index_behind", error=str(error))
                self._wake.set()
                await asyncio.sleep(PAUSE_S)

    async def _rebuild(self) -> bool:
        """Index some of what an older version has indexed anew; whether there is no more of it."""
        await self._directory.rebuild()
        for _ in range(BATCHES):
            if await self._index.rebuild():
                return True
        return False
