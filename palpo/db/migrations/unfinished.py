"""What marks a database that is being filled with another's rows: no server starts before it is whole."""

from __future__ import annotations

from sqlalchemy import BigInteger, Column, Connection, LargeBinary, MetaData, String, Table, Text, inspect

checkpoints = Table(
    "unfinished_copy",
    MetaData(),
    Column("table_name", String(255), primary_key=True),
    Column("rows_copied", BigInteger, nullable=False),
    Column("last_key", LargeBinary, nullable=True),
    Column("of", Text, nullable=False),
)
"""How far each table has come; of which database, and at which position it was. Not among the declared
tables: it is there while a copy is made, and no longer."""


def is_unfinished(connection: Connection) -> bool:
    """Whether the database is a copy that is not whole yet."""
    return inspect(connection).has_table(checkpoints.name)
