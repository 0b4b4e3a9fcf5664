"""PostgreSQL over asyncpg: a pool of reading connections and one that writes."""

from __future__ import annotations

from collections.abc import Awaitable, Callable, Iterator, Sequence
from contextlib import contextmanager
from typing import Any, TypeAlias, cast

import asyncpg
from sqlalchemy import update

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
from palpo.db.postgresql_writes import combined, single_statement
from palpo.db.server import DriverErrors, ServerEngine, ServerTransaction
from palpo.db.statements import Statement
from palpo.db.tables.stream_position import stream_position
from palpo.db.transaction import Row

Connection: TypeAlias = "asyncpg.Connection[Any]"
DRIVER_ERRORS = (
    asyncpg.PostgresError,
    asyncpg.InterfaceError,
    asyncpg.InternalClientError,
    OSError,
    EOFError,
    UnicodeEncodeError,
)
RETRIABLE = frozenset({"40001", "40P01", "55P03"})
"""serialization_failure, deadlock_detected, lock_not_available."""
FULL = "53100"
STORAGE = frozenset({"25006", "58000", "58030", "58P01"})
"""read_only_sql_transaction, system_error, io_error, undefined_file."""
AWAY = ("08", "57P", "53300")
"""The SQLSTATEs of connections lost or refused begin so."""

PLANNING = {"jit": "off", "enable_seqscan": "off"}
"""Every statement has an index, but a table that was empty when a statement was first planned is read in
whole, and goes on to be, at whatever size, until the first ANALYZE."""

TAKE = Statement(
    update(stream_position).where(ROW).values(position=ADVANCED).returning(stream_position.c.position)
)


def translated(error: Exception) -> DatabaseError:
    """Our error for one of the driver's."""
    code = getattr(error, "sqlstate", None) or ""
    text = str(error)
    if isinstance(error, asyncpg.UniqueViolationError):
        return UniqueViolation(text)
    if code in RETRIABLE:
        return Retriable(text)
    if isinstance(error, UnicodeEncodeError | asyncpg.DataError):
        return BadValue(text)
    if isinstance(error, OSError | EOFError | asyncpg.PostgresConnectionError) or code.startswith(AWAY):
        return Unreachable(text or type(error).__name__)
    if code == FULL:
        return Full(text)
    if code in STORAGE:
        return StorageFailed(text)
    # The driver's own state is confused where the server's farewell came between two statements.
    confused = isinstance(error, asyncpg.InternalClientError)
    if confused or (isinstance(error, asyncpg.InterfaceError) and "closed" in text):
        return Unreachable(text)
    return DatabaseError(text)


ERRORS = DriverErrors(raised=DRIVER_ERRORS, answer=asyncpg.PostgresError, translated=translated)


class PostgresTransaction(ServerTransaction["Connection"]):
    """Statements on one connection."""

    dialect = "postgresql"
    errors = ERRORS

    def __init__(self, connection: Connection, *, block: int = 1, expected: int = 0) -> None:
        """``expected`` is where the stream's position probably is."""
        super().__init__(connection, block=block)
        self._expected = expected
        self._to_begin = False
        """BEGIN is sent together with the first statement, where it can be."""

    async def begin(self) -> None:
        self._to_begin = True

    async def finish(self) -> None:
        await super().finish()
        await self._begin()

    async def all(self, statement: Statement, /, **params: Any) -> Sequence[Row]:
        rows = await self._query(self._connection.fetch, statement, params)
        return cast("Sequence[Row]", rows)

    async def one(self, statement: Statement, /, **params: Any) -> Row | None:
        row = await self._query(self._connection.fetchrow, statement, params)
        return cast("Row | None", row)

    async def run(self, statement: Statement, /, **params: Any) -> int:
        return _affected(await self._query(self._connection.execute, statement, params))

    async def _take(self, count: int) -> int:
        if self._to_begin and await self._begin_and_take(count):
            return self._expected + count
        return int(await self.value(TAKE, count=count))

    async def _begin_and_take(self, count: int) -> bool:
        """Both in one round trip; False where the position is not what was expected."""
        self._to_begin = False
        taken = f"UPDATE {stream_position.name} SET position = {self._expected + count}"
        sql = f"BEGIN; {taken} WHERE id = 1 AND position = {self._expected}"
        return _affected(await self._call(self._connection.execute, sql, ())) > 0

    async def _begin(self) -> None:
        if self._to_begin:
            self._to_begin = False
            await super()._call(self._connection.execute, "BEGIN", ())

    async def _call(self, method: Callable[..., Awaitable[Any]], sql: str, arguments: Sequence[Any]) -> Any:
        await self._begin()
        return await super()._call(method, sql, arguments)

    async def _write_all(self, batches: Sequence[Batch]) -> None:
        alone, together = [], []
        for compiled, rows in batches:
            single = single_statement(compiled, rows)
            if single is None:
                alone.append((compiled, rows))
            else:
                together.append(single)
        if together:
            sql, arguments = combined(together)
            await self._call(self._connection.execute, sql, arguments)
        for compiled, rows in alone:
            await self._call(self._connection.executemany, compiled.sql, [rows])

    async def _invoke(self, method: Callable[..., Awaitable[Any]], sql: str, arguments: Sequence[Any]) -> Any:
        return await method(sql, *arguments)

    def _abandon(self) -> None:
        self._connection.terminate()


def _affected(status: str) -> int:
    count = status.rpartition(" ")[2]
    return int(count) if count.isdigit() else 0


class PostgresEngine(ServerEngine["Connection"]):
    """The database at ``url``, ``postgresql://user:password@host:port/name``."""

    dialect = "postgresql"
    errors = ERRORS

    def _pool(self, size: int, *, read_only: bool) -> Pool[Connection]:
        access = {"default_transaction_read_only": "on"} if read_only else {}
        settings = {"application_name": "palpo", **PLANNING, **access}

        async def connect() -> Connection:
            with reaching():
                return await asyncpg.connect(
                    self._url,
                    timeout=self._patience,
                    statement_cache_size=1024,
                    max_cached_statement_lifetime=0,
                    server_settings=settings,
                )

        return Pool(size=size, connect=connect, close=close_connection, is_usable=lambda c: not c.is_closed())

    def _transaction(self, connection: Connection, *, block: int = 1) -> PostgresTransaction:
        return PostgresTransaction(connection, block=block, expected=self._position)

    async def _commit(self, connection: Connection) -> None:
        await connection.execute("COMMIT")

    async def _roll_back(self, connection: Connection) -> None:
        await connection.execute("ROLLBACK")

    def _abandon(self, connection: Connection) -> None:
        connection.terminate()


@contextmanager
def reaching() -> Iterator[None]:
    """Whatever the driver raises within is that the server is out of reach: Unreachable."""
    try:
        yield
    except DRIVER_ERRORS as error:
        raise Unreachable(str(error) or type(error).__name__) from error


async def close_connection(connection: Connection) -> None:
    """Take leave of the server, or just go if that takes more than two seconds."""
    try:
        await connection.close(timeout=2.0)
    except DRIVER_ERRORS:
        connection.terminate()
