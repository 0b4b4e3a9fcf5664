"""Bring a database to the newest revision: made at once where it is empty, step by step where it is not.

Several processes may start at once: each waits for a lock, and finds the work done. Whatever it began
with, a database that is said to be at the newest revision has the declared tables, or is refused.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path

import structlog
from alembic import command
from alembic.config import Config
from alembic.migration import MigrationContext
from alembic.operations import Operations
from alembic.script import ScriptDirectory
from sqlalchemy import Connection, MetaData, create_engine, inspect, select, text

from palpo.db import full_text
from palpo.db.errors import DatabaseError
from palpo.db.migrations import HEAD, resumable, revisions
from palpo.db.migrations.connection import LOCK_SECONDS, on_connection
from palpo.db.migrations.differences import hindrances, missing
from palpo.db.migrations.rows import INITIAL_ROWS
from palpo.db.migrations.stated import is_up_to_date, revision_of, works_with, write_schema
from palpo.db.migrations.unfinished import is_unfinished
from palpo.db.tables import metadata

log = structlog.get_logger("palpo.db")
__all__ = ["resumable", "upgrade"]
LOCK_NAME = "palpo.migrations"
LOCK_NUMBER = 0x70616C706F
"""PostgreSQL's advisory locks have numbers; this one is ``palpo`` in ASCII."""
INITIAL = "0001_initial"
NAMED = 3
"""How many differences a refusal names."""


def upgrade(url: str) -> None:
    """Bring the database at ``url`` to HEAD; raises DatabaseError where it cannot be.

    Not to be called from within an event loop: there, hand it to a thread.
    """
    on_connection(url, upgrade_connection)


def current(url: str) -> str | None:
    """The revision that the database at ``url`` is at; None where it has none."""
    revision: str | None = on_connection(url, revision_of, begin="BEGIN")
    return revision


def upgrade_connection(connection: Connection) -> None:
    """``upgrade`` on a connection that is in a transaction."""
    with _locked(connection):
        if is_up_to_date(connection):
            return
        if is_unfinished(connection):
            raise DatabaseError("it is a copy that is not whole yet: go on with what makes it")
        revision = revision_of(connection)
        if revision is None:
            create(connection)
            return
        if revision not in revisions():
            if HEAD in works_with(connection):
                log.warning("database_is_newer", revision=revision)
                return
            raise DatabaseError(
                f"it is at revision {revision}, which this release does not know: a newer release has "
                "upgraded it, so start that one"
            )
        if revision == INITIAL:
            _refuse(missing(connection, _initial_tables()))
        bring_to_head(connection)


def bring_to_head(connection: Connection) -> None:
    """Run the revisions that a database has not seen."""
    command.upgrade(_config(connection), "head")
    _settle(connection)


def create(connection: Connection) -> None:
    """Make every table and the first rows in an empty database, or finish making them."""
    is_empty = not inspect(connection).get_table_names()
    set_collation(connection)
    metadata.create_all(connection)
    if not is_empty:
        _create_indexes(connection)
    insert_initial_rows(connection)
    context = MigrationContext.configure(connection)
    context.stamp(ScriptDirectory.from_config(_config(connection)), "head")
    if is_empty:
        write_schema(connection)
    else:
        _settle(connection)


def upgrade_from_nothing(connection: Connection, revision: str = "head") -> None:
    """Make an empty database by running the revisions up to one: what ``create`` must be equal to."""
    set_collation(connection)
    command.upgrade(_config(connection), revision)


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


def _create_indexes(connection: Connection) -> None:
    """Make what is missing of tables that were there: their making was cut short."""
    for table in metadata.sorted_tables:
        for index in table.indexes:
            index.create(connection, checkfirst=True)
    for item in full_text.DECLARED:
        if not item.exists(connection):
            item.create(connection)


def _settle(connection: Connection) -> None:
    """Hold the database to the declared tables, and note that it has them."""
    _refuse(hindrances(connection))
    write_schema(connection)


def _refuse(found: Sequence[str]) -> None:
    """Raise DatabaseError where there is anything in ``found``."""
    if found:
        more = f" and {len(found) - NAMED} more" if len(found) > NAMED else ""
        raise DatabaseError(
            f"its tables are not those of this release ({', '.join(found[:NAMED])}{more}): a development "
            "version or another program made them; start the version that did, or name an empty database"
        )


def _initial_tables() -> MetaData:
    """The tables as the frozen first revision makes them."""
    engine = create_engine("sqlite://")
    found = MetaData()
    with engine.begin() as connection:
        operations = Operations(MigrationContext.configure(connection))
        script = ScriptDirectory(str(Path(__file__).parent)).get_revision(INITIAL)
        with operations.context(operations.migration_context):
            script.module.upgrade()
        found.reflect(
            connection, only=lambda name, _: not any(name.startswith(n.name) for n in full_text.DECLARED)
        )
    engine.dispose()
    return found


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
