"""SQLite: the embedded default. One writer thread, readers on the event loop, WAL between them.

A unit of work crosses to the writer's thread once: there its coroutine is driven to the end, since
nothing that it awaits ever waits. A point read costs about 12 µs, less than a thread's hand-over,
so reads run where they are called.
"""

from __future__ import annotations

import asyncio
import contextlib
import sqlite3
import time
from collections.abc import Awaitable, Callable, Coroutine, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any, TypeVar, cast

from palpo.db.engine import Commit, Committed
from palpo.db.errors import (
    BadValue,
    DatabaseError,
    Full,
    Retriable,
    StorageFailed,
    UniqueViolation,
    Unreachable,
)
from palpo.db.position import ADVANCE, CURRENT
from palpo.db.statements import UNHEX, Statement
from palpo.db.transaction import Row, Transaction, WriteTransaction

T = TypeVar("T")
# The cache is in KiB, for each of two connections: what is not in it is read from the system's.
PRAGMAS = (
    "PRAGMA synchronous = NORMAL",
    "PRAGMA foreign_keys = ON",
    "PRAGMA cache_size = -8192",
    "PRAGMA temp_store = MEMORY",
)


class SqliteTransaction:
    """Statements on one connection; nothing here ever suspends."""

    def __init__(self, connection: sqlite3.Connection) -> None:
        self._connection = connection
        self._execute = connection.execute
        self._next = 0
        self.since = 0
        """The position before the first that was taken, 0 if none was."""
        self.topics: set[str] = set()
        self.callbacks: list[Callable[[int], None]] = []
        self.failure: DatabaseError | None = None
        """The first error of a statement, after which nothing may be committed."""

    @property
    def last_position(self) -> int:
        """The highest position that was taken, 0 if none."""
        return self._next - 1 if self._next else 0

    async def all(self, statement: Statement, /, **params: Any) -> Sequence[Row]:
        return self._run(statement, params).fetchall()

    async def one(self, statement: Statement, /, **params: Any) -> Row | None:
        return cast("Row | None", self._run(statement, params).fetchone())

    async def value(self, statement: Statement, /, **params: Any) -> Any:
        row = self._run(statement, params).fetchone()
        return None if row is None else row[0]

    async def run(self, statement: Statement, /, **params: Any) -> int:
        return self._run(statement, params).rowcount

    async def many(self, statement: Statement, rows: Sequence[Mapping[str, Any]], /) -> None:
        if not rows:
            return
        compiled = statement.compiled("sqlite")
        try:
            self._connection.executemany(compiled.sql, [compiled.arguments(row) for row in rows])
        except SQLITE_ERRORS as error:
            raise self._failed(error) from error

    async def positions(self, count: int = 1) -> int:
        if not self._next:
            self.since = await self.value(CURRENT)
            self._next = self.since + 1
        first = self._next
        self._next += count
        await self.run(ADVANCE, count=count)
        return first

    async def finish(self) -> None:
        """Take a position if somebody is to be woken; raises what a unit caught."""
        if self.topics and not self._next:
            await self.positions()
        if self.failure is not None:
            raise self.failure

    def notify(self, *topics: str) -> None:
        self.topics.update(topics)

    def on_commit(self, callback: Callable[[int], None]) -> None:
        self.callbacks.append(callback)

    def _run(self, statement: Statement, params: Mapping[str, Any]) -> sqlite3.Cursor:
        compiled = statement.compiled("sqlite")
        try:
            return self._execute(compiled.sql, compiled.arguments(params))
        except SQLITE_ERRORS as error:
            raise self._failed(error) from error

    def _failed(self, error: Exception) -> DatabaseError:
        failure = translated(error)
        self.failure = self.failure or failure
        return failure


SQLITE_ERRORS = (sqlite3.Error, OverflowError, UnicodeEncodeError)
STORAGE = frozenset(
    {sqlite3.SQLITE_IOERR, sqlite3.SQLITE_READONLY, sqlite3.SQLITE_CANTOPEN, sqlite3.SQLITE_PROTOCOL}
)
READER_BUSY_MS = 1000
"""How long a read waits, in the event loop, for a lock; that is for a file that is being recovered only."""


def translated(error: Exception) -> DatabaseError:
    """Our error for one of SQLITE_ERRORS."""
    text = str(error)
    if not isinstance(error, sqlite3.Error):
        return BadValue(text)
    if isinstance(error, sqlite3.IntegrityError) and "UNIQUE" in text:
        return UniqueViolation(text)
    if isinstance(error, sqlite3.OperationalError) and "locked" in text:
        return Retriable(text)
    code = getattr(error, "sqlite_errorcode", 0) & 0xFF
    if code == sqlite3.SQLITE_FULL:
        return Full(text)
    return StorageFailed(text) if code in STORAGE else DatabaseError(text)


