"""Make a database that is empty: every table at once, without Alembic, which a start then need not import."""

from __future__ import annotations

from sqlalchemy import (
    Column,
    Connection,
    MetaData,
    PrimaryKeyConstraint,
    String,
    Table,
    inspect,
    select,
)

from palpo.db import full_text
from palpo.db.migrations import HEAD
from palpo.db.migrations.collation import set_collation
from palpo.db.migrations.rows import INITIAL_ROWS
from palpo.db.migrations.stated import write_schema
from palpo.db.tables import metadata

_STAMP = Table(
    "alembic_version",
    MetaData(),
    Column("version_num", String(32), nullable=False),
    PrimaryKeyConstraint("version_num", name="alembic_version_pkc"),
)
"""Where Alembic keeps the revision that a database is at, as it makes it itself."""


def create(connection: Connection) -> None:
    """Make every table and the first rows in an empty database, or finish making them."""
    is_empty = not inspect(connection).get_table_names()
    set_collation(connection)
    metadata.create_all(connection)
    if not is_empty:
        _create_indexes(connection)
    insert_initial_rows(connection)
    _STAMP.create(connection, checkfirst=True)
    connection.execute(_STAMP.insert(), {"version_num": HEAD})
    if is_empty:
        write_schema(connection)
        return
    from palpo.db.migrations.steps import settle

    settle(connection)


def insert_initial_rows(connection: Connection) -> None:
    """Insert those of INITIAL_ROWS whose table is empty."""
    for name, rows in INITIAL_ROWS.items():
        table = metadata.tables[name]
        if connection.execute(select(table).limit(1)).first() is None:
            connection.execute(table.insert(), [dict(row) for row in rows])


def _create_indexes(connection: Connection) -> None:
    """Make what is missing of tables that were there: their making was cut short."""
    for table in metadata.sorted_tables:
        for index in table.indexes:
            index.create(connection, checkfirst=True)
    for item in full_text.DECLARED:
        if not item.exists(connection):
            item.create(connection)
