"""Which wake-ups join the processes of one server."""

from __future__ import annotations

from collections.abc import Callable

from palpo.db.connect import database_wakeups
from palpo.db.engine import Database
from palpo.db.wakeups import ProcessWakeups
from palpo.streams.polling import BackedWakeups, PollingWakeups, read_position


def create_wakeups(
    database: Database,
    *,
    database_url: str,
    redis_url: str | None,
    known: Callable[[], int],
    backing_s: float = 1.0,
) -> ProcessWakeups:
    """Redis where it is configured, else the database's own where it has some, else polling.

    ``known`` says up to where this process has heard of commits without a gap. A hint that was lost,
    as when a process dies between its commit and its telling, is made up for within ``backing_s``
    to twice that, in seconds.
    """

    async def position() -> int:
        return await database.read(read_position)

    link: ProcessWakeups | None
    if redis_url is not None:
        # The client is an optional dependency.
        from palpo.streams.redis_wakeups import RedisWakeups

        link = RedisWakeups(redis_url, read_position=position)
    else:
        link = database_wakeups(database_url, read_position=position)
    if link is None:
        return PollingWakeups(database, known=known)
    return BackedWakeups(link, PollingWakeups(database, interval_s=backing_s, known=known))
