"""A statement as one database takes it: its text, the order and the form of its parameters, its tables."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from enum import Enum
from typing import Any, cast

import orjson
from sqlalchemy import BindParameter, ColumnClause, Dialect, Executable, Table, TableClause
from sqlalchemy.dialects import mysql, postgresql, sqlite
from sqlalchemy.sql.dml import Delete, Update, UpdateBase
from sqlalchemy.sql.elements import ClauseElement
from sqlalchemy.sql.visitors import Visitable, iterate

from palpo.db.errors import BadValue, ParameterError

DIALECTS: Mapping[str, Dialect] = {
    "sqlite": sqlite.dialect(paramstyle="qmark"),
    "postgresql": postgresql.asyncpg.dialect(paramstyle="pyformat"),  # type: ignore[no-untyped-call]
    "mysql": mysql.asyncmy.dialect(paramstyle="format"),
}


class Compiled:
    """One statement's SQL text for one dialect, the order of its parameters, and its tables."""

    __slots__ = (
        "_count",
        "_defaults",
        "_encode",
        "_expected",
        "_names",
        "_template",
        "bulk",
        "reads",
        "sql",
        "tables",
        "writes",
    )

    def __init__(self, executable: Executable, dialect_name: str, bulk: Bulk | None = None) -> None:
        compiled: Any = executable.compile(  # type: ignore[attr-defined]
            dialect=DIALECTS[dialect_name], compile_kwargs={"render_postcompile": True}
        )
        elements = list(iterate(cast("ClauseElement", executable)))
        self.writes = _written(executable)
        """The table whose rows it inserts, updates or deletes."""
        self.reads = _read(executable, elements)
        """The tables that it selects from."""
        self.tables = self.reads | {self.writes} if self.writes else self.reads
        """Those that it has to do with."""
        self.bulk = bulk
        """The statement that does for many rows what this one does for one."""
        # A column's collation decides; naming it at each parameter would only say so again.
        self._template = str(compiled).replace('::VARCHAR COLLATE "C"', "::VARCHAR")
        self._names: tuple[str, ...] = tuple(compiled.positiontup or ())
        self.sql = self._template
        if dialect_name == "postgresql":
            numbers = _Numbers(0)
            self.sql = self._template % numbers
            self._names = tuple(numbers)
        self._defaults: dict[str, Any] = {
            name: _plain(bind.effective_value)
            for name, bind in compiled.binds.items()
            if bind.effective_value is not None
        }
        # Not all are in the text: MySQL, for one, does without the ``scopes`` of a full-text search.
        binds = {element.key for element in elements if isinstance(element, BindParameter)}
        self._expected = frozenset(binds - self._defaults.keys())
        self._count = len(self._expected)
        self._encode = _ENCODE[dialect_name]

    def arguments(self, params: Mapping[str, Any]) -> list[Any]:
        """``params`` in the driver's order.

        Raises ParameterError unless they are what the statement takes, and BadValue.
        """
        if len(params) != self._count:
            raise self._misfit(params)
        if self._defaults:
            params = {**self._defaults, **params}
        try:
            values = [params[name] for name in self._names]
        except KeyError as error:
            raise self._misfit(params) from error
        encode = self._encode
        if encode is None:
            return values
        for index, value in enumerate(values):
            kind = type(value)
            if kind is str:
                if "\0" in value:
                    raise BadValue(NUL)
            elif kind is list:
                values[index] = encode(value)
        return values

    @property
    def parameters(self) -> int:
        """How many the driver is given."""
        return len(self._names)

    def numbered_after(self, count: int) -> str:
        """PostgreSQL's text where ``count`` parameters come before the first of this statement."""
        return self._template % _Numbers(count)

    def _misfit(self, params: Mapping[str, Any]) -> ParameterError:
        kinds = {"missing": self._expected - params.keys(), "too many": params.keys() - self._expected}
        found = ", ".join(f"{sorted(names)} {kind}" for kind, names in kinds.items() if names)
        return ParameterError(f"parameters {found}: {self.sql}")


def _plain(value: Any) -> Any:
    """One of an enumeration by its value: drivers take nothing but ``str`` as quickly as that."""
    return value.value if isinstance(value, Enum) else value


def _written(executable: Executable) -> str | None:
    return str(cast("Table", executable.table).name) if isinstance(executable, UpdateBase) else None


def _read(executable: Executable, elements: Sequence[Visitable]) -> frozenset[str]:
    """The tables in FROM; of an UPDATE or DELETE they may be named by columns alone."""
    tables = [element.name for element in elements if isinstance(element, TableClause)]
    if isinstance(executable, UpdateBase):
        tables.remove(cast("Table", executable.table).name)
    if isinstance(executable, Update | Delete):
        columns = [element for element in elements if isinstance(element, ColumnClause)]
        others = {column.table for column in columns} - {executable.table, None}
        tables += [item.name for other in others for item in iterate(other) if isinstance(item, TableClause)]
    return frozenset(tables)


@dataclass(frozen=True, slots=True)
class Bulk:
    """A statement of which each parameter is an array, with one value for each of many rows."""

    compiled: Compiled
    key: Sequence[int]
    """Where in a row its key is, by which rows are updated; empty where none are."""

    def repeats_a_key(self, rows: Sequence[Sequence[Any]]) -> bool:
        """Whether two rows would update the same one, which a single statement must not."""
        if not self.key:
            return False
        return len({tuple(row[index] for index in self.key) for row in rows}) < len(rows)


class _Numbers(dict[str, str]):
    """Gives each parameter that it is asked for the next number, ``$1`` first."""

    def __init__(self, taken: int) -> None:
        self._taken = taken

    def __missing__(self, name: str) -> str:
        number = self[name] = f"${self._taken + len(self) + 1}"
        return number


NUL = "text with U+0000 in it"
"""PostgreSQL has none in text and SQLite's functions stop at it, so it is stored nowhere."""


def _without_nul(value: str) -> str:
    if "\0" in value:
        raise BadValue(NUL)
    return value


def _sqlite_list(value: list[Any]) -> str:
    """A JSON array."""
    if value and type(value[0]) is bytes:
        value = [item.hex() for item in value]
    try:
        text = orjson.dumps(value).decode()
    except orjson.JSONEncodeError as error:
        raise BadValue(str(error)) from error
    if "\\u0000" in text:
        for item in value:
            _without_nul(item)
    return text


def _mysql_list(value: list[Any]) -> tuple[Any, ...]:
    """What the driver writes as ``(1, 2, 3)``, never empty."""
    return tuple(_without_nul(item) if type(item) is str else item for item in value) or (None,)


_ENCODE: Mapping[str, Callable[[list[Any]], Any] | None] = {
    "sqlite": _sqlite_list,
    "postgresql": None,
    "mysql": _mysql_list,
}
"""In what form a database wants a list; None where the driver takes care of that, and of U+0000."""
