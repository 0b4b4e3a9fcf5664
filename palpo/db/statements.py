"""Statements: SQLAlchemy Core expressions, compiled once per dialect, run on the bare driver.

What differs between the databases is written here and in the engines, and nowhere else: upserts
(:func:`upsert`), lists as parameters (:func:`in_list`), and the compiler settings of each dialect.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from typing import Any

import orjson
from sqlalchemy import BindParameter, Dialect, Executable, LargeBinary, String, Table, Text, bindparam
from sqlalchemy.dialects import mysql, postgresql, sqlite
from sqlalchemy.ext.compiler import compiles
from sqlalchemy.sql.elements import ColumnElement
from sqlalchemy.sql.expression import insert
from sqlalchemy.types import NullType

from palpo.db.errors import BadValue

Build = Callable[[str], Executable]

UNHEX = "palpo_unhex"
"""An SQL function that the SQLite engine defines: its own ``unhex`` came with SQLite 3.41."""

DIALECTS: Mapping[str, Dialect] = {
    "sqlite": sqlite.dialect(paramstyle="qmark"),
    "postgresql": postgresql.asyncpg.dialect(paramstyle="numeric_dollar"),  # type: ignore[no-untyped-call]
    "mysql": mysql.asyncmy.dialect(paramstyle="format"),
}


class Compiled:
    """One statement's SQL text for one dialect, and the order in which it takes its parameters."""

    __slots__ = ("_defaults", "_encode", "_names", "sql")

    def __init__(self, executable: Executable, dialect_name: str) -> None:
        compiled: Any = executable.compile(  # type: ignore[attr-defined]
            dialect=DIALECTS[dialect_name], compile_kwargs={"render_postcompile": True}
        )
        # A column's collation decides; naming it at each parameter would only say so again.
        self.sql = str(compiled).replace('::VARCHAR COLLATE "C"', "::VARCHAR")
        self._names: tuple[str, ...] = tuple(compiled.positiontup or ())
        self._defaults: dict[str, Any] = {
            name: bind.effective_value
            for name, bind in compiled.binds.items()
            if bind.effective_value is not None
        }
        self._encode = _ENCODE[dialect_name]

    def arguments(self, params: Mapping[str, Any]) -> list[Any]:
        """``params`` in the driver's order; raises BadValue, and KeyError where one is missing."""
        if self._defaults:
            params = {**self._defaults, **params}
        values = [params[name] for name in self._names]
        if self._encode is not None:
            encode = self._encode
            return [encode(value) for value in values]
        return values


def _without_nul(value: str) -> str:
    # PostgreSQL has no U+0000 in text and SQLite's functions stop at it, so it is stored nowhere.
    if "\0" in value:
        raise BadValue("text with U+0000 in it")
    return value


def _sqlite_value(value: Any) -> Any:
    """Text is checked, a list becomes a JSON array."""
    kind = type(value)
    if kind is str:
        return _without_nul(value)
    if kind is not list:
        return value
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


def _mysql_value(value: Any) -> Any:
    """Text is checked, a list becomes what the driver writes as ``(1, 2, 3)``, never empty."""
    kind = type(value)
    if kind is str:
        return _without_nul(value)
    if kind is not list:
        return value
    return tuple(_without_nul(item) if type(item) is str else item for item in value) or (None,)


_ENCODE: Mapping[str, Callable[[Any], Any] | None] = {
    "sqlite": _sqlite_value,
    "postgresql": None,
    "mysql": _mysql_value,
}


class Statement:
    """A statement that any dialect can run; make it at import, never per request.

    ``build`` is the expression, or a function of the dialect's name (``sqlite``, ``postgresql``,
    ``mysql``) for the few that differ; only ``palpo.db`` passes a function. Parameters are the
    ``bindparam`` names in it; every one must be given, ``None`` included.
    """

    __slots__ = ("_build", "_compiled")

    def __init__(self, build: Executable | Build) -> None:
        self._build = build
        self._compiled: dict[str, Compiled] = {}

    def compiled(self, dialect_name: str) -> Compiled:
        """The text and parameter order for ``dialect_name``."""
        found = self._compiled.get(dialect_name)
        if found is None:
            build = self._build
            executable = build if isinstance(build, Executable) else build(dialect_name)
            found = self._compiled[dialect_name] = Compiled(executable, dialect_name)
        return found


def upsert(table: Table, *, key: Sequence[str], update: Sequence[str] | None = None) -> Statement:
    """Insert a row of all of ``table``'s columns, or update the ``update`` ones where ``key`` is there.

    Parameters have the columns' names. ``update=None`` updates every column outside the key;
    ``update=()`` leaves a row that is there as it is.
    """
    columns = [column.name for column in table.columns]
    changed = [name for name in columns if name not in key] if update is None else list(update)

    def build(dialect_name: str) -> Executable:
        values = {name: bindparam(name, type_=table.c[name].type) for name in columns}
        if dialect_name == "mysql":
            statement = mysql.insert(table).values(values)
            kept = {key[0]: table.c[key[0]]}
            new = {name: statement.inserted[name] for name in changed}
            return statement.on_duplicate_key_update(new or kept)
        dialect_insert: Any = postgresql.insert if dialect_name == "postgresql" else sqlite.insert
        on_conflict = dialect_insert(table).values(values)
        if not changed:
            return on_conflict.on_conflict_do_nothing(index_elements=list(key))  # type: ignore[no-any-return]
        return on_conflict.on_conflict_do_update(  # type: ignore[no-any-return]
            index_elements=list(key), set_={name: on_conflict.excluded[name] for name in changed}
        )

    return Statement(build)


def insert_row(table: Table) -> Statement:
    """Insert a row of all of ``table``'s columns; parameters have the columns' names."""
    return Statement(insert(table).values({c.name: bindparam(c.name, type_=c.type) for c in table.columns}))


class in_list(ColumnElement[Any]):
    """``column IN (the list parameter called name)``: one statement whatever the list's length.

    The parameter is a list of text, integers or bytes, as the column is.
    """

    inherit_cache = False
    type = NullType()

    def __init__(self, column: ColumnElement[Any], name: str) -> None:
        self.column = column
        self.param: BindParameter[Any] = bindparam(name)
        self.binary = isinstance(column.type, LargeBinary)


@compiles(in_list, "postgresql")
def _in_list_postgresql(element: in_list, compiler: Any, **kw: Any) -> str:
    # Without the column's length: a cast to it would cut a longer value down to one that is there.
    kept = Text() if isinstance(element.column.type, String) else element.column.type
    array = postgresql.ARRAY(kept)
    param = bindparam(element.param.key, type_=array)
    return f"{compiler.process(element.column, **kw)} = ANY ({compiler.process(param, **kw)})"


@compiles(in_list, "sqlite")
def _in_list_sqlite(element: in_list, compiler: Any, **kw: Any) -> str:
    column = compiler.process(element.column, **kw)
    value = f"{UNHEX}(value)" if element.binary else "value"
    return f"{column} IN (SELECT {value} FROM json_each({compiler.process(element.param, **kw)}))"


@compiles(in_list, "mysql")
@compiles(in_list, "mariadb")
def _in_list_mysql(element: in_list, compiler: Any, **kw: Any) -> str:
    return f"{compiler.process(element.column, **kw)} IN {compiler.process(element.param, **kw)}"
