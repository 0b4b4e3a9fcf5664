"""Statements on one SQLite connection, and its errors as ours."""

from __future__ import annotations

import sqlite3
from collections.abc import Mapping, Sequence
from typing import Any, cast

from palpo.db.effects import Effects
from palpo.db.errors import BadValue, DatabaseError, Full, Retriable, StorageFailed, UniqueViolation
from palpo.db.position import ADVANCE, CURRENT
from palpo.db.statements import Statement
from palpo.db.transaction import Row


class SqliteTransaction(Effects):
    """Statements on one connection; nothing here ever suspends."""

    def __init__(self, connection: sqlite3.Connection) -> None:
        super().__init__()
        self._connection = connection
        self._execute = connection.execute

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
        if not self.last_position:
            self.since = self.last_position = await self.value(CURRENT)
        first = self.last_position + 1
        self.last_position += count
        await self.run(ADVANCE, count=count)
        return first

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
