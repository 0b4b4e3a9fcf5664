"""What servers were asked for in vain: they are not asked for it again for a while, over restarts too."""

from __future__ import annotations

from collections.abc import Collection, Iterable

from palpo.core.event_format import is_event_id
from palpo.core.identifiers import ServerName
from palpo.db.engine import Database
from palpo.db.transaction import WriteTransaction
from palpo.storage import failed_fetches as storage
from palpo.storage.failed_fetches import FailedFetch
from palpo.streams.clock import Clock

MINUTE_MS = 60_000
FAILED_MS = (25_000, 100 * MINUTE_MS)
"""How long a server is not asked again for an event that it did not give: at first, and at most. It is less
than what waits for the event is left alone (``staging.AGAIN_MS``)."""

SILENT_MS = 10_000
"""The same of a server that did not answer at all, however often: it may be there again any time."""


class FailedFetches:
    """Remembers them."""

    def __init__(self, db: Database, clock: Clock) -> None:
        self._db = db
        self._clock = clock

    async def askable(self, server: ServerName, event_ids: Collection[str]) -> list[str]:
        """Those of the events that the server may be asked for now."""
        wanted = [name for name in event_ids if is_event_id(name)]
        failed = await self._db.read(lambda tx: storage.find(tx, server, wanted))
        now = self._clock.now_ms()
        return [name for name in wanted if name not in failed or failed[name].next_ts <= now]

    async def failed(self, server: ServerName, event_ids: Iterable[str], *, silent: bool = False) -> None:
        """The server did not give these; ``silent``: it could not be asked."""
        names = sorted(set(filter(is_event_id, event_ids)))
        now = self._clock.now_ms()

        async def unit(tx: WriteTransaction) -> None:
            known = await storage.find(tx, server, names)
            await storage.put(tx, [_once_more(server, name, known.get(name), now, silent) for name in names])

        if names:
            await self._db.write(unit)

    async def given(self, server: ServerName, event_ids: Collection[str]) -> None:
        """The server gave these, or they are not wanted any more."""
        if event_ids and await self._db.read(lambda tx: storage.find(tx, server, event_ids)):
            await self._db.write(lambda tx: storage.take(tx, server, event_ids))


def _once_more(
    server: ServerName, event_id: str, before: FailedFetch | None, now_ms: int, silent: bool
) -> FailedFetch:
    failures = (0 if before is None else before.failures) + (not silent)
    first, longest = FAILED_MS
    pause = SILENT_MS if silent else min(first << min(failures - 1, 20), longest)
    return FailedFetch(server_name=server, event_id=event_id, failures=failures, next_ts=now_ms + pause)
