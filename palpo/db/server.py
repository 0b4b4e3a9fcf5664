"""What the engines of database servers share: a pool that reads, one connection that writes.

    PostgresEngine ┐                      PostgresTransaction ┐
    MysqlEngine    ┴ ServerEngine         MysqlTransaction    ┴ ServerTransaction

A subclass says how its driver begins, commits, rolls back and lets go, and which errors it raises.
"""

from __future__ import annotations

import asyncio
from abc import ABC, abstractmethod
from collections.abc import Awaitable, Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Generic, TypeVar

from palpo.db.deferred import Batch, DeferredWrites
from palpo.db.effects import Effects
from palpo.db.engine import Committed
from palpo.db.errors import DatabaseError, OutcomeUnknown, Retriable, Unreachable
from palpo.db.figures import PoolFigures
from palpo.db.pool import Pool
from palpo.db.statements import Statement
from palpo.db.transaction import ReadUnit, Row, WriteUnit
from palpo.db.units import refuse_outside_unit, run_on_loop

T = TypeVar("T")
C = TypeVar("C")


@dataclass(frozen=True, slots=True, kw_only=True)
class DriverErrors:
    """What a driver raises."""

    raised: tuple[type[Exception], ...]
    """OSError among them, and with it TimeoutError."""
    answer: type[Exception]
    """Those of them that are the server's own words: a commit so refused has not happened."""
    translated: Callable[[Exception], DatabaseError]


class ServerTransaction(Effects, Generic[C]):
    """Statements on one connection. ``block`` is how many positions are taken at a time, at least."""

    dialect: str
    errors: DriverErrors

    def __init__(self, connection: C, *, block: int = 1) -> None:
        super().__init__()
        self._connection = connection
        self._block = block
        self._next = 1
        self.waits = False
        """Whether it waits for the server's answer."""
        self._deferred = DeferredWrites(self._write_all)

    @abstractmethod
    async def all(self, statement: Statement, /, **params: Any) -> Sequence[Row]: ...

    @abstractmethod
    async def one(self, statement: Statement, /, **params: Any) -> Row | None: ...

    async def value(self, statement: Statement, /, **params: Any) -> Any:
        row = await self.one(statement, **params)
        return None if row is None else row[0]

    @abstractmethod
    async def run(self, statement: Statement, /, **params: Any) -> int: ...

    async def many(self, statement: Statement, rows: Sequence[Mapping[str, Any]], /) -> None:
        if not rows:
            return
        compiled = statement.compiled(self.dialect)
        values = [compiled.arguments(row) for row in rows]
        if not self._deferred.add(compiled, values):
            await self._deferred.send_for(compiled)
            await self._write_all([(compiled, values)])

    @abstractmethod
    async def begin(self) -> None:
        """Begin to write."""

    async def finish(self) -> None:
        """Send what has been put off first; raises what that raises, too."""
        await self._deferred.send_all()
        await super().finish()

    async def positions(self, count: int = 1) -> int:
        if self._next + count - 1 > self.last_position:
            taken, first_time = max(count, self._block), not self.last_position
            self.last_position = await self._take(taken)
            self._next = self.last_position - taken + 1
            if first_time:
                self.since = self._next - 1
        first = self._next
        self._next += count
        return first

    async def _query(
        self, method: Callable[..., Awaitable[Any]], statement: Statement, params: Mapping[str, Any]
    ) -> Any:
        """Run a statement by the driver's ``method``, after what it might have to see."""
        compiled = statement.compiled(self.dialect)
        await self._deferred.send_for(compiled)
        return await self._call(method, compiled.sql, compiled.arguments(params))

    async def _call(self, method: Callable[..., Awaitable[Any]], sql: str, arguments: Sequence[Any]) -> Any:
        refuse_outside_unit()
        self.waits = True
        try:
            return await self._invoke(method, sql, arguments)
        except self.errors.raised as error:
            failure = self.errors.translated(error)
            self.failure = self.failure or failure
            if isinstance(failure, Unreachable):
                self._abandon()
            raise failure from error
        finally:
            self.waits = False

    @abstractmethod
    async def _take(self, count: int) -> int:
        """Advance the stream's position by ``count``; returns the new one."""

    @abstractmethod
    async def _invoke(self, method: Callable[..., Awaitable[Any]], sql: str, arguments: Sequence[Any]) -> Any:
        """Call the driver's ``method`` in its own way."""

    @abstractmethod
    async def _write_all(self, batches: Sequence[Batch]) -> None:
        """Run each statement for each of its rows; the statements are of different tables."""

    @abstractmethod
    def _abandon(self) -> None:
        """Make the connection unusable: it is broken."""


