"""Opens a Synapse's database, for reading."""

from __future__ import annotations

import sqlite3
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path
from urllib.parse import quote, urlsplit

from palpo.db.connect import create_engine
from palpo.db.engine import Database
from palpo.db.errors import Unreachable
from palpo.db.sqlite import SqliteEngine
from palpo.db.sqlite_path import sqlite_path
from palpo.db.statements import UNHEX

BUSY_MS = 10_000


@asynccontextmanager
async def open_synapse(url: str) -> AsyncIterator[Database]:
    """The database at ``sqlite:///path`` or ``postgresql://…``; raises ValueError and DatabaseError."""
    if urlsplit(url).scheme in ("mysql", "mariadb"):
        raise ValueError("a Synapse has its database on SQLite or PostgreSQL")
    engine = _ReadOnly(_file(url)) if urlsplit(url).scheme == "sqlite" else create_engine(url, readers=2)
    db = Database(engine)
    await db.open()
    try:
        yield db
    finally:
        await db.close()


def _file(url: str) -> Path:
    path = sqlite_path(url)
    if not path.is_file():
        raise Unreachable(f"there is no file {path}")
    return path


class _ReadOnly(SqliteEngine):
    """A file that belongs to somebody else."""

    def _connect(self) -> sqlite3.Connection:
        connection = sqlite3.connect(
            f"file:{quote(str(self._path))}?mode=ro", uri=True, isolation_level=None, check_same_thread=False
        )
        connection.create_function(UNHEX, 1, bytes.fromhex, deterministic=True)
        connection.execute(f"PRAGMA busy_timeout = {BUSY_MS}")
        return connection
