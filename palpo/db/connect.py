"""From a database's URL to its engine."""

from __future__ import annotations

from urllib.parse import urlsplit

from palpo.db.engine import Engine
from palpo.db.sqlite import SqliteEngine
from palpo.db.sqlite_path import sqlite_path
from palpo.db.sqlite_reads import Sharing
from palpo.db.statistics import Statistics
from palpo.db.wakeups import ProcessWakeups, ReadPosition


def create_engine(
    url: str, *, readers: int = 10, patience_s: float = 10.0, sharing: Sharing | None = None
) -> Engine:
    """The engine for ``sqlite:///path``, ``postgresql://…`` or ``mysql://…``; it is not opened.

    ``sqlite:///palpo.db`` is a relative path, ``sqlite:////var/lib/palpo.db`` an absolute one.
    ``readers`` bounds the connections that read from a server, ``patience_s`` how long is waited for the
    database; ``sharing`` is how SQLite's reads share this process. Raises ValueError for another scheme.
    """
    scheme = urlsplit(url).scheme
    if scheme == "sqlite":
        return SqliteEngine(sqlite_path(url), patience=patience_s, sharing=sharing)
    # A driver is imported only where it is used: each is an optional dependency.
    if scheme in ("postgresql", "postgres"):
        from palpo.db.postgresql import PostgresEngine

        return PostgresEngine(url, readers=readers, patience=patience_s)
    if scheme in ("mysql", "mariadb"):
        from palpo.db.mysql import MysqlEngine

        return MysqlEngine(url, readers=readers, patience=patience_s)
    raise ValueError(f"unknown database scheme {scheme!r}: sqlite, postgresql or mysql")


def database_wakeups(url: str, *, read_position: ReadPosition) -> ProcessWakeups | None:
    """What the database at ``url`` itself offers to join processes; None where it has nothing."""
    if urlsplit(url).scheme in ("postgresql", "postgres"):
        from palpo.db.postgresql_wakeups import PostgresWakeups

        return PostgresWakeups(url, read_position=read_position)
    return None


def database_statistics(url: str) -> Statistics | None:
    """What the planner of the database at ``url`` has to be told by us; None where it finds out by itself."""
    if urlsplit(url).scheme in ("postgresql", "postgres"):
        from palpo.db.postgresql_statistics import PostgresStatistics

        return PostgresStatistics(url)
    return None
