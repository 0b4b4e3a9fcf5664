"""When media were asked for last, gathered in memory and written now and then."""

from __future__ import annotations

import asyncio
from functools import partial

from palpo.core.records.media import MediaRecord
from palpo.db.engine import Database
from palpo.db.errors import DatabaseError
from palpo.storage import media_usage as storage
from palpo.streams.clock import Clock

FLUSH_SECONDS = 60.0
COARSE_MS = 3600 * 1000
"""What was kept within this time is not kept anew."""
BATCH = 500
MAX_NOTED = 10_000
"""Media that are noted at a time; more are not, until these are written."""


class MediaAccesses:
    """Notes that media were asked for; a note costs a look into a dict."""

    def __init__(self, db: Database, clock: Clock) -> None:
        self._db = db
        self._clock = clock
        self._noted: dict[tuple[str, str], int] = {}

    def note(self, record: MediaRecord) -> None:
        """Somebody is given it."""
        now = self._clock.now_ms()
        if now - record.last_access_ts > COARSE_MS and len(self._noted) < MAX_NOTED:
            self._noted[record.origin, record.media_id] = now

    async def flush(self) -> None:
        """Write what was noted."""
        noted, self._noted = [(*key, ts) for key, ts in self._noted.items()], {}
        for start in range(0, len(noted), BATCH):
            await self._db.write(partial(storage.seen, items=noted[start : start + BATCH]))

    async def run(self) -> None:
        """Write every minute, and once more at the end."""
        try:
            while True:
                await asyncio.sleep(FLUSH_SECONDS)
                try:
                    await self.flush()
                except DatabaseError:
                    continue  # It will be noted again.
        finally:
            await self.flush()
