"""Whether what the server depends on works: its database, for reading and for writing, and its media.

What has failed when it was used last is tried again when somebody asks, so that it is known to work
again without anyone's using it; what has not is only looked at.
"""

from __future__ import annotations

import asyncio
import time
from collections.abc import Awaitable, Callable
from functools import partial

from palpo.core.errors import MatrixError
from palpo.db.condition import Condition
from palpo.db.engine import Database
from palpo.db.errors import DatabaseError
from palpo.media.blobs import BlobStore
from palpo.storage import probe
from palpo.streams.task_group import together

PATIENCE_S = 3.0
"""What takes longer does not work."""
PROBE_EVERY_S = 1.0
"""How often what does not work is tried at most, however often it is asked."""


class Health:
    """Looks at what the server depends on."""

    def __init__(self, db: Database, blobs: BlobStore) -> None:
        self._db = db
        self._blobs = blobs
        self._probed_at: dict[str, float] = {}

    async def failing(self) -> dict[str, str]:
        """Each part that does not work, with why; within a few seconds."""
        parts = (
            self._look(self._db.reading, partial(self._db.read, probe.read), always=True),
            self._look(self._db.writing, partial(self._db.write, probe.write)),
            self._look(self._blobs.condition, self._blobs.probe),
        )
        found = await together(parts)
        return {name: error for name, error in found if error is not None}

    async def _look(
        self, condition: Condition, attempt: Callable[[], Awaitable[None]], *, always: bool = False
    ) -> tuple[str, str | None]:
        """The part's name, and what is wrong with it."""
        now = time.monotonic()
        if not always:
            if condition.error is None:
                return condition.name, None
            if now - self._probed_at.get(condition.name, -PROBE_EVERY_S) < PROBE_EVERY_S:
                return condition.name, condition.error
            self._probed_at[condition.name] = now
        try:
            async with asyncio.timeout(PATIENCE_S):
                await attempt()
        except TimeoutError:
            return condition.name, condition.error or "no answer"
        except (DatabaseError, MatrixError) as error:
            return condition.name, condition.error or str(error)
        return condition.name, None
