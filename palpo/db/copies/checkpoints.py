"""How far the copy of each table has come: rows in the copy, written with what they tell of."""

from __future__ import annotations

from dataclasses import dataclass

from sqlalchemy import ColumnElement, Connection, delete, insert, select, update

from palpo.db.copies.rows import Row, decoded_key, encoded_key
from palpo.db.errors import DatabaseError
from palpo.db.migrations.unfinished import checkpoints, is_unfinished

ALL = ""
"""The name of the row that is there from the beginning; its ``rows_copied`` is 1 once all was compared."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Checkpoint:
    """How many of a table's rows are there, and the key of the last."""

    rows: int = 0
    last_key: Row | None = None


def begin(target: Connection, of: str) -> None:
    """Note of what it is a copy; raises DatabaseError where it is one of something else."""
    if not is_unfinished(target):
        checkpoints.create(target)
    found = target.scalar(select(checkpoints.c.of).where(_named(ALL)))
    if found is None:
        target.execute(insert(checkpoints), {"table_name": ALL, "rows_copied": 0, "last_key": None, "of": of})
    elif found != of:
        raise DatabaseError(
            "it is an unfinished copy of another database, or of this one before a server has run on it "
            "again: empty it, and begin anew"
        )


def reached(target: Connection, table: str) -> Checkpoint:
    """How far a table has come."""
    columns = (checkpoints.c.rows_copied, checkpoints.c.last_key)
    row = target.execute(select(*columns).where(_named(table))).first()
    return Checkpoint() if row is None else Checkpoint(rows=row[0], last_key=decoded_key(row[1]))


def note(target: Connection, table: str, rows: int, last_key: Row) -> None:
    """A table has come so far."""
    target.execute(delete(checkpoints).where(_named(table)))
    noted = {"table_name": table, "rows_copied": rows, "last_key": encoded_key(last_key), "of": ""}
    target.execute(insert(checkpoints), noted)


def is_compared(target: Connection) -> bool:
    """Whether all rows are there, and are as they should be."""
    return target.scalar(select(checkpoints.c.rows_copied).where(_named(ALL))) == 1


def note_compared(target: Connection) -> None:
    """They are."""
    target.execute(update(checkpoints).where(_named(ALL)).values(rows_copied=1))


def end(target: Connection) -> None:
    """The copy is whole."""
    checkpoints.drop(target, checkfirst=True)


def _named(table: str) -> ColumnElement[bool]:
    return checkpoints.c.table_name == table
