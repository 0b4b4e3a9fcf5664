"""Fill an empty database with rows, and compare.

The rows go first, into tables without indexes; a batch and how far it brings its table are one transaction,
so whatever is killed goes on where it was. Then what is there is compared with what should be, and at last
the database is given its indexes and its revision, by which it is one that a server starts on.
"""

from __future__ import annotations

from collections.abc import Callable

from sqlalchemy import Connection, TableClause, column, inspect, table, update
from sqlalchemy.exc import DBAPIError
from sqlalchemy.schema import CreateTable

from palpo.db import full_text
from palpo.db.copies import checkpoints
from palpo.db.copies.digests import digest
from palpo.db.copies.rows import insert
from palpo.db.copies.sources import Source
from palpo.db.errors import BadValue, DatabaseError
from palpo.db.leases import NOBODY
from palpo.db.migrations import HEAD, revisions
from palpo.db.migrations.collation import set_collation
from palpo.db.migrations.creation import create
from palpo.db.migrations.full_text_steps import create_full_text
from palpo.db.migrations.stated import is_up_to_date, revision_of
from palpo.db.migrations.steps import bring_to_head, upgrade_from_nothing
from palpo.db.migrations.unfinished import is_unfinished
from palpo.db.tables import metadata
from palpo.db.tables.leases import leases

Told = Callable[[str, str, int, int], None]
"""Is told what is done (``copied``, ``compared``, ``indexed``), of which table, how many of its rows, and of
how many."""
PREPARED = {
    "postgresql": ("SET synchronous_commit = off", "SET maintenance_work_mem = '128MB'"),
    "mysql": (),
    "sqlite": ("PRAGMA cache_size = -65536",),
}
"""What is said at the beginning of a connection that writes. What the server has not kept of the end of a
copy when the machine fails, its checkpoints have not either."""


def fill(source: Source, writing: Connection, told: Told) -> int:
    """Make an empty database one with the rows of ``source``, at HEAD; returns how many rows there were.

    Raises DatabaseError where it is not empty, is being filled with something else, or is not like the
    source in the end, and BadValue for what it cannot hold.
    """
    _begin(source, writing)
    rows = 0
    if not checkpoints.is_compared(writing):
        for name in source.tables():
            _copy_table(source, writing, _named(source, name), told)
        for name in source.tables():
            rows += _compare(source, writing, _named(source, name), told)
        checkpoints.note_compared(writing)
        writing.commit()
    _finish(writing, told)
    return rows


def _begin(source: Source, writing: Connection) -> None:
    """See whether it may be, and make the tables."""
    there = set(inspect(writing).get_table_names())
    if there and not is_unfinished(writing):
        raise DatabaseError("it is not empty: name an empty database")
    if source.revision not in revisions():
        raise DatabaseError(f"the rows are of revision {source.revision}, which this release does not know")
    for statement in PREPARED[_kind(writing)]:
        writing.exec_driver_sql(statement)
    set_collation(writing)
    checkpoints.begin(writing, source.identity)
    if source.revision == HEAD:
        for declared in metadata.sorted_tables:
            if declared.name not in there:
                writing.execute(CreateTable(declared))
    elif revision_of(writing) is None:
        upgrade_from_nothing(writing, source.revision)
        _empty(source, writing)
    writing.commit()


def _empty(source: Source, writing: Connection) -> None:
    """Take out the rows that a new database has."""
    for name in source.tables():
        writing.execute(table(name).delete())


def _named(source: Source, name: str) -> TableClause:
    return table(name, *(column(item) for item in source.columns(name)))


def _copy_table(source: Source, writing: Connection, target: TableClause, told: Told) -> None:
    reached = checkpoints.reached(writing, target.name)
    rows, total = reached.rows, source.count(target.name)
    for batch in source.batches(target.name, reached):
        rows += len(batch.rows)
        checkpoints.note(writing, target.name, rows, batch.last_key)
        try:
            insert(writing, target, batch.rows)
        except DBAPIError as error:
            raise BadValue(f"{target.name}: {error.orig}") from error
        writing.commit()
        told("copied", target.name, rows, total)


def _compare(source: Source, writing: Connection, target: TableClause, told: Told) -> int:
    """How many rows both have of a table; raises DatabaseError where they are not the same."""
    original, copied = source.digest(target.name), digest(writing, target)
    writing.rollback()  # PostgreSQL makes no index of a table while it is being read.
    if original != copied:
        raise DatabaseError(
            f"the two are not alike: {target.name} has {original.rows} rows here and {copied.rows} there, "
            "or others; empty the other database, and begin anew"
        )
    told("compared", target.name, copied.rows, original.rows)
    return copied.rows


def _finish(writing: Connection, told: Told) -> None:
    """Make of it a database that a server starts on."""
    if revision_of(writing) is None:
        _make_indexes(writing, told)
        create(writing)
    elif not is_up_to_date(writing):
        bring_to_head(writing)
    writing.execute(update(leases).where(leases.c.holder != NOBODY).values(holder=NOBODY, expires_ts=0))
    if _kind(writing) == "postgresql":
        writing.exec_driver_sql("SET synchronous_commit = on")
        writing.exec_driver_sql("ANALYZE")
    checkpoints.end(writing)
    writing.commit()


def _make_indexes(writing: Connection, told: Told) -> None:
    for declared in metadata.sorted_tables:
        for index in declared.indexes:
            index.create(writing, checkfirst=True)
        writing.commit()
        told("indexed", declared.name, 1, 1)
    for item in full_text.DECLARED:
        create_full_text(writing, item.name, item.table.name, item.statements())


def _kind(connection: Connection) -> str:
    return "mysql" if connection.dialect.name == "mariadb" else connection.dialect.name
