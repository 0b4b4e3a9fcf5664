"""SQLite: the embedded default. One writer thread, readers on the event loop, WAL between them.

A unit of work crosses to the writer's thread once: there its coroutine is driven to the end, since
nothing that it awaits ever waits. A point read costs about 12 µs, less than a thread's hand-over,
so reads run where they are called, as long as they are quick (``sqlite_reads``).
"""

from __future__ import annotations

import asyncio
import contextlib
import sqlite3
import time
from collections.abc import Coroutine, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any, TypeVar

from palpo.db.engine import Committed
from palpo.db.errors import (
    DatabaseError,
    Unreachable,
)
from palpo.db.figures import PoolFigures
from palpo.db.sqlite_reads import PlainThreads, Sharing, SqliteReads
from palpo.db.sqlite_transaction import SqliteTransaction, translated
from palpo.db.statements import UNHEX
from palpo.db.transaction import ReadUnit, WriteUnit
from palpo.db.units import run_in_thread

T = TypeVar("T")
# The cache is in KiB, for each of two connections: what is not in it is read from the system's.
PRAGMAS = (
    "PRAGMA synchronous = NORMAL",
    "PRAGMA foreign_keys = ON",
    "PRAGMA cache_size = -8192",
    "PRAGMA temp_store = MEMORY",
)


READER_BUSY_MS = 1000
"""How long a read waits, in the event loop, for a lock; that is for a file that is being recovered only."""


class SqliteEngine:
    """A database in the file ``path``; its directory must exist.

    ``patience`` is how many seconds a group waits for another process that writes, ``sharing`` how reads
    share the event loop and the threads.
    """

    dialect = "sqlite"

    def __init__(self, path: Path, *, patience: float = 10.0, sharing: Sharing | None = None) -> None:
        self._path = path
        self._patience = patience
        self._thread = ThreadPoolExecutor(1, thread_name_prefix="sqlite-writer")
        self.reads = SqliteReads(self._connect_reader, sharing or PlainThreads())
        self._writer: sqlite3.Connection | None = None

    def pools(self) -> Mapping[str, PoolFigures]:
        return {}

    async def open(self) -> None:
        self._writer = await asyncio.get_running_loop().run_in_executor(self._thread, self._connect)
        self.reads.open()

    async def close(self) -> None:
        await self.reads.close()
        if self._writer is not None:
            await asyncio.get_running_loop().run_in_executor(self._thread, self._writer.close)
            self._writer = None
        self._thread.shutdown()

    def read(self, unit: ReadUnit[T]) -> Coroutine[Any, Any, T]:
        return self.reads.run(unit)

    async def commit(self, units: Sequence[WriteUnit[Any]]) -> Committed:
        loop = asyncio.get_running_loop()
        return await loop.run_in_executor(self._thread, self._commit, units)

    def _commit(self, units: Sequence[WriteUnit[Any]]) -> Committed:
        connection = self._writer
        if connection is None:
            raise DatabaseError("the database is not open")
        transaction = SqliteTransaction(connection)
        try:
            _begin(connection)
            results = [run_in_thread(unit, transaction) for unit in units]
            run_in_thread(SqliteTransaction.finish, transaction)
            connection.execute("COMMIT")
        except BaseException as error:
            if connection.in_transaction:
                # Where even that fails, the next BEGIN says so.
                with contextlib.suppress(sqlite3.Error):
                    connection.execute("ROLLBACK")
            if isinstance(error, sqlite3.Error):
                raise translated(error) from error
            raise
        return transaction.committed(results)

    def _connect_reader(self) -> sqlite3.Connection:
        connection = self._connect()
        connection.execute("PRAGMA query_only = ON")
        connection.execute(f"PRAGMA busy_timeout = {READER_BUSY_MS}")
        return connection

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
