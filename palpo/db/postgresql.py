"""PostgreSQL over asyncpg: a pool of reading connections and one that writes."""

from __future__ import annotations

import re
from collections.abc import Awaitable, Callable, Mapping, Sequence
from functools import lru_cache
from typing import Any, TypeVar, cast

import asyncpg
from sqlalchemy import bindparam

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
AWAY = ("08", "57P", "53300")
"""The SQLSTATEs of connections lost or refused begin so."""

TAKE = Statement(
    stream_position.update()
    .where(stream_position.c.id == 1)
    .values(position=stream_position.c.position + bindparam("count", type_=stream_position.c.position.type))
    .returning(stream_position.c.position)
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
    # The driver's own state is confused where the server's farewell came between two statements.
    confused = isinstance(error, asyncpg.InternalClientError)
    if confused or (isinstance(error, asyncpg.InterfaceError) and "closed" in text):
        return Unreachable(text)
    return DatabaseError(text)


class PostgresTransaction:
    """Statements on one connection."""

    def __init__(self, connection: asyncpg.Connection[Any], *, block: int = 1) -> None:
        self._connection = connection
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
        rows = await self._query(self._connection.fetch, statement, params)
        return cast("Sequence[Row]", rows)

    async def one(self, statement: Statement, /, **params: Any) -> Row | None:
        row = await self._query(self._connection.fetchrow, statement, params)
        return cast("Row | None", row)

    async def value(self, statement: Statement, /, **params: Any) -> Any:
        row = await self.one(statement, **params)
        return None if row is None else row[0]

    async def run(self, statement: Statement, /, **params: Any) -> int:
        return _affected(await self._query(self._connection.execute, statement, params))

    async def many(self, statement: Statement, rows: Sequence[Mapping[str, Any]], /) -> None:
        if not rows:
            return
        compiled = statement.compiled("postgresql")
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
            self.last_position = await self.value(TAKE, count=taken)
            self._next = self.last_position - taken + 1
            if self.since is None:
                self.since = self._next - 1
        first = self._next
        self._next += count
        return first

    def notify(self, *topics: str) -> None:
        self.topics.update(topics)

    async def _query(
        self, method: Callable[..., Awaitable[Any]], statement: Statement, params: Mapping[str, Any]
    ) -> Any:
        compiled = statement.compiled("postgresql")
        await self._deferred.send_for(compiled.sql)
        return await self._call(method, compiled.sql, compiled.arguments(params))

    async def _write(self, compiled: Compiled, rows: list[list[Any]]) -> None:
        bulk = bulk_insert(compiled.sql) if len(rows) > 1 else None
        if bulk is not None and not bulk.repeats_a_key(rows):
            await self._call(self._connection.execute, bulk.sql, list(zip(*rows, strict=True)))
        elif len(rows) == 1:
            await self._call(self._connection.execute, compiled.sql, rows[0])
        else:
            await self._call(self._connection.executemany, compiled.sql, [rows])

    async def _call(self, method: Callable[..., Awaitable[Any]], sql: str, arguments: Sequence[Any]) -> Any:
        try:
            return await method(sql, *arguments)
        except DRIVER_ERRORS as error:
            failure = translated(error)
            self.failure = self.failure or failure
            if isinstance(failure, Unreachable):
                self._connection.terminate()
            raise failure from error


class BulkInsert:
    """A one-row INSERT turned into one of many rows, each parameter a column of them."""

    _VALUES = re.compile(
        r"(INSERT INTO \S+ \([^)]*\)) VALUES \(((?:\$\d+::[A-Z ]+(?:, )?)+)\)([^$]*)", re.DOTALL
    )
    _UPDATES = re.compile(r"ON CONFLICT \(([^)]*)\) DO UPDATE")

    def __init__(self, found: re.Match[str]) -> None:
        head, values, tail = found.groups()
        arrays = ", ".join(f"{value}[]" for value in values.split(", "))
        self.sql = f"{head} SELECT * FROM unnest({arrays}){tail}"
        updates = self._UPDATES.search(tail)
        columns = head[head.index("(") + 1 : -1].split(", ")
        self._key = [columns.index(name) for name in updates[1].split(", ")] if updates else []

    @classmethod
    def of(cls, sql: str) -> BulkInsert | None:
        """Of the statement ``sql``, or None where it is not a plain INSERT of parameters in order."""
        found = cls._VALUES.fullmatch(sql)
        if found is None:
            return None
        numbers = [int(number) for number in re.findall(r"\$(\d+)", found[2])]
        return cls(found) if numbers == list(range(1, len(numbers) + 1)) else None

    def repeats_a_key(self, rows: Sequence[Sequence[Any]]) -> bool:
        """Whether two rows would update the same one, which a single statement must not."""
        if not self._key:
            return False
        return len({tuple(row[index] for index in self._key) for row in rows}) < len(rows)


@lru_cache(maxsize=1024)
def bulk_insert(sql: str) -> BulkInsert | None:
    """``BulkInsert.of``, remembered."""
    return BulkInsert.of(sql)


def _affected(status: str) -> int:
    count = status.rpartition(" ")[2]
    return int(count) if count.isdigit() else 0


class PostgresEngine:
    """The database at ``url``, ``postgresql://user:password@host:port/name``.

    ``readers`` bounds the connections that read; one more writes.
    """

    dialect = "postgresql"

    def __init__(self, url: str, *, readers: int = 10, connect_timeout: float = 10.0) -> None:
        self._url = url
        self._timeout = connect_timeout
        self._read = self._pool(readers, {"default_transaction_read_only": "on"})
        self._write = self._pool(1, {})

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
            return await unit(PostgresTransaction(connection))

    async def commit(self, units: Sequence[Callable[[WriteTransaction], Awaitable[Any]]]) -> Committed:
        async with self._write.lend() as connection:
            transaction = PostgresTransaction(connection, block=8 + 2 * len(units))
            try:
                await connection.execute("BEGIN")
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

    def _pool(self, size: int, settings: dict[str, str]) -> Pool[asyncpg.Connection[Any]]:
        settings = {"application_name": "palpo", "jit": "off", **settings}

        async def connect() -> asyncpg.Connection[Any]:
            try:
                return await asyncpg.connect(
                    self._url,
                    timeout=self._timeout,
                    statement_cache_size=1024,
                    max_cached_statement_lifetime=0,
                    server_settings=settings,
                )
            except (*DRIVER_ERRORS, TimeoutError) as error:
                raise Unreachable(str(error) or type(error).__name__) from error

        return Pool(size=size, connect=connect, close=close_connection, is_usable=lambda c: not c.is_closed())


async def _roll_back(connection: asyncpg.Connection[Any]) -> None:
    try:
        await connection.execute("ROLLBACK")
    except DRIVER_ERRORS:
        connection.terminate()


async def _commit(connection: asyncpg.Connection[Any]) -> None:
    try:
        await connection.execute("COMMIT")
    except asyncpg.PostgresError as error:
        failure = translated(error)
        if isinstance(failure, Unreachable):
            raise OutcomeUnknown(str(error)) from error
        raise failure from error
    except DRIVER_ERRORS as error:
        connection.terminate()
        raise OutcomeUnknown(str(error)) from error


async def close_connection(connection: asyncpg.Connection[Any]) -> None:
    """Take leave of the server, or just go if that takes more than two seconds."""
    try:
        await connection.close(timeout=2.0)
    except (*DRIVER_ERRORS, TimeoutError):
        connection.terminate()
