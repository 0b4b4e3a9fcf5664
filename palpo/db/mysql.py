"""MariaDB and MySQL over asyncmy: a pool of reading connections and one that writes.

Text compares byte by byte, case and trailing spaces included, because the database's collation is
set when its tables are made (palpo.db.migrations). InnoDB's key length, 3,072 bytes at 4 a
character, allows three ``identifier()`` columns and one integer in a key.
"""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable, Sequence
from typing import Any, cast
from urllib.parse import unquote, urlsplit

import asyncmy
from asyncmy.constants.CLIENT import FOUND_ROWS
from asyncmy.cursors import Cursor
from asyncmy.errors import InterfaceError, MySQLError
from sqlalchemy import func, update

from palpo.db.cancelling import still_cancelled
from palpo.db.deferred import Batch
from palpo.db.errors import (
    BadValue,
    DatabaseError,
    Full,
    Retriable,
    StorageFailed,
    UniqueViolation,
    Unreachable,
)
from palpo.db.pool import Pool
from palpo.db.position import ADVANCED, ROW
from palpo.db.server import DriverErrors, ServerEngine, ServerTransaction
from palpo.db.statements import Statement
from palpo.db.tables.stream_position import stream_position
from palpo.db.transaction import Row

DRIVER_ERRORS = (MySQLError, OSError, EOFError, UnicodeEncodeError)
DUPLICATE = frozenset({1062, 1586})
RETRIABLE = frozenset({1020, 1205, 1213})
"""Record changed since it was read (MariaDB), lock wait timeout, deadlock."""
BAD_VALUE = frozenset({1264, 1366, 1406, 3854})
"""Out of range, no such text in the column's character set, too long."""
FULL = frozenset({1021, 1114, 1874})
"""Disk full, table full, out of space for a log."""
STORAGE = frozenset({3, 20, 1026, 1030, 1290, 1836})
"""Writing to a file failed in one of its forms, the engine's own error, read-only in two forms."""
OS_FULL = ("error: 28 ", "error 28 ", "errno: 28 ", "error: 122 ", "error 122 ", "errno: 122 ")
"""What STORAGE errors have in their text where there is no space, or none left to the user."""
AWAY = frozenset({1040, 1053, 1152, 1158, 1159, 1160, 1161, 1203, 1927, 2003, 2006, 2013, 2014, 2055})
"""Too many connections, shutting down, connection lost in one of its forms."""
SQL_MODE = "SET SESSION sql_mode = 'STRICT_ALL_TABLES,NO_ENGINE_SUBSTITUTION'"

TAKE = Statement(update(stream_position).where(ROW).values(position=func.last_insert_id(ADVANCED)))


def translated(error: Exception) -> DatabaseError:
    """Our error for one of the driver's."""
    text = str(error)
    if isinstance(error, UnicodeEncodeError):
        return BadValue(text)
    if not isinstance(error, MySQLError):
        return Unreachable(text or type(error).__name__)
    code = error.args[0] if error.args else None
    if code in DUPLICATE:
        return UniqueViolation(text)
    if code in RETRIABLE:
        return Retriable(text)
    if code in BAD_VALUE:
        return BadValue(text)
    if code in FULL or (code in STORAGE and any(part in text for part in OS_FULL)):
        return Full(text)
    if code in STORAGE:
        return StorageFailed(text)
    if code in AWAY or isinstance(error, InterfaceError):
        return Unreachable(text)
    return DatabaseError(text)


ERRORS = DriverErrors(raised=DRIVER_ERRORS, answer=MySQLError, translated=translated)


class QuietCursor(Cursor):
    """A cursor that does not ask for warnings: in strict mode they say nothing that matters."""

    async def _show_warnings(self, conn: asyncmy.Connection) -> None:
        return


