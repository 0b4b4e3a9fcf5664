"""Bring a database to the newest revision: made at once where it is empty, step by step where it is not.

Several processes may start at once: each waits for a lock, and finds the work done. Whatever it began
with, a database that is said to be at the newest revision has the declared tables, or is refused.
"""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager

import structlog
from sqlalchemy import Connection, text

from palpo.db.errors import DatabaseError
from palpo.db.migrations import HEAD, revisions
from palpo.db.migrations.connection import LOCK_SECONDS, on_connection
from palpo.db.migrations.creation import create
from palpo.db.migrations.stated import is_up_to_date, revision_of, works_with
from palpo.db.migrations.unfinished import is_unfinished

log = structlog.get_logger("palpo.db")
LOCK_NAME = "palpo.migrations"
LOCK_NUMBER = 0x70616C706F
"""PostgreSQL's advisory locks have numbers; this one is ``palpo`` in ASCII."""


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
        from palpo.db.migrations.steps import bring_to_head

        bring_to_head(connection)


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
