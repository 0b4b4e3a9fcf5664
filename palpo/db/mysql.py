"""MariaDB and MySQL over asyncmy: a pool of reading connections and one that writes.

Text compares byte by byte, case and trailing spaces included, because the database's collation is
set when its tables are made (palpo.db.migrations). InnoDB's key length, 3,072 bytes at 4 a
character, allows three ``identifier()`` columns and one integer in a key.
"""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable, Mapping, Sequence
from typing import Any, TypeVar, cast
from urllib.parse import unquote, urlsplit

import asyncmy
from asyncmy.constants.CLIENT import FOUND_ROWS
from asyncmy.cursors import Cursor
from asyncmy.errors import InterfaceError, MySQLError
from sqlalchemy import bindparam, func

from palpo.db.deferred import DeferredWrites
from palpo.db.engine import Commit, Committed
from palpo.db.errors import (
    BadValue,
    DatabaseError,
    OutcomeUnknown,
    Retriable,
    UniqueViolation,
    Unreachable,
)
from palpo.db.pool import Pool
from palpo.db.position import stream_position
from palpo.db.statements import Compiled, Statement
from palpo.db.transaction import Row, Transaction, WriteTransaction

T = TypeVar("T")
DRIVER_ERRORS = (MySQLError, OSError, EOFError, UnicodeEncodeError)
DUPLICATE = frozenset({1062, 1586})
RETRIABLE = frozenset({1020, 1205, 1213})
"""Record changed since it was read (MariaDB), lock wait timeout, deadlock."""
BAD_VALUE = frozenset({1264, 1366, 1406, 3854})
"""Out of range, no such text in the column's character set, too long."""
AWAY = frozenset({1040, 1053, 1152, 1158, 1159, 1160, 1161, 1203, 1927, 2003, 2006, 2013, 2014, 2055})
"""Too many connections, shutting down, connection lost in one of its forms."""
SQL_MODE = "SET SESSION sql_mode = 'STRICT_ALL_TABLES,NO_ENGINE_SUBSTITUTION'"

TAKE = Statement(
    stream_position.update()
    .where(stream_position.c.id == 1)
    .values(
        position=func.last_insert_id(
            stream_position.c.position + bindparam("count", type_=stream_position.c.position.type)
        )
    )
)


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
    if code in AWAY or isinstance(error, InterfaceError):
        return Unreachable(text)
    return DatabaseError(text)


class QuietCursor(Cursor):
    """A cursor that does not ask for warnings: in strict mode they say nothing that matters."""

    async def _show_warnings(self, conn: asyncmy.Connection) -> None:
        return


class MysqlTransaction:
    """Statements on one connection."""

    def __init__(self, connection: asyncmy.Connection, *, block: int = 1) -> None:
        self._cursor = connection.cursor(QuietCursor)
        self._block = block
        self._next = 1
        self.last_position = 0
        """The highest position that was taken, used or not; 0 if none."""
        self.since: int | None = None
        """The position before the first that was taken."""
        self.topics: set[str] = set()
        self.failure: DatabaseError | None = None
        self._deferred = DeferredWrites(self._write)

    async def all(self, statement: Statement, /, **params: Any) -> Sequence[Row]:
        await self._execute(statement, params)
        return list(await self._cursor.fetchall())

    async def one(self, statement: Statement, /, **params: Any) -> Row | None:
        await self._execute(statement, params)
        return cast("Row | None", await self._cursor.fetchone())

    async def value(self, statement: Statement, /, **params: Any) -> Any:
        row = await self.one(statement, **params)
        return None if row is None else row[0]

    async def run(self, statement: Statement, /, **params: Any) -> int:
        await self._execute(statement, params)
        return cast("int", self._cursor.rowcount)

    async def many(self, statement: Statement, rows: Sequence[Mapping[str, Any]], /) -> None:
        if not rows:
            return
        compiled = statement.compiled("mysql")
        values = [compiled.arguments(row) for row in rows]
        if not self._deferred.add(compiled, values):
            await self._deferred.send_for(compiled.sql)
            await self._write(compiled, values)

    async def finish(self) -> None:
        """Send what has been put off; raises what that raises."""
        await self._deferred.send_all()

    async def positions(self, count: int = 1) -> int:
        if self._next + count - 1 > self.last_position:
            taken = max(count, self._block)
            await self._execute(TAKE, {"count": taken})
            self.last_position = int(self._cursor.lastrowid)
            self._next = self.last_position - taken + 1
            if self.since is None:
                self.since = self._next - 1
        first = self._next
        self._next += count
        return first

    def notify(self, *topics: str) -> None:
        self.topics.update(topics)

    async def _execute(self, statement: Statement, params: Mapping[str, Any]) -> None:
        compiled = statement.compiled("mysql")
        await self._deferred.send_for(compiled.sql)
        await self._call(self._cursor.execute, compiled.sql, compiled.arguments(params))

    async def _write(self, compiled: Compiled, rows: list[list[Any]]) -> None:
        await self._call(self._cursor.executemany, compiled.sql, rows)

    async def _call(self, method: Callable[..., Awaitable[Any]], sql: str, arguments: Sequence[Any]) -> None:
        try:
            await method(sql, arguments)
        except DRIVER_ERRORS as error:
            failure = translated(error)
            self.failure = self.failure or failure
            if isinstance(failure, Unreachable):
                self._cursor.connection.close()
            raise failure from error