class SqliteEngine:
    """A database in the file ``path``; its directory must exist.

    ``patience`` is how many seconds a group waits for another process that writes.
    """

    dialect = "sqlite"

    def __init__(self, path: Path, *, patience: float = 10.0) -> None:
        self._path = path
        self._patience = patience
        self._thread = ThreadPoolExecutor(1, thread_name_prefix="sqlite-writer")
        self._reader: sqlite3.Connection | None = None
        self._writer: sqlite3.Connection | None = None

    async def open(self) -> None:
        self._writer = await asyncio.get_running_loop().run_in_executor(self._thread, self._connect)
        self._reader = self._connect()
        self._reader.execute("PRAGMA query_only = ON")
        self._reader.execute(f"PRAGMA busy_timeout = {READER_BUSY_MS}")

    async def close(self) -> None:
        if self._reader is not None:
            self._reader.close()
            self._reader = None
        if self._writer is not None:
            await asyncio.get_running_loop().run_in_executor(self._thread, self._writer.close)
            self._writer = None
        self._thread.shutdown()

    async def read(self, unit: Callable[[Transaction], Awaitable[T]]) -> T:
        if self._reader is None:
            raise DatabaseError("the database is not open")
        return await unit(SqliteTransaction(self._reader))

    async def commit(self, units: Sequence[Callable[[WriteTransaction], Awaitable[Any]]]) -> Committed:
        loop = asyncio.get_running_loop()
        return await loop.run_in_executor(self._thread, self._commit, units)

    def _commit(self, units: Sequence[Callable[[WriteTransaction], Awaitable[Any]]]) -> Committed:
        connection = self._writer
        if connection is None:
            raise DatabaseError("the database is not open")
        transaction = SqliteTransaction(connection)
        try:
            _begin(connection)
            results = [run_to_end(unit(transaction)) for unit in units]
            run_to_end(transaction.finish())
            connection.execute("COMMIT")
        except BaseException as error:
            if connection.in_transaction:
                # Where even that fails, the next BEGIN says so.
                with contextlib.suppress(sqlite3.Error):
                    connection.execute("ROLLBACK")
            if isinstance(error, sqlite3.Error):
                raise translated(error) from error
            raise
        commit = Commit(
            position=transaction.last_position,
            topics=frozenset(transaction.topics),
            since=transaction.since,
        )
        return Committed(results=results, commit=commit, callbacks=transaction.callbacks)

    def _connect(self) -> sqlite3.Connection:
        connection = sqlite3.connect(
            self._path, isolation_level=None, check_same_thread=False, cached_statements=512
        )
        connection.create_function(UNHEX, 1, bytes.fromhex, deterministic=True)
        enable_wal(connection)
        connection.execute(f"PRAGMA busy_timeout = {round(self._patience * 1000)}")
        for pragma in PRAGMAS:
            connection.execute(pragma)
        return connection


def _begin(connection: sqlite3.Connection) -> None:
    """Begin to write; raises Unreachable where another process has been writing all the time."""
    try:
        connection.execute("BEGIN IMMEDIATE")
    except sqlite3.OperationalError as error:
        if error.sqlite_errorcode & 0xFF == sqlite3.SQLITE_BUSY:
            raise Unreachable("the database is locked by another process") from error
        raise


def enable_wal(connection: sqlite3.Connection, *, attempts: int = 500) -> None:
    """Make the database write ahead; a file that is so already needs no lock.

    Of several processes that open a new file at once, SQLite tells all but one that it is locked,
    whatever ``busy_timeout`` says, so they ask again every 10 ms.
    """
    for attempt in range(1, attempts + 1):
        try:
            connection.execute("PRAGMA journal_mode = WAL")
            return
        except sqlite3.OperationalError as error:
            if attempt == attempts or "locked" not in str(error):
                raise
            time.sleep(0.01)


def run_to_end(awaitable: Awaitable[T]) -> T:
    """Drive a coroutine that never waits; raises RuntimeError if it awaits anything real."""
    coroutine = cast("Coroutine[Any, Any, T]", awaitable)
    try:
        coroutine.send(None)
    except StopIteration as stop:
        return cast("T", stop.value)
    coroutine.close()
    raise RuntimeError("a unit of work awaited something other than its transaction")
