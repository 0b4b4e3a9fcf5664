"""On MariaDB and MySQL each statement that changes the schema is committed by itself.

A revision that was cut short there is run again from its beginning, so what has been done already is
passed over. Importing this module makes Alembic do so.
"""

from __future__ import annotations

from typing import Any

from alembic.ddl.mysql import MariaDBImpl, MySQLImpl
from sqlalchemy import Column, Index, Inspector, Table, inspect, select
from sqlalchemy.sql.schema import Constraint


class _Resumable(MySQLImpl):
    """Looks before each step whether it has been taken."""

    def create_table(self, table: Table, **kw: Any) -> None:
        if not self._now.has_table(table.name):
            super().create_table(table, **kw)
            return
        for index in table.indexes:
            self.create_index(index)

    def drop_table(self, table: Table, **kw: Any) -> None:
        if self._now.has_table(table.name):
            super().drop_table(table, **kw)

    def rename_table(self, old_table_name: str, new_table_name: Any, schema: Any = None) -> None:
        if self._now.has_table(old_table_name):
            super().rename_table(old_table_name, new_table_name, schema)

    def add_column(self, table_name: str, column: Column[Any], **kw: Any) -> None:
        if column.name not in self._columns(table_name):
            super().add_column(table_name, column, **kw)

    def drop_column(self, table_name: str, column: Column[Any], **kw: Any) -> None:
        if column.name in self._columns(table_name):
            super().drop_column(table_name, column, **kw)

    def alter_column(self, table_name: str, column_name: str, **kw: Any) -> None:
        if column_name in self._columns(table_name):
            super().alter_column(table_name, column_name, **kw)

    def create_index(self, index: Index, **kw: Any) -> None:
        if index.table is None or index.name not in self._indexes(index.table.name):
            super().create_index(index, **kw)

    def drop_index(self, index: Index, **kw: Any) -> None:
        if index.table is None or index.name in self._indexes(index.table.name):
            super().drop_index(index, **kw)

    def add_constraint(self, const: Any, **kw: Any) -> None:
        if not self._has_constraint(const):
            super().add_constraint(const, **kw)

    def drop_constraint(self, const: Constraint, **kw: Any) -> None:
        if self._has_constraint(const):
            super().drop_constraint(const, **kw)

    def bulk_insert(self, table: Any, rows: list[dict[str, Any]], multiinsert: bool = True) -> None:
        connection = self.connection
        if connection is None or connection.execute(select(table).limit(1)).first() is None:
            super().bulk_insert(table, rows, multiinsert)

    @property
    def _now(self) -> Inspector:
        assert self.connection is not None
        return inspect(self.connection)

    def _columns(self, table: str) -> set[str]:
        return {column["name"] for column in self._now.get_columns(table)}

    def _indexes(self, table: str) -> set[str | None]:
        return {index["name"] for index in self._now.get_indexes(table)}

    def _has_constraint(self, const: Any) -> bool:
        table = const.table.name
        if type(const).__name__ == "PrimaryKeyConstraint":
            return bool(self._now.get_pk_constraint(table)["constrained_columns"])
        there = [*self._now.get_foreign_keys(table), *self._now.get_unique_constraints(table)]
        return const.name in {item["name"] for item in there}


class ResumableMySQL(_Resumable):
    """What Alembic uses on MySQL."""

    __dialect__ = "mysql"


class ResumableMariaDB(_Resumable, MariaDBImpl):
    """What Alembic uses on MariaDB."""

    __dialect__ = "mariadb"
