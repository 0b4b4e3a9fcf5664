"""Bring a database to the newest revision: made at once where it is empty, step by step where it is not.

Several processes may start at once: each waits for a lock, and finds the work done.
"""

from __future__ import annotations

import asyncio
import logging
import sqlite3
from collections.abc import Callable, Iterator
from contextlib import aclosing, contextmanager
from pathlib import Path
from typing import Any

from alembic import command
from alembic.config import Config
from alembic.migration import MigrationContext
from alembic.script import ScriptDirectory
from sqlalchemy import Connection, create_engine, event, inspect, pool, select, text
from sqlalchemy.engine import make_url
from sqlalchemy.exc import DBAPIError
from sqlalchemy.ext.asyncio import create_async_engine

from palpo.db.connect import sqlite_path
from palpo.db.errors import DatabaseError, Unreachable
from palpo.db.migrations.rows import INITIAL_ROWS
from palpo.db.sqlite import enable_wal
from palpo.db.tables import metadata

LOCK_NAME = "palpo.migrations"
LOCK_NUMBER = 0x70616C706F
"""PostgreSQL's advisory locks have numbers; this one is ``palpo`` in ASCII."""
LOCK_SECONDS = 3600


def upgrade(url: str) -> None:
    """Bring the database at ``url`` to HEAD; raises DatabaseError where it is newer than this program.

    Not to be called from within an event loop: there, hand it to a thread.
    """
    on_connection(url, upgrade_connection)


def current(url: str) -> str | None:
    """The revision that the database at ``url`` is at; None where it has none."""
    revision: str | None = on_connection(url, _revision)
    return revision


def _is_worth_a_line(record: logging.LogRecord) -> bool:
    # MariaDB and MySQL name every primary key PRIMARY, and warn of each other name.
    return "ignored for PRIMARY key" not in record.getMessage()


logging.getLogger("asyncmy").addFilter(_is_worth_a_line)


def on_connection(url: str, work: Callable[[Connection], Any]) -> Any:
    """Run ``work`` on a connection to ``url``, in a transaction that is then committed.

    Raises Unreachable where there is no connection.
    """
    if url.startswith("sqlite:"):
        return _on_sqlite(url, work)
    driver = {
        "postgresql": "postgresql+asyncpg",
        "postgres": "postgresql+asyncpg",
        "mysql": "mysql+asyncmy",
        "mariadb": "mysql+asyncmy",
    }
    parsed = make_url(url)
    engine = create_async_engine(parsed.set(drivername=driver[parsed.drivername]), poolclass=pool.NullPool)

    async def run() -> Any:
        try:
            try:
                connection = await engine.connect()
            except ModuleNotFoundError:
                raise
            except Exception as error:
                raise _unreachable(error) from error
            async with aclosing(connection), connection.begin():
                return await connection.run_sync(work)
        finally:
            await engine.dispose()

    return asyncio.run(run())


def _on_sqlite(url: str, work: Callable[[Connection], Any]) -> Any:
    engine = create_engine(f"sqlite:///{sqlite_path(url)}", poolclass=pool.NullPool)

    # The driver would begin transactions by itself, and not before DDL.
    @event.listens_for(engine, "connect")
    def _no_implicit_begin(connection: sqlite3.Connection, _record: object) -> None:
        connection.isolation_level = None
        connection.execute(f"PRAGMA busy_timeout = {LOCK_SECONDS * 1000}")
        enable_wal(connection)

    @event.listens_for(engine, "begin")
    def _begin(connection: Connection) -> None:
        connection.exec_driver_sql("BEGIN IMMEDIATE")

    try:
        opened = engine.connect()
    except DBAPIError as error:
        raise _unreachable(error) from error
    with opened as connection, connection.begin():
        return work(connection)


def _unreachable(error: Exception) -> Unreachable:
    return Unreachable(str(error.orig if isinstance(error, DBAPIError) else error))


def upgrade_connection(connection: Connection) -> None:
    """``upgrade`` on a connection that is in a transaction."""
    with _locked(connection):
        revision = _revision(connection)
        if revision is None:
            create(connection)
            return
        _refuse_newer(revision)
        command.upgrade(_config(connection), "head")


def create(connection: Connection) -> None:
    """Make every table and the first rows in an empty database, or finish making them."""
    set_collation(connection)
    metadata.create_all(connection)
    insert_initial_rows(connection)
    context = MigrationContext.configure(connection)
    context.stamp(ScriptDirectory.from_config(_config(connection)), "head")


def upgrade_from_nothing(connection: Connection) -> None:
    """Make an empty database by running every revision: what ``create`` must be equal to."""
    set_collation(connection)
    command.upgrade(_config(connection), "head")


def insert_initial_rows(connection: Connection) -> None:
    """Insert those of INITIAL_ROWS whose table is empty."""
    for name, rows in INITIAL_ROWS.items():
        table = metadata.tables[name]
        if connection.execute(select(table).limit(1)).first() is None:
            connection.execute(table.insert(), [dict(row) for row in rows])


def set_collation(connection: Connection) -> None:
    """On MariaDB and MySQL, make the tables to come compare text byte by byte."""
    if connection.dialect.name not in ("mysql", "mariadb"):
        return
    mariadb = bool(getattr(connection.dialect, "is_mariadb", False))
    wanted = "utf8mb4_nopad_bin" if mariadb else "utf8mb4_0900_bin"
    if connection.scalar(text("SELECT @@collation_database")) != wanted:
        connection.execute(text(f"ALTER DATABASE CHARACTER SET utf8mb4 COLLATE {wanted}"))


def _revision(connection: Connection) -> str | None:
    if not inspect(connection).has_table("alembic_version"):
        return None
    return MigrationContext.configure(connection).get_current_revision()


def _refuse_newer(revision: str) -> None:
    scripts = ScriptDirectory(str(Path(__file__).parent))
    if revision not in {script.revision for script in scripts.walk_revisions()}:
        raise DatabaseError(f"the database is at revision {revision}, which this release does not know")


def _config(connection: Connection) -> Config:
    config = Config()
    config.set_main_option("script_location", str(Path(__file__).parent).replace("%", "%%"))
    config.attributes["connection"] = connection
    return config


@contextmanager
def _locked(connection: Connection) -> Iterator[None]:
    """Hold the migrations' lock; on SQLite the transaction, begun as a writer's, is the lock."""
    dialect = connection.dialect.name
    if dialect == "postgresql":
        connection.execute(text("SELECT pg_advisory_xact_lock(:number)"), {"number": LOCK_NUMBER})
        yield
    elif dialect in ("mysql", "mariadb"):
        lock = {"name": LOCK_NAME, "seconds": LOCK_SECONDS}
        if connection.scalar(text("SELECT GET_LOCK(:name, :seconds)"), lock) != 1:
            raise DatabaseError("another process holds the migrations' lock")
        try:
            yield
        finally:
            connection.execute(text("SELECT RELEASE_LOCK(:name)"), {"name": LOCK_NAME})
    else:
        yield