class ServerEngine(ABC, Generic[C]):
    """The database at ``url``.

    ``readers`` bounds the connections that read; one more writes. ``patience`` is how many seconds
    a connection may take to be made, a read, with its waiting for a connection, and a group of writes: a
    server that went away without a word, or hangs, is found so.
    """

    dialect: str
    errors: DriverErrors

    def __init__(self, url: str, *, readers: int = 10, patience: float = 10.0) -> None:
        self._url = url
        self._patience = patience
        self._position = 0
        """The last position that this engine has taken: most likely it is the stream's."""
        self._read = self._pool(readers, read_only=True)
        self._write = self._pool(1, read_only=False)

    def pools(self) -> Mapping[str, PoolFigures]:
        return {"read": self._read.figures, "write": self._write.figures}

    async def open(self) -> None:
        async with self._read.lend(), self._write.lend():
            pass

    async def close(self) -> None:
        await self._read.close()
        await self._write.close()

    async def read(self, unit: ReadUnit[T]) -> T:
        try:
            async with asyncio.timeout(self._patience):
                try:
                    return await self._read_once(unit)
                except Unreachable:
                    # The connection may have been lost while it waited in the pool: once more, on another.
                    return await self._read_once(unit)
        except TimeoutError as error:
            raise Unreachable("the database does not answer") from error

    async def _read_once(self, unit: ReadUnit[T]) -> T:
        async with self._read.lend() as connection:
            try:
                return await run_on_loop(unit, self._transaction(connection))
            except asyncio.CancelledError:
                # In the middle of a statement: nobody is to wait for its end.
                self._abandon(connection)
                raise

    async def commit(self, units: Sequence[WriteUnit[Any]]) -> Committed:
        async with self._write.lend() as connection:
            transaction = self._transaction(connection, block=8 + 2 * len(units))
            try:
                async with asyncio.timeout(self._patience):
                    await transaction.begin()
                    results = [await run_on_loop(unit, transaction) for unit in units]
                    await run_on_loop(type(transaction).finish, transaction)
            except TimeoutError as error:
                self._abandon(connection)
                raise Unreachable("the database does not answer") from error
            except Exception as error:
                await self._undo(connection)
                failure = self.errors.translated(error) if isinstance(error, self.errors.raised) else error
                if isinstance(failure, Unreachable):
                    # Nothing was committed, so it may be done again, on another connection.
                    raise Retriable(str(failure)) from error
                raise failure from (None if failure is error else error)
            await self._finish(connection)
        self._position = transaction.last_position or self._position
        return transaction.committed(results)

    async def _undo(self, connection: C) -> None:
        try:
            async with asyncio.timeout(self._patience):
                await self._roll_back(connection)
        except self.errors.raised:
            self._abandon(connection)

    async def _finish(self, connection: C) -> None:
        """Commit; raises OutcomeUnknown unless the server said yes or no."""
        try:
            async with asyncio.timeout(self._patience):
                await self._commit(connection)
        except self.errors.raised as error:
            failure = self.errors.translated(error)
            if isinstance(failure, Unreachable) or not isinstance(error, self.errors.answer):
                self._abandon(connection)
                raise OutcomeUnknown(str(failure)) from error
            raise failure from error

    @abstractmethod
    def _pool(self, size: int, *, read_only: bool) -> Pool[C]: ...

    @abstractmethod
    def _transaction(self, connection: C, *, block: int = 1) -> ServerTransaction[C]: ...

    @abstractmethod
    async def _commit(self, connection: C) -> None: ...

    @abstractmethod
    async def _roll_back(self, connection: C) -> None: ...

    @abstractmethod
    def _abandon(self, connection: C) -> None:
        """Make the connection unusable: it is broken."""
