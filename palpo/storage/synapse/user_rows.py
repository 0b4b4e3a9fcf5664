"""Users' rows of any table, there or here, each with its columns by name."""

from __future__ import annotations

from collections.abc import Collection, Mapping, Sequence
from typing import Any

from sqlalchemy import Table, TableClause, select

from palpo.db.statements import Statement, in_list, upsert
from palpo.db.transaction import Transaction, WriteTransaction

Row = dict[str, Any]
"""Values by the names of their columns."""


class TheirRows:
    """A table of Synapse's that says in a column whose each row is."""

    def __init__(self, table: TableClause, user: str = "user_id", *, order: Sequence[str] = ()) -> None:
        self._user = user
        self._columns = [column.name for column in table.columns]
        order_by = [table.c[name] for name in order]
        self._of = Statement(select(table).where(in_list(table.c[user], "users")).order_by(*order_by))

    async def of(self, tx: Transaction, users: Collection[str]) -> dict[str, list[Row]]:
        """The rows of each of ``users``, in order, also where there are none."""
        found: dict[str, list[Row]] = {user: [] for user in users}
        for values in await tx.all(self._of, users=list(users)):
            row = dict(zip(self._columns, values, strict=True))
            found[row[self._user]].append(row)
        return found


class OurRows:
    """A table of ours that is filled."""

    def __init__(
        self,
        table: Table,
        *key: str,
        user: str = "user_id",
        placed: str | None = None,
        given: Collection[str] = (),
    ) -> None:
        """``key`` says which row is replaced. The column ``placed`` has a stream position: rows have a number
        there that orders them. It, and columns that are ``given`` here, are not compared."""
        self.name = table.name
        self.key = key
        self.user = user
        self._placed = placed
        self._given = {*given, placed}
        self._columns = [column.name for column in table.columns]
        self._put = upsert(table, key=key)
        self._of = Statement(select(table).where(in_list(table.c[user], "users")))

    async def put(self, tx: WriteTransaction, rows: Sequence[Row]) -> None:
        """Store rows over those with the same keys, at positions in their order."""
        if rows:
            await tx.many(self._put, await self._at_positions(tx, rows))

    async def _at_positions(self, tx: WriteTransaction, rows: Sequence[Row]) -> list[Row]:
        placed = self._placed
        if placed is None:
            return list(rows)
        first = await tx.positions(1 + max(row[placed] for row in rows))
        return [row | {placed: first + row[placed]} for row in rows]

    async def of(self, tx: Transaction, users: Collection[str]) -> list[Row]:
        """The rows of all of ``users``."""
        return [
            dict(zip(self._columns, values, strict=True))
            for values in await tx.all(self._of, users=list(users))
        ]

    def compared(self, row: Mapping[str, Any]) -> tuple[Any, ...]:
        """What of a row is to be the same."""
        return tuple(
            bytes(value) if isinstance(value := row[name], memoryview) else value
            for name in self._columns
            if name not in self._given
        )

    def named(self, row: Mapping[str, Any]) -> str:
        """The row's key, to be shown."""
        parts = [row[name] for name in self.key if name not in self._given]
        return " ".join(str(part) for part in parts if not isinstance(part, bytes)) or str(row[self.user])
