"""Rows as records, and records as rows."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Sequence
from enum import EnumType
from typing import Any, Generic, TypeVar, get_type_hints

import orjson
from sqlalchemy import ColumnElement, Table

from palpo.db.transaction import Row

R = TypeVar("R")


class Records(Generic[R]):
    """What is stored of ``record``, a dataclass or struct: each field in the column of its name.

    ``others`` are the columns of those fields that have another name, or are not of ``table``. A ``bool``
    is stored as 0 or 1, one of an enumeration by its value, a tuple of text as a JSON array.
    """

    def __init__(self, record: type[R], table: Table, **others: ColumnElement[Any]) -> None:
        kinds = get_type_hints(record)
        self.columns = tuple(others[name] if name in others else table.c[name] for name in kinds)
        """In the order of the fields: a row of these is what ``of`` takes."""
        names: dict[str, Any] = {"record": record, "orjson": orjson}
        given, stored = [], []
        for index, (column, (name, kind)) in enumerate(zip(self.columns, kinds.items(), strict=True)):
            value, field = f"row[{index}]", f"item.{name}"
            if kind is bool:
                value, field = f"bool({value})", f"int({field})"
            elif kind == tuple[str, ...]:
                value, field = f"tuple(orjson.loads({value}))", f"orjson.dumps({field})"
            elif isinstance(kind, EnumType):
                choices: Iterable[Any] = kind
                names[f"of_{name}"] = {item.value: item for item in choices}
                value, field = f"of_{name}[{value}]", f"{field}._value_"
            given.append(f"{name}={value}")
            stored.append(f"{column.key!r}: {field}")
        # Made once, as dataclasses make their methods: as quick as if it were written out.
        self.of: Callable[[Row], R] = eval(f"lambda row: record({', '.join(given)})", names)
        """The record of a row."""
        self.values: Callable[[R], dict[str, Any]] = eval(f"lambda item: {{{', '.join(stored)}}}", names)
        """The values of a record's columns, by their names."""

    def one(self, row: Row | None) -> R | None:
        """The record of a row, if there is one."""
        return None if row is None else self.of(row)

    def all(self, rows: Sequence[Row]) -> list[R]:
        """The record of each row."""
        return list(map(self.of, rows))
