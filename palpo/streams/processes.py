"""Which wake-ups join the processes of one server."""

from __future__ import annotations

from palpo.db.connect import database_wakeups
from palpo.db.engine import Database
from palpo.db.wakeups import ProcessWakeups
from palpo.streams.polling import PollingWakeups, read_position


def create_wakeups(database: Database, *, database_url: str, redis_url: str | None) -> ProcessWakeups:
    """Redis where it is configured, else the database's own where it has some, else polling."""

    async def position() -> int:
        return await database.read(read_position)

    if redis_url is not None:
        # The client is an optional dependency.
        from palpo.streams.redis_wakeups import RedisWakeups

        return RedisWakeups(redis_url, read_position=position)
    return database_wakeups(database_url, read_position=position) or PollingWakeups(database)
