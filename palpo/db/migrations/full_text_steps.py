"""What revisions do to full-text indexes, which Alembic knows nothing of. May be repeated.

Released revisions call these: they do not change what they do.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence

from sqlalchemy import Connection, inspect


def drop_full_text(connection: Connection, name: str, table: str) -> None:
    """Drop the index ``name`` of ``table`` where there is one."""
    if connection.dialect.name == "sqlite":
        triggers = connection.exec_driver_sql(
            "SELECT name FROM sqlite_master WHERE type = 'trigger' AND tbl_name = ? AND name LIKE ?",
            (table, f"{name}%"),
        )
        for (trigger,) in triggers.all():
            connection.exec_driver_sql(f"DROP TRIGGER {trigger}")
        connection.exec_driver_sql(f"DROP TABLE IF EXISTS {name}")
    elif connection.dialect.name == "postgresql":
        connection.exec_driver_sql(f"DROP INDEX IF EXISTS {name}")
    elif _is_there(connection, name, table):
        connection.exec_driver_sql(f"DROP INDEX {name} ON {table}")


def create_full_text(
    connection: Connection, name: str, table: str, statements: Mapping[str, Sequence[str]]
) -> None:
    """Make the index ``name`` of ``table`` by the dialect's statements, with the rows that there are."""
    dialect = "mysql" if connection.dialect.name == "mariadb" else connection.dialect.name
    if _is_there(connection, name, table):
        return
    for statement in statements[dialect]:
        connection.exec_driver_sql(statement)
    if dialect == "sqlite":
        connection.exec_driver_sql(f"INSERT INTO {name} ({name}) VALUES ('rebuild')")


def _is_there(connection: Connection, name: str, table: str) -> bool:
    inspector = inspect(connection)
    return inspector.has_table(name) or inspector.has_index(table, name)
