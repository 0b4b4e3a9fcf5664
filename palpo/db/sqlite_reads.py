"""Reading from SQLite: on the event loop as long as it is quick, in a thread where it is not.

A point read takes some 12 µs, less than handing it to a thread. What takes longer shows while it runs: it is
given up, and the unit, which has no effect but its result, runs again in a thread with a connection of its
own.
"""

from __future__ import annotations

import asyncio
import sqlite3
import time
from collections.abc import Callable, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from typing import Any, Protocol, TypeVar

from palpo.db.errors import DatabaseError
from palpo.db.sqlite_transaction import SqliteTransaction
from palpo.db.statements import Statement
from palpo.db.transaction import ReadUnit, Row
from palpo.db.units import run_in_thread, run_to_end

T = TypeVar("T")

HELD_S = 0.008
"""Seconds on the event loop after which a read goes on in a thread; twice that on a busy machine."""
OPERATIONS = 20_000
"""Of SQLite's virtual machine, some 0.5 ms, after which the time is looked at."""
THREADS = 3
THREAD_CACHE_KIB = 1024


class Sharing(Protocol):
    """How reads share the event loop and the threads with each other."""

    async def breathe(self) -> None:
        """Before a read: let others have their turn, if this task has held the loop for long."""
        ...

    async def in_thread(self, work: Callable[[], T]) -> T:
        """What ``work`` returns, from a thread."""
        ...

    async def close(self) -> None:
        """End the threads."""
        ...


class PlainThreads:
    """Threads for whoever comes first."""

    def __init__(self) -> None:
        self._threads = ThreadPoolExecutor(THREADS, "sqlite-reader")

    async def breathe(self) -> None:
        """Go on."""

    async def in_thread(self, work: Callable[[], T]) -> T:
        """What ``work`` returns, from a thread."""
        return await asyncio.get_running_loop().run_in_executor(self._threads, work)

    async def close(self) -> None:
        """End the threads."""
        await asyncio.to_thread(self._threads.shutdown)


class _TooSlow(Exception):
    """The read has taken longer than the event loop can wait."""


class _Stretch:
    """How long the read that is under way has held the event loop."""

    def __init__(self) -> None:
        self._until = 0.0
        self._spent: float | None = None

    def begin(self) -> None:
        """A read begins."""
        self._until = time.perf_counter() + HELD_S
        self._spent = None

    def is_over(self) -> bool:
        """Whether it has had its time. Only what this thread has worked counts: the machine may be busy."""
        if time.perf_counter() < self._until:
            return False
        spent = time.thread_time()
        if self._spent is not None and spent - self._spent >= HELD_S / 2:
            return True
        self._spent = spent if self._spent is None else self._spent
        self._until = time.perf_counter() + HELD_S / 2
        return False


class _LoopTransaction(SqliteTransaction):
    """A read on the event loop; every statement raises _TooSlow once the time is over."""

    def __init__(self, connection: sqlite3.Connection, stretch: _Stretch) -> None:
        super().__init__(connection)
        self._stretch = stretch

    async def all(self, statement: Statement, /, **params: Any) -> Sequence[Row]:
        return self._fetch(sqlite3.Cursor.fetchall, statement, params)

    async def one(self, statement: Statement, /, **params: Any) -> Row | None:
        row: Row | None = self._fetch(sqlite3.Cursor.fetchone, statement, params)
        return row

    async def value(self, statement: Statement, /, **params: Any) -> Any:
        row = self._fetch(sqlite3.Cursor.fetchone, statement, params)
        return None if row is None else row[0]

    def close(self) -> None:
        """Disconnect."""
        self._connection.close()

    def _fetch(
        self, fetch: Callable[[sqlite3.Cursor], T], statement: Statement, params: Mapping[str, Any]
    ) -> T:
        if self._stretch.is_over():
            raise _TooSlow
        try:
            return fetch(self._run(statement, params))
        except (sqlite3.Error, DatabaseError):
            self.failure = None  # It is this read's, and there will be others.
            if self._stretch.is_over():
                raise _TooSlow from None
            raise


class SqliteReads:
    """The reading connections of a database: one on the event loop, and one for each thread that reads."""

    def __init__(self, connect: Callable[[], sqlite3.Connection], sharing: Sharing) -> None:
        self._connect = connect
        self._sharing = sharing
        self._stretch = _Stretch()
        self._on_loop: _LoopTransaction | None = None
        """One for all: a read that stays on the loop has ended before another begins."""
        self._spare: list[sqlite3.Connection] = []
        self.in_threads = 0
        """How many reads have gone on in a thread."""

    def open(self) -> None:
        """Connect."""
        connection = self._connect()
        connection.set_progress_handler(self._stretch.is_over, OPERATIONS)
        self._on_loop = _LoopTransaction(connection, self._stretch)

    async def close(self) -> None:
        """Disconnect."""
        if self._on_loop is not None:
            self._on_loop.close()
            self._on_loop = None
        await self._sharing.close()
        while self._spare:
            self._spare.pop().close()

    async def run(self, unit: ReadUnit[T]) -> T:
        """Run ``unit``, here or in a thread."""
        if self._on_loop is None:
            raise DatabaseError("the database is not open")
        await self._sharing.breathe()
        self._stretch.begin()
        try:
            return run_to_end(unit, self._on_loop)
        except _TooSlow:
            self.in_threads += 1
        return await self._sharing.in_thread(lambda: self._run_here(unit))

    def _run_here(self, unit: ReadUnit[T]) -> T:
        connection = self._spare.pop() if self._spare else self._connect_more()
        try:
            return run_in_thread(unit, SqliteTransaction(connection))
        finally:
            self._spare.append(connection)

    def _connect_more(self) -> sqlite3.Connection:
        connection = self._connect()
        connection.execute(f"PRAGMA cache_size = -{THREAD_CACHE_KIB}")
        return connection
