"""A hash of the declared tables: what a database's tables are said to be, in one short string."""

from __future__ import annotations

import hashlib
import json
from functools import cache
from typing import Any

from sqlalchemy import Column, Constraint, Dialect, Index, MetaData, Table
from sqlalchemy.dialects import mysql, postgresql, sqlite

from palpo.db import full_text
from palpo.db.tables import metadata

DIALECTS: tuple[Dialect, ...] = tuple(item.dialect() for item in (sqlite, postgresql, mysql))


@cache
def declared_hash() -> str:
    """The hash of every declared table and full-text index, as 16 hexadecimal digits.

    It is the same on every database, and whatever the order in which columns and tables are declared.
    """
    declared = {
        "tables": describe(metadata),
        "full_text": {
            index.name: {name: list(made) for name, made in index.statements().items()}
            for index in full_text.DECLARED
        },
    }
    encoded = json.dumps(declared, sort_keys=True, separators=(",", ":"))
    return hashlib.sha256(encoded.encode()).hexdigest()[:16]


def describe(declared: MetaData) -> dict[str, Any]:
    """Table name → what is declared of it, as JSON has it."""
    return {name: _table(table) for name, table in declared.tables.items()}


def _table(table: Table) -> dict[str, Any]:
    return {
        "columns": {column.name: _column(column) for column in table.columns},
        "indexes": {str(index.name): _index(index) for index in table.indexes},
        "constraints": sorted(_constraint(item) for item in table.constraints),
        "options": _options(table),
    }


def _column(column: Column[Any]) -> dict[str, Any]:
    default = getattr(column.server_default, "arg", None)
    return {
        "types": [column.type.compile(dialect=dialect) for dialect in DIALECTS],
        "nullable": column.nullable,
        "default": None if default is None else str(default),
    }


def _index(index: Index) -> dict[str, Any]:
    columns = [str(getattr(item, "name", None) or item) for item in index.expressions]
    return {"columns": columns, "unique": index.unique, "options": _options(index)}


def _constraint(constraint: Constraint) -> str:
    columns = [column.name for column in getattr(constraint, "columns", ())]
    targets = [str(element.target_fullname) for element in getattr(constraint, "elements", ())]
    condition = str(getattr(constraint, "sqltext", ""))
    return json.dumps([type(constraint).__name__, str(constraint.name), columns, targets, condition])


def _options(item: Table | Index) -> dict[str, str]:
    return {str(name): str(value) for name, value in sorted(item.dialect_kwargs.items())}
