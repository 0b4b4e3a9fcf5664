"""Statements: SQLAlchemy Core expressions, compiled once per dialect, run on the bare driver.

What differs between the databases is written here and in the engines, and nowhere else: inserts and upserts
(:func:`insert_row`, :func:`upsert`), lists as parameters (:func:`in_list`).
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping, Sequence
from functools import partial
from typing import Any

from sqlalchemy import (
    BindParameter,
    Executable,
    LargeBinary,
    String,
    Table,
    Text,
    bindparam,
    func,
    literal_column,
    null,
    select,
    update,
)
from sqlalchemy.dialects import mysql, postgresql, sqlite
from sqlalchemy.ext.compiler import compiles
from sqlalchemy.sql.elements import ClauseElement, ColumnElement
from sqlalchemy.types import NullType, TypeEngine

from palpo.db.compiled import Bulk, Compiled

Build = Callable[[str], Executable]

_INSERTS: Mapping[str, Callable[[Table], Any]] = {
    "mysql": mysql.insert,
    "postgresql": postgresql.insert,
    "sqlite": sqlite.insert,
}
UNHEX = "palpo_unhex"
"""An SQL function that the SQLite engine defines: its own ``unhex`` came with SQLite 3.41."""


class Statement:
    """A statement that any dialect can run; make it at import, never per request.

    ``build`` is the expression, or a function of the dialect's name (``sqlite``, ``postgresql``,
    ``mysql``) for the few that differ; only ``palpo.db`` passes a function. Parameters are the
    ``bindparam`` names in it; every one must be given, ``None`` included, and no other.
    """

    __slots__ = ("_build", "_bulk", "_compiled")

    def __init__(self, build: Executable | Build, *, bulk: Callable[[], Bulk] | None = None) -> None:
        """``bulk`` makes the statement for many rows, on PostgreSQL."""
        self._build = build
        self._bulk = bulk
        self._compiled: dict[str, Compiled] = {}

    def compiled(self, dialect_name: str) -> Compiled:
        """The statement as ``dialect_name`` takes it."""
        found = self._compiled.get(dialect_name)
        if found is None:
            build = self._build
            executable = build if isinstance(build, Executable) else build(dialect_name)
            bulk = self._bulk() if self._bulk is not None and dialect_name == "postgresql" else None
            found = self._compiled[dialect_name] = Compiled(executable, dialect_name, bulk)
        return found


def upsert(table: Table, *, key: Sequence[str], update: Sequence[str] | None = None) -> Statement:
    """Insert a row of all of ``table``'s columns, or update the ``update`` ones where ``key`` is there.

    Parameters have the columns' names. ``update=None`` updates every column outside the key;
    ``update=()`` leaves a row that is there as it is.
    """
    columns = list(table.columns.keys())
    changed = [name for name in columns if name not in key] if update is None else list(update)
    updated = [columns.index(name) for name in key] if changed else []
    return _insertion(table, partial(_on_conflict, table, key, changed), key=updated)


def insert_row(
    table: Table, *, fixed: Mapping[str, int | None] | None = None, same: Mapping[str, str] | None = None
) -> Statement:
    """Insert a row of all of ``table``'s columns; parameters have the columns' names.

    Columns that are ``fixed``, or the ``same`` as another, whose name that gives, are no parameters.
    """
    return _insertion(table, lambda insert, _: insert, fixed=fixed or {}, same=same or {})


def update_row(table: Table, *, key: str, columns: Sequence[str]) -> Statement:
    """Set ``columns`` of the row whose ``key`` is the parameter ``id``; other parameters have the names."""
    types = {name: table.c[name].type for name in columns}

    def bulk() -> Bulk:
        arrays = [bindparam(name, type_=_array(type_)) for name, type_ in types.items()]
        arrays.append(bindparam("id", type_=_array(table.c[key].type)))
        given = func.unnest(*arrays).table_valued(*columns, "id").render_derived("given")
        statement = update(table).where(table.c[key] == given.c.id)
        new = {name: given.c[name] for name in columns}
        return Bulk(Compiled(statement.values(new), "postgresql"), [len(columns)])

    statement = update(table).where(table.c[key] == bindparam("id"))
    return Statement(statement.values({name: bindparam(name) for name in columns}), bulk=bulk)


def _insertion(
    table: Table,
    finished: Callable[[Any, str], Any],
    *,
    key: Sequence[int] = (),
    fixed: Mapping[str, int | None] = {},
    same: Mapping[str, str] = {},
) -> Statement:
    """Of one row, or many; ``finished`` adds to an INSERT what it is to do about rows that are there."""
    constants = {
        name: null() if value is None else literal_column(str(value)) for name, value in fixed.items()
    }

    def build(dialect_name: str) -> Executable:
        values = {
            c.name: constants.get(c.name, bindparam(same.get(c.name, c.name), type_=c.type))
            for c in table.columns
        }
        return finished(_INSERTS[dialect_name](table).values(values), dialect_name)  # type: ignore[no-any-return]

    def bulk() -> Bulk:
        given = [c for c in table.columns if c.name not in constants and c.name not in same]
        arrays = [bindparam(c.name, type_=_array(c.type)) for c in given]
        rows = func.unnest(*arrays).table_valued(*(c.name for c in given)).render_derived("given")
        values = [
            constants[c.name] if c.name in constants else rows.c[same.get(c.name, c.name)]
            for c in table.columns
        ]
        insert = postgresql.insert(table).from_select(table.columns.keys(), select(*values))
        return Bulk(Compiled(finished(insert, "postgresql"), "postgresql"), key)

    return Statement(build, bulk=bulk)


def _on_conflict(
    table: Table, key: Sequence[str], changed: Sequence[str], insert: Any, dialect_name: str
) -> Any:
    if dialect_name == "mysql":
        new = {name: insert.inserted[name] for name in changed}
        return insert.on_duplicate_key_update(new or {key[0]: table.c[key[0]]})
    if not changed:
        return insert.on_conflict_do_nothing(index_elements=list(key))
    new = {name: insert.excluded[name] for name in changed}
    return insert.on_conflict_do_update(index_elements=list(key), set_=new)


def _array(type_: TypeEngine[Any]) -> TypeEngine[Any]:
    # Without a text's length: a cast to it would cut what is longer.
    return postgresql.ARRAY(Text() if isinstance(type_, String) else type_)


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

    def get_children(self, **kw: Any) -> Iterable[ClauseElement]:
        return (self.column, self.param)


@compiles(in_list, "postgresql")
def _in_list_postgresql(element: in_list, compiler: Any, **kw: Any) -> str:
    param = bindparam(element.param.key, type_=_array(element.column.type))
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


class holds(ColumnElement[Any]):
    """Whether bytes of a column have some within them: ``text``, in ASCII."""

    inherit_cache = False
    type = NullType()

    def __init__(self, column: ColumnElement[Any], text: str) -> None:
        self.column = column
        self.digits = text.encode("ascii").hex()

    def get_children(self, **kw: Any) -> Iterable[ClauseElement]:
        return (self.column,)


@compiles(holds, "postgresql")
def _holds_postgresql(element: holds, compiler: Any, **kw: Any) -> str:
    column = compiler.process(element.column, **kw)
    return f"position('\\x{element.digits}'::bytea IN {column}) > 0"


@compiles(holds, "sqlite")
@compiles(holds, "mysql")
@compiles(holds, "mariadb")
def _holds(element: holds, compiler: Any, **kw: Any) -> str:
    return f"instr({compiler.process(element.column, **kw)}, X'{element.digits}') > 0"