class MysqlTransaction(ServerTransaction[asyncmy.Connection]):
    """Statements on one connection."""

    dialect = "mysql"
    errors = ERRORS

    def __init__(self, connection: asyncmy.Connection, *, block: int = 1) -> None:
        super().__init__(connection, block=block)
        self._cursor = connection.cursor(QuietCursor)

    async def all(self, statement: Statement, /, **params: Any) -> Sequence[Row]:
        await self._query(self._cursor.execute, statement, params)
        return list(await self._cursor.fetchall())

    async def one(self, statement: Statement, /, **params: Any) -> Row | None:
        await self._query(self._cursor.execute, statement, params)
        return cast("Row | None", await self._cursor.fetchone())

    async def run(self, statement: Statement, /, **params: Any) -> int:
        await self._query(self._cursor.execute, statement, params)
        return cast("int", self._cursor.rowcount)

    async def begin(self) -> None:
        await self._connection.begin()

    async def _take(self, count: int) -> int:
        await self._query(self._cursor.execute, TAKE, {"count": count})
        return int(self._cursor.lastrowid)

    async def _write_all(self, batches: Sequence[Batch]) -> None:
        for compiled, rows in batches:
            await self._call(self._cursor.executemany, compiled.sql, rows)

    async def _invoke(self, method: Callable[..., Awaitable[Any]], sql: str, arguments: Sequence[Any]) -> Any:
        return await method(sql, arguments)

    def _abandon(self) -> None:
        self._connection.close()


class MysqlEngine(ServerEngine[asyncmy.Connection]):
    """The database at ``url``, ``mysql://user:password@host:port/name``."""

    dialect = "mysql"
    errors = ERRORS

    def _pool(self, size: int, *, read_only: bool) -> Pool[asyncmy.Connection]:
        access = "READ ONLY" if read_only else "READ WRITE"
        settings = f"SET SESSION TRANSACTION ISOLATION LEVEL READ COMMITTED, {access}"
        options = connect_options(self._url)

        async def connect() -> asyncmy.Connection:
            try:
                # The driver bounds the TCP connection by itself, not what the server then says.
                async with asyncio.timeout(self._patience):
                    return await _set_up(asyncmy.connect(**options, init_command=settings))
            except (*DRIVER_ERRORS, RuntimeError) as error:
                # RuntimeError: the driver found the connection closed while it set it up, under uvloop.
                raise Unreachable(str(error) or type(error).__name__) from error

        return Pool(size=size, connect=connect, close=_close, is_usable=_is_usable)

    def _transaction(self, connection: asyncmy.Connection, *, block: int = 1) -> MysqlTransaction:
        return MysqlTransaction(connection, block=block)

    async def _commit(self, connection: asyncmy.Connection) -> None:
        await connection.commit()

    async def _roll_back(self, connection: asyncmy.Connection) -> None:
        await connection.rollback()

    def _abandon(self, connection: asyncmy.Connection) -> None:
        connection.close()


def connect_options(url: str) -> dict[str, Any]:
    """What asyncmy.connect takes, from ``url``."""
    parts = urlsplit(url)
    return {
        "host": parts.hostname or "127.0.0.1",
        "port": parts.port or 3306,
        "user": unquote(parts.username or ""),
        "password": unquote(parts.password or ""),
        "database": unquote(parts.path.lstrip("/")),
        "charset": "utf8mb4",
        "autocommit": True,
        "binary_prefix": True,
        # Otherwise an UPDATE that leaves a row as it was would count as one that matched none.
        "client_flag": FOUND_ROWS,
    }


async def _set_up(connecting: Awaitable[asyncmy.Connection]) -> asyncmy.Connection:
    """A new connection, as our statements want it; where that comes to nothing, it is closed."""
    connection: asyncmy.Connection | None = None
    try:
        with still_cancelled():
            connection = await connecting
        await connection.query(SQL_MODE)  # type: ignore[no-untyped-call]
    except BaseException:
        if connection is not None:
            connection.close()
        raise
    return connection


async def _close(connection: asyncmy.Connection) -> None:
    try:
        async with asyncio.timeout(2.0):
            await connection.ensure_closed()
    except (*DRIVER_ERRORS, RuntimeError):
        connection.close()


def _is_usable(connection: asyncmy.Connection) -> bool:
    return bool(connection.connected) and not getattr(connection, "_stream_broken", False)
