"""Where many rows go quickly: straight into the tables of a server that is not running."""

from __future__ import annotations

import sqlite3
from collections.abc import Iterable, Sequence
from pathlib import Path
from typing import Any, Protocol

import asyncpg

Rows = Sequence[Sequence[Any]]
BATCH = 20_000


class Sink(Protocol):
    """A database that is being filled."""

    async def add(self, table: str, columns: Sequence[str], rows: Rows) -> None:
        """Insert rows."""
        ...

    async def run(self, statement: str) -> None:
        """Run a statement."""
        ...

    async def close(self) -> None:
        """Keep all of it, and have the planner know how much there is."""
        ...


class SqliteSink:
    """A file."""

    def __init__(self, path: Path) -> None:
        self._connection = sqlite3.connect(path)
        for pragma in ("synchronous = OFF", "cache_size = -400000", "temp_store = MEMORY"):
            self._connection.execute(f"PRAGMA {pragma}")

    async def add(self, table: str, columns: Sequence[str], rows: Rows) -> None:
        """Insert rows."""
        names, marks = ", ".join(f'"{name}"' for name in columns), ", ".join("?" * len(columns))
        self._connection.executemany(f"INSERT INTO {table} ({names}) VALUES ({marks})", rows)
        self._connection.commit()

    async def run(self, statement: str) -> None:
        """Run a statement."""
        self._connection.execute(statement)
        self._connection.commit()

    async def close(self) -> None:
        """Keep all of it."""
        await self.run("ANALYZE")
        self._connection.execute("PRAGMA wal_checkpoint(TRUNCATE)")
        self._connection.close()


class PostgresSink:
    """A database of a PostgreSQL server."""

    def __init__(self, connection: asyncpg.Connection) -> None:
        self._connection = connection

    async def add(self, table: str, columns: Sequence[str], rows: Rows) -> None:
        """Insert rows."""
        await self._connection.copy_records_to_table(table, columns=columns, records=rows)

    async def run(self, statement: str) -> None:
        """Run a statement."""
        await self._connection.execute(statement)

    async def close(self) -> None:
        """Keep all of it."""
        await self.run("VACUUM ANALYZE")
        await self._connection.close()


async def open_sink(url: str, file: Path) -> Sink:
    """The database at ``url``; where that is empty, the SQLite file."""
    if not url:
        return SqliteSink(file)
    return PostgresSink(await asyncpg.connect(url))


def batches(rows: Iterable[Sequence[Any]], size: int = BATCH) -> Iterable[Rows]:
    """Rows, so many at a time."""
    batch: list[Sequence[Any]] = []
    for row in rows:
        batch.append(row)
        if len(batch) >= size:
            yield batch
            batch = []
    if batch:
        yield batch
