"""Which wake-ups join the processes of one server."""

from __future__ import annotations

from palpo.db.engine import Database
from palpo.db.wakeups import ProcessWakeups
from palpo.streams.polling import PollingWakeups


def create_wakeups(database: Database, *, database_url: str, redis_url: str | None) -> ProcessWakeups:
    """Redis where it is configured, else the database's own where it has some, else polling."""
    # Redis and asyncpg are optional dependencies.
    if redis_url is not None:
        from palpo.streams.redis_wakeups import RedisWakeups

        return RedisWakeups(redis_url)
    if database.dialect == "postgresql":
        from palpo.db.postgresql_wakeups import PostgresWakeups

        return PostgresWakeups(database_url)
    return PollingWakeups(database)
