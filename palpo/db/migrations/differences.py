"""How the tables of a database differ from those that are declared."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

from alembic.autogenerate import compare_metadata
from alembic.migration import MigrationContext
from sqlalchemy import Column, Connection, Index, MetaData, inspect

from palpo.db import full_text
from palpo.db.tables import metadata


def differences(connection: Connection) -> list[Any]:
    """Alembic's list of what would have to be done to the database."""
    options = {"include_name": full_text.is_declared}
    return list(compare_metadata(MigrationContext.configure(connection, opts=options), metadata))


def hindrances(connection: Connection) -> list[str]:
    """Those differences with which the program does not work, a few words each.

    A table, a column or an index more than there should be is left alone where rows can be written
    all the same.
    """
    found = differences(connection)
    new = {item[1].name for item in found if item[0] == "add_table"}
    worded = [words for item in found if not _is_of(new, item) for words in _in_words(item)]
    return worded + [f"no full-text index {i.name}" for i in full_text.DECLARED if not i.exists(connection)]


def missing(connection: Connection, expected: MetaData) -> list[str]:
    """What the database does not have of the tables and columns of ``expected``, a few words each."""
    inspector = inspect(connection)
    there = {
        name: {column["name"] for column in inspector.get_columns(name)}
        for name in inspector.get_table_names()
    }
    found: list[str] = []
    for table in expected.sorted_tables:
        if table.name not in there:
            found.append(f"no table {table.name}")
            continue
        columns = [column.name for column in table.columns if column.name not in there[table.name]]
        found += [f"no column {table.name}.{column}" for column in columns]
    return found


def _in_words(item: Any) -> Iterator[str]:
    if isinstance(item, list):
        for change in item:
            yield f"{change[2]}.{change[3]} is not as declared ({change[0].removeprefix('modify_')})"
        return
    what, subject = item[0], item[-1]
    if what == "add_table":
        yield f"no table {subject.name}"
    elif what == "add_column":
        yield f"no column {item[2]}.{subject.name}"
    elif what.startswith("add_"):
        yield f"no index or constraint {subject.name}"
    elif what == "remove_column":
        if not _may_be_left_out(subject):
            yield f"a column {item[2]}.{subject.name} too many"
    elif what != "remove_table" and _restricts(subject):
        yield f"an index or constraint {subject.name} too many"


def _may_be_left_out(column: Column[Any]) -> bool:
    return bool(column.nullable) or column.server_default is not None


def _restricts(subject: Any) -> bool:
    """Whether rows are refused for its sake."""
    return bool(subject.unique) if isinstance(subject, Index) else True


def _is_of(tables: set[str], item: Any) -> bool:
    """Whether a difference is an index of a table that is missing altogether."""
    return item[0] == "add_index" and item[1].table.name in tables
