"""What is in a database that is to be filled, and taking it out."""

from __future__ import annotations

import enum
from pathlib import Path

from sqlalchemy import Connection, inspect, select

from palpo.db.copies.archive import ArchiveSource
from palpo.db.copies.checkpoints import ALL
from palpo.db.migrations.connection import on_connection
from palpo.db.migrations.unfinished import checkpoints, is_unfinished
from palpo.db.sqlite_path import sqlite_path

SQLITE_FILES = ("-wal", "-shm", "-journal", "")
"""The database itself last: beside a new one, what is left of an old one's log would be taken for its own."""


class State(enum.Enum):
    """What is in a database."""

    EMPTY = "nothing"
    BEGUN = "some of the same archive"
    FILLED = "something else"


def state_of(url: str, archive: Path) -> State:
    """What is in the database at ``url``, which an archive is to fill; raises Damaged, Unreachable."""
    identity = ArchiveSource(archive).identity

    def look(connection: Connection) -> State:
        if is_unfinished(connection):
            of = connection.scalar(select(checkpoints.c.of).where(checkpoints.c.table_name == ALL))
            return State.BEGUN if of == identity else State.FILLED
        return State.FILLED if inspect(connection).get_table_names() else State.EMPTY

    state: State = on_connection(url, look, begin="BEGIN")
    return state


def has_table(url: str, name: str) -> bool:
    """Whether the database at ``url`` has a table."""
    found: bool = on_connection(url, lambda connection: inspect(connection).has_table(name), begin="BEGIN")
    return found


def empty(url: str) -> None:
    """Drop every table. Only for who is alone with the database."""
    if url.startswith("sqlite:"):
        path = sqlite_path(url)
        for suffix in SQLITE_FILES:
            path.with_name(path.name + suffix).unlink(missing_ok=True)
        return
    on_connection(url, _drop_all)


def _drop_all(connection: Connection) -> None:
    quote = connection.dialect.identifier_preparer.quote
    names = set(inspect(connection).get_table_names())
    # What says of which release they are goes first: where this is cut short, nothing is taken for whole.
    for name in sorted(names, key=lambda name: (name != "alembic_version", name)):
        connection.exec_driver_sql(f"DROP TABLE {quote(name)}")
