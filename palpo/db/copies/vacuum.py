"""Give disk space back that deleted rows have left."""

from __future__ import annotations

from sqlalchemy import Connection, Engine, inspect
from sqlalchemy.exc import DBAPIError

from palpo.db.errors import DatabaseError
from palpo.db.migrations.connection import connected, driven, engine_of
from palpo.db.sqlite_path import sqlite_path

_SIZES = {
    "postgresql": "SELECT pg_database_size(current_database())",
    "mysql": "SELECT SUM(data_length + index_length) FROM information_schema.tables"
    " WHERE table_schema = DATABASE()",
}


def vacuum(url: str) -> tuple[int, int]:
    """Have the database at ``url``, which nobody uses meanwhile, take no more room than its rows need.

    Returns how many bytes it had, and has. Not for an event loop. Raises DatabaseError.
    """
    engine = engine_of(url)
    try:
        sizes: tuple[int, int] = driven(_vacuum, engine, url)
        return sizes
    except DBAPIError as error:
        raise DatabaseError(str(error.orig)) from error


def _vacuum(engine: Engine, url: str) -> tuple[int, int]:
    try:
        with connected(engine) as opened:
            if url.startswith("sqlite:"):
                return _of_sqlite(opened, url)
            connection = opened.execution_options(isolation_level="AUTOCOMMIT")
            kind = "postgresql" if connection.dialect.name == "postgresql" else "mysql"
            before = int(connection.exec_driver_sql(_SIZES[kind]).scalar() or 0)
            if kind == "postgresql":
                connection.exec_driver_sql("VACUUM (FULL, ANALYZE)")
            else:
                for name in inspect(connection).get_table_names():
                    connection.exec_driver_sql(f"OPTIMIZE TABLE `{name}`").fetchall()
            return before, int(connection.exec_driver_sql(_SIZES[kind]).scalar() or 0)
    finally:
        engine.dispose()


def _of_sqlite(connection: Connection, url: str) -> tuple[int, int]:
    """The driver's own connection: what it begins, VACUUM cannot run in."""
    driver = connection.connection.driver_connection
    assert driver is not None
    path = sqlite_path(url)
    driver.execute("PRAGMA wal_checkpoint(TRUNCATE)")
    before = path.stat().st_size
    driver.execute("VACUUM")
    driver.execute("PRAGMA wal_checkpoint(TRUNCATE)")
    return before, path.stat().st_size