class MysqlEngine:
    """The database at ``url``, ``mysql://user:password@host:port/name``.

    ``readers`` bounds the connections that read; one more writes.
    """

    dialect = "mysql"

    def __init__(self, url: str, *, readers: int = 10, connect_timeout: float = 10.0) -> None:
        self._options = {**connect_options(url), "connect_timeout": connect_timeout}
        self._read = self._pool(readers, "READ ONLY")
        self._write = self._pool(1, "READ WRITE")

    async def open(self) -> None:
        async with self._read.lend(), self._write.lend():
            pass

    async def close(self) -> None:
        await self._read.close()
        await self._write.close()

    async def read(self, unit: Callable[[Transaction], Awaitable[T]]) -> T:
        try:
            return await self._read_once(unit)
        except Unreachable:
            # The connection may have been lost while it waited in the pool: once more, on another.
            return await self._read_once(unit)

    async def _read_once(self, unit: Callable[[Transaction], Awaitable[T]]) -> T:
        async with self._read.lend() as connection:
            return await unit(MysqlTransaction(connection))

    async def commit(self, units: Sequence[Callable[[WriteTransaction], Awaitable[Any]]]) -> Committed:
        async with self._write.lend() as connection:
            transaction = MysqlTransaction(connection, block=8 + 2 * len(units))
            try:
                await connection.begin()
                results = [await unit(transaction) for unit in units]
                await transaction.finish()
                if transaction.failure is not None:
                    raise transaction.failure
            except Exception as error:
                await _roll_back(connection)
                failure = translated(error) if isinstance(error, DRIVER_ERRORS) else error
                if isinstance(failure, Unreachable):
                    # Nothing was committed, so it may be done again, on another connection.
                    raise Retriable(str(failure)) from error
                raise failure from (None if failure is error else error)
            await _commit(connection)
        commit = Commit(
            position=transaction.last_position,
            topics=frozenset(transaction.topics),
            since=transaction.since or 0,
        )
        return Committed(results=results, commit=commit)

    def _pool(self, size: int, access: str) -> Pool[asyncmy.Connection]:
        settings = f"SET SESSION TRANSACTION ISOLATION LEVEL READ COMMITTED, {access}"

        async def connect() -> asyncmy.Connection:
            try:
                connection = await asyncmy.connect(**self._options, init_command=settings)
                await connection.query(SQL_MODE)  # type: ignore[no-untyped-call]
            except DRIVER_ERRORS as error:
                raise Unreachable(str(error) or type(error).__name__) from error
            return connection

        return Pool(size=size, connect=connect, close=_close, is_usable=_is_usable)


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


async def _roll_back(connection: asyncmy.Connection) -> None:
    try:
        await connection.rollback()
    except DRIVER_ERRORS:
        connection.close()


async def _commit(connection: asyncmy.Connection) -> None:
    try:
        await connection.commit()
    except MySQLError as error:
        failure = translated(error)
        if isinstance(failure, Unreachable):
            connection.close()
            raise OutcomeUnknown(str(error)) from error
        raise failure from error
    except DRIVER_ERRORS as error:
        connection.close()
        raise OutcomeUnknown(str(error)) from error


async def _close(connection: asyncmy.Connection) -> None:
    try:
        await asyncio.wait_for(connection.ensure_closed(), 2.0)
    except (*DRIVER_ERRORS, TimeoutError):
        connection.close()


def _is_usable(connection: asyncmy.Connection) -> bool:
    return bool(connection.connected) and not getattr(connection, "_stream_broken", False)
