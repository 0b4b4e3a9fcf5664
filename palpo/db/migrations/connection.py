"""A connection of SQLAlchemy's own to a database: for the schema, and for what is asked before a start."""

from __future__ import annotations

import asyncio
import logging
import sqlite3
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import Any

from sqlalchemy import Connection, Engine, create_engine, event, pool
from sqlalchemy.engine import make_url
from sqlalchemy.exc import DBAPIError
from sqlalchemy.util import greenlet_spawn

from palpo.db.errors import Unreachable
from palpo.db.sqlite import enable_wal
from palpo.db.sqlite_path import sqlite_path

LOCK_SECONDS = 3600
"""How long a database's upgrade is waited for, which another process makes."""


def _is_worth_a_line(record: logging.LogRecord) -> bool:
    # MariaDB and MySQL name every primary key PRIMARY, and warn of each other name.
    return "ignored for PRIMARY key" not in record.getMessage()


logging.getLogger("asyncmy").addFilter(_is_worth_a_line)


def on_connection(url: str, work: Callable[[Connection], Any], *, begin: str = "BEGIN IMMEDIATE") -> Any:
    """Run ``work`` on a connection to ``url``, in a transaction that is then committed.

    ``begin`` is how SQLite begins it: as a writer, alone, or with ``BEGIN`` as a reader. Raises
    Unreachable where there is no connection. Not to be called from within an event loop: there, hand it
    to a thread.
    """
    made = engine_of(url, begin=begin)
    if url.startswith("sqlite:"):
        return _on_engine(made, work)
    return driven(_on_engine, made, work)


def engine_of(url: str, *, begin: str = "BEGIN IMMEDIATE") -> Engine:
    """An engine for ``url`` whose connections are made when they are asked for; ``begin`` as above.

    Where it is not SQLite's, it works within ``driven`` only.
    """
    if url.startswith("sqlite:"):
        return _sqlite_engine(url, begin)
    driver = {
        "postgresql": "postgresql+asyncpg",
        "postgres": "postgresql+asyncpg",
        "mysql": "mysql+asyncmy",
        "mariadb": "mysql+asyncmy",
    }
    parsed = make_url(url)
    return create_engine(parsed.set(drivername=driver[parsed.drivername]), poolclass=pool.NullPool)


def driven(work: Callable[..., Any], *arguments: Any) -> Any:
    """Run ``work``, which waits for nothing but engines: within it, drivers that are asynchronous work.

    As SQLAlchemy's own asynchronous engines do it, which would bring its ORM along.
    """
    return asyncio.run(greenlet_spawn(work, *arguments))


@contextmanager
def connected(engine: Engine) -> Iterator[Connection]:
    """A connection; raises Unreachable where there is none."""
    try:
        opened = engine.connect()
    except ModuleNotFoundError:
        raise
    except Exception as error:
        raise _unreachable(error) from error
    with opened as connection:
        yield connection


def _on_engine(engine: Engine, work: Callable[[Connection], Any]) -> Any:
    try:
        with connected(engine) as connection, connection.begin():
            return work(connection)
    finally:
        engine.dispose()


def _sqlite_engine(url: str, begin: str) -> Engine:
    engine = create_engine(f"sqlite:///{sqlite_path(url)}", poolclass=pool.NullPool)

    # The driver would begin transactions by itself, and not before DDL.
    @event.listens_for(engine, "connect")
    def _no_implicit_begin(connection: sqlite3.Connection, _record: object) -> None:
        connection.isolation_level = None
        connection.execute(f"PRAGMA busy_timeout = {LOCK_SECONDS * 1000}")
        enable_wal(connection)

    @event.listens_for(engine, "begin")
    def _begin(connection: Connection) -> None:
        connection.exec_driver_sql(begin)

    return engine


def _unreachable(error: Exception) -> Unreachable:
    return Unreachable(str(error.orig if isinstance(error, DBAPIError) else error))
