"""What a repository is handed: a transaction, for reading or for writing."""

from __future__ import annotations

from collections.abc import Awaitable, Callable, Mapping, Sequence
from typing import Any, Protocol, TypeVar

from palpo.db.statements import Statement
from palpo.db.topics import Kind

T = TypeVar("T")
Row = Sequence[Any]
"""A row: its columns in the order in which the statement selects them."""


class Transaction(Protocol):
    """Reads within one unit of work.

    A unit of work is an ``async`` function over a transaction. It awaits nothing but the
    transaction; any other await is a UnitError. A statement that is not given its parameters, or is
    given others, raises ParameterError.
    """

    async def all(self, statement: Statement, /, **params: Any) -> Sequence[Row]:
        """Every row."""
        ...

    async def one(self, statement: Statement, /, **params: Any) -> Row | None:
        """The first row, or None."""
        ...

    async def value(self, statement: Statement, /, **params: Any) -> Any:
        """The first row's first column, or None where there is no row."""
        ...


class WriteTransaction(Transaction, Protocol):
    """Reads and writes within one unit of work, which may be run more than once until it commits.

    A statement that failed fails the transaction: catching its error does not help.
    """

    @property
    def since(self) -> int:
        """The stream's position when this transaction took its first; 0 where it has taken none.

        Until it ends nobody else takes one, so all that has one at or below this is there to be read.
        """
        ...

    async def run(self, statement: Statement, /, **params: Any) -> int:
        """Run a statement that returns no rows; the number of rows that it changed.

        Raises UniqueViolation. (MySQL counts a row that an upsert left as it was as 0, one that it
        updated as 2: only compare with 0, and not after an upsert.)
        """
        ...

    async def many(self, statement: Statement, rows: Sequence[Mapping[str, Any]], /) -> None:
        """Run one statement for each of ``rows``, in as few round trips as the driver can.

        It may be sent later: when its table is next looked at, or the transaction commits. Then is
        when its errors are raised. Prefer it to ``run``, for one row too, where the count is not used.
        """
        ...

    async def positions(self, count: int = 1) -> int:
        """Take ``count`` consecutive stream positions; returns the first.

        They become visible, in order, when the transaction commits. Numbers may be skipped.
        """
        ...

    def notify(self, kind: Kind, *keys: str) -> None:
        """Tell whoever listens to, or waits for, these topics of a kind, after the commit.

        A transaction that does takes a position, if it has not taken one: processes that no hint
        reaches find that something has changed by the position.
        """
        ...

    def on_commit(self, callback: Callable[[int], None]) -> None:
        """Call ``callback`` in the event loop after the commit, before anyone who waits for it goes on.

        It is given the commit's position, must be quick and must not raise. It is what caches are told
        of this process's own writes by; a later commit may have been heard of already.
        """
        ...


ReadUnit = Callable[[Transaction], Awaitable[T]]
WriteUnit = Callable[[WriteTransaction], Awaitable[T]]
