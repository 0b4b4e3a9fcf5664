"""Tables of a Synapse in pages by a key."""

from __future__ import annotations

from typing import Any

from sqlalchemy import Select, TableClause, bindparam, func, select, tuple_

from palpo.db.statements import Statement
from palpo.db.transaction import Row, Transaction


class Pages:
    """A table's rows in the order of a key: of texts, or numbers."""

    def __init__(self, source: TableClause, *key: str, of: Select[Any] | None = None) -> None:
        """``of`` has the rows, if not all columns of all rows are wanted."""
        wanted = of if of is not None else select(*source.c)
        self._columns = [column.name for column in wanted.selected_columns if hasattr(column, "name")]
        self._key = [self._columns.index(name) for name in key]
        self._lowest = ["" if source.c[name].type.python_type is str else -(2**62) for name in key]
        columns = [source.c[name] for name in key]
        bounds = [bindparam(f"after_{name}", type_=source.c[name].type) for name in key]
        self._names = [f"after_{name}" for name in key]
        above = columns[0] > bounds[0] if len(columns) == 1 else tuple_(*columns) > tuple_(*bounds)
        self._page = Statement(wanted.where(above).order_by(*columns).limit(bindparam("limit")))
        self._count = Statement(select(func.count()).select_from(wanted.subquery()))

    async def count(self, tx: Transaction) -> int:
        """How many rows there are."""
        return int(await tx.value(self._count))

    async def page(self, tx: Transaction, after: Any, limit: int) -> list[Row]:
        """The next rows above a key; None: from the first one on."""
        values = dict(zip(self._names, self._lowest if after is None else after, strict=True))
        return list(await tx.all(self._page, **values, limit=limit))

    def key(self, row: Row) -> list[Any]:
        """A row's key, as JSON has it."""
        return [row[at] for at in self._key]

    def named(self, row: Row) -> dict[str, Any]:
        """A row by the names of its columns."""
        return dict(zip(self._columns, row, strict=True))
