"""Rows of a table, in batches, out of one database and into another."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import Any

import msgspec
from sqlalchemy import (
    ColumnElement,
    Connection,
    FromClause,
    Table,
    TableClause,
    and_,
    literal_column,
    or_,
    select,
    tuple_,
)
from sqlalchemy.util import await_only

from palpo.db.errors import BadValue

BATCH_ROWS = 5_000
BATCH_BYTES = 8 * 2**20
AT_ONCE = 500
"""How many rows a driver reads ahead."""
Row = tuple[Any, ...]


@dataclass(frozen=True, slots=True, kw_only=True)
class Batch:
    """Some rows of a table, in the order of its key."""

    rows: Sequence[Row]
    last_key: Row
    """The key of the last of them."""


def batches(connection: Connection, table: Table, after: Row | None) -> Iterator[Batch]:
    """A table's rows, of keys greater than ``after``."""
    key = key_of(table, connection.dialect.name)
    statement = select(*table.columns, *key).order_by(*key)
    if after is not None:
        statement = statement.where(_greater(key, after, connection.dialect.name))
    width, gathered, size = len(table.columns), [], 0
    row: Row = ()
    for row in _streamed(connection, statement):
        gathered.append(row[:width])
        size += sum(len(value) for value in row if isinstance(value, str | bytes))
        if len(gathered) == BATCH_ROWS or size >= BATCH_BYTES:
            yield Batch(rows=gathered, last_key=row[width:])
            gathered, size = [], 0
    if gathered:
        yield Batch(rows=gathered, last_key=row[width:])


def every_row(connection: Connection, table: FromClause) -> Iterator[Row]:
    """A table's rows in any order."""
    return _streamed(connection, select(*table.columns))


def insert(connection: Connection, table: TableClause, rows: Sequence[Row]) -> None:
    """Insert rows, in the transaction that the connection is in; raises BadValue for what it cannot hold."""
    if connection.dialect.name == "postgresql":
        _copied_in(connection, table, rows)
        return
    mark = "?" if connection.dialect.name == "sqlite" else "%s"
    quoted = connection.dialect.identifier_preparer.quote
    names = ", ".join(quoted(column.name) for column in table.columns)
    marks = ", ".join([mark] * len(table.columns))
    connection.exec_driver_sql(
        f"INSERT INTO {quoted(table.name)} ({names}) VALUES ({marks})",
        list(rows),
    )


def key_of(table: Table, dialect: str) -> list[ColumnElement[Any]]:
    """By what a table's rows are read in order: on SQLite as they lie in the file, if they have numbers."""
    if dialect == "sqlite" and table.dialect_options["sqlite"]["with_rowid"]:
        return [literal_column("rowid")]
    return list(table.primary_key)


def _greater(key: Sequence[Any], after: Row, dialect: str) -> ColumnElement[bool]:
    if len(key) > 1 and dialect not in ("mysql", "mariadb"):
        return tuple_(*key) > tuple_(*after)
    # MySQL and MariaDB read all rows to compare tuples.
    return or_(
        *(
            and_(*(key[i] == after[i] for i in range(number)), key[number] > after[number])
            for number in range(len(key))
        )
    )


def _streamed(connection: Connection, statement: Any) -> Iterator[Row]:
    options = {"stream_results": True, "max_row_buffer": AT_ONCE}
    with connection.execute(statement, execution_options=options) as result:
        for part in result.partitions(AT_ONCE):
            for row in part:
                yield tuple(row)


def _copied_in(connection: Connection, table: TableClause, rows: Sequence[Row]) -> None:
    """By PostgreSQL's COPY, which takes a tenth of the time."""
    import asyncpg

    driver = connection.connection.driver_connection
    assert driver is not None
    columns = [column.name for column in table.columns]
    try:
        await_only(driver.copy_records_to_table(table.name, records=rows, columns=columns))
    except (asyncpg.DataError, UnicodeEncodeError) as error:
        raise BadValue(f"{table.name}: {error}") from error


def encoded_key(key: Row) -> bytes:
    """A key as it is written down."""
    return msgspec.msgpack.encode(key)


def decoded_key(encoded: bytes) -> Row:
    """What was written down."""
    return msgspec.msgpack.decode(encoded, type=tuple[Any, ...])
