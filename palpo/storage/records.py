"""Rows as records, and records as rows."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any, Generic, TypeVar, get_type_hints

from sqlalchemy import ColumnElement, Table

from palpo.db.transaction import Row

R = TypeVar("R")


class Records(Generic[R]):
    """What is stored of ``record``, a dataclass or struct: each field in the column of its name.

    ``others`` are the columns of those fields that are not of ``table``. A ``bool`` is stored as 0 or 1.
    """

    def __init__(self, record: type[R], table: Table, **others: ColumnElement[Any]) -> None:
        kinds = get_type_hints(record)
        self.columns = tuple(others[name] if name in others else table.c[name] for name in kinds)
        """In the order of the fields: a row of these is what ``of`` takes."""
        flags = {name for name, kind in kinds.items() if kind is bool}
        given = (f"{name}={'bool' * (name in flags)}(row[{index}])" for index, name in enumerate(kinds))
        stored = (f"{name!r}: {'int' * (name in flags)}(item.{name})" for name in kinds)
        # Made once, as dataclasses make their methods: as quick as if it were written out.
        self.of: Callable[[Row], R] = eval(f"lambda row: record({', '.join(given)})", {"record": record})
        """The record of a row."""
        self.values: Callable[[R], dict[str, Any]] = eval(f"lambda item: {{{', '.join(stored)}}}")
        """The values of a record's columns, by their names."""

    def one(self, row: Row | None) -> R | None:
        """The record of a row, if there is one."""
        return None if row is None else self.of(row)

    def all(self, rows: Sequence[Row]) -> list[R]:
        """The record of each row."""
        return list(map(self.of, rows))
