"""Full-text indexes: FTS5 on SQLite, GIN over ``to_tsvector`` on PostgreSQL, FULLTEXT on MySQL and MariaDB.

An index is made right after its table, by ``metadata.create_all`` and by the migrations alike. Its
column holds tokens of ASCII letters and digits with a space between them, so the three agree on what
a word is. How well a row matches is not asked of them: they do not agree on that.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from typing import Any, Final

from sqlalchemy import Connection, Table, Text, bindparam, column, event, inspect, select, table
from sqlalchemy.ext.compiler import compiles
from sqlalchemy.sql.elements import ClauseElement, ColumnElement
from sqlalchemy.types import NullType

from palpo.db.statements import Statement

DECLARED: Final[list[FullText]] = []
"""Every index that there is, in the order of declaration."""


class FullText:
    """The full-text index of ``column`` of ``table``, whose rows the integer ``key`` tells apart.

    Rows are inserted and deleted; the column is never updated.
    """

    def __init__(self, table_: Table, *, key: str, column: str) -> None:
        self.table = table_
        self.key = key
        self.column = column
        self.name = f"{table_.name}_full_text"
        event.listen(table_, "after_create", self._create)
        DECLARED.append(self)

    def statements(self) -> Mapping[str, Sequence[str]]:
        """What makes the index on each dialect."""
        name, table_, key, words = self.name, self.table.name, self.key, self.column
        return {
            "sqlite": (
                f"CREATE VIRTUAL TABLE {name} USING fts5"
                f"({words}, content='{table_}', content_rowid='{key}', tokenize='ascii')",
                f"CREATE TRIGGER {name}_insert AFTER INSERT ON {table_} BEGIN "
                f"INSERT INTO {name} (rowid, {words}) VALUES (new.{key}, new.{words}); END",
                f"CREATE TRIGGER {name}_delete AFTER DELETE ON {table_} BEGIN "
                f"INSERT INTO {name} ({name}, rowid, {words}) "
                f"VALUES ('delete', old.{key}, old.{words}); END",
            ),
            "postgresql": (
                f"CREATE INDEX {name} ON {table_} USING gin (to_tsvector('simple'::regconfig, {words}))",
            ),
            "mysql": (f"CREATE FULLTEXT INDEX {name} ON {table_} ({words})",),
        }

    def newest(self, columns: Sequence[ColumnElement[Any]], *conditions: ColumnElement[bool]) -> Statement:
        """Select the rows with some tokens, the highest key first.

        Parameters: ``groups``, with a space between them, each of tokens with ``|`` between them: a row has
        one of every group, and ``*`` at a token's end stands for any other end; ``scopes``, tokens with a
        space between them, of which a row has any; ``before``, which the key is below; ``limit``; and those
        of ``conditions``. On MySQL and MariaDB ``scopes`` are not looked at, since every row of each would
        be: the conditions must be enough.
        """
        matches = _Matches(self)
        key = self.table.c[self.key]

        def build(dialect_name: str) -> Any:
            statement = select(*columns).where(matches, *conditions)
            if dialect_name == "sqlite":
                # Read from its end, the virtual table stops at the limit.
                virtual = table(self.name, column("rowid", key.type))
                row = virtual.c.rowid
                statement = statement.select_from(virtual.join(self.table, row == key))
                found = statement.where(row < bindparam("before")).order_by(row.desc())
            else:
                # Not by ``key`` itself, lest its index be read row by row in search of words.
                found = statement.where(key < bindparam("before")).order_by((key + 0).desc())
            return found.limit(bindparam("limit"))

        return Statement(build)

    def create(self, connection: Connection) -> None:
        """Make the index of a table that has no rows yet."""
        dialect = connection.dialect.name
        for statement in self.statements()["mysql" if dialect == "mariadb" else dialect]:
            connection.exec_driver_sql(statement)

    def exists(self, connection: Connection) -> bool:
        """Whether the database has an index of this name."""
        inspector = inspect(connection)
        if connection.dialect.name == "sqlite":
            return inspector.has_table(self.name)
        return inspector.has_index(self.table.name, self.name)

    def _create(self, _target: Table, connection: Connection, **_options: Any) -> None:
        self.create(connection)


def is_declared(name: str | None, type_: str, _parents: Any) -> bool:
    """Whether a name in the database is one of the declared tables': Alembic's ``include_name``."""
    if name is None or type_ not in ("table", "index"):
        return True
    return not any(name.startswith(item.name) for item in DECLARED)


class _Matches(ColumnElement[Any]):
    """Whether a row has one of each of ``groups`` and, but on MySQL, any of ``scopes``."""

    inherit_cache = False
    type = NullType()  # Boolean would be compared with 1 where there is no such type.

    def __init__(self, of: FullText) -> None:
        self.index = of
        self.indexed = of.table.c[of.column]
        self.groups = bindparam("groups", type_=Text())
        self.scopes = bindparam("scopes", type_=Text())

    def get_children(self, **kw: Any) -> Iterable[ClauseElement]:
        return (self.indexed, self.groups, self.scopes)


@compiles(_Matches, "sqlite")
def _matches_sqlite(element: _Matches, compiler: Any, **kw: Any) -> str:
    groups, scopes = compiler.process(element.groups, **kw), compiler.process(element.scopes, **kw)
    words = f"replace(replace({groups}, ' ', ') AND ('), '|', ' OR ')"
    query = f"'(' || {words} || ') AND (' || replace({scopes}, ' ', ' OR ') || ')'"
    return f"{element.index.name} MATCH {query}"


@compiles(_Matches, "postgresql")
def _matches_postgresql(element: _Matches, compiler: Any, **kw: Any) -> str:
    groups, scopes = compiler.process(element.groups, **kw), compiler.process(element.scopes, **kw)
    words = f"replace(replace({groups}, '*', ':*'), ' ', ') & (')"
    query = f"'(' || {words} || ') & (' || replace({scopes}, ' ', ' | ') || ')'"
    indexed = compiler.process(element.indexed, **kw)
    return f"to_tsvector('simple'::regconfig, {indexed}) @@ to_tsquery('simple'::regconfig, {query})"


@compiles(_Matches, "mysql")
@compiles(_Matches, "mariadb")
def _matches_mysql(element: _Matches, compiler: Any, **kw: Any) -> str:
    groups = compiler.process(element.groups, **kw)
    indexed = compiler.process(element.indexed, **kw)
    query = f"concat('+(', replace(replace({groups}, ' ', ') +('), '|', ' '), ')')"
    return f"MATCH ({indexed}) AGAINST ({query} IN BOOLEAN MODE)"
