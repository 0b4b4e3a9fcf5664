"""How a Synapse's tables are declared, apart from our own: nothing makes them, and each has what is read."""

from __future__ import annotations

from sqlalchemy import BigInteger, ColumnClause, LargeBinary, TableClause, Text, column
from sqlalchemy import table as clause


def text(name: str) -> ColumnClause[str]:
    """Text; JSON too, which Synapse has in columns of text, or of JSONB, that come as text as well."""
    return column(name, Text())


def integer(name: str) -> ColumnClause[int]:
    """A number."""
    return column(name, BigInteger())


def boolean(name: str) -> ColumnClause[int]:
    """0 or 1, False or True, NULL now and then: ``bool()`` it."""
    return column(name, BigInteger())


def blob(name: str) -> ColumnClause[bytes]:
    """Bytes; filters and push rules are JSON in such a column."""
    return column(name, LargeBinary())


def table(name: str, *columns: ColumnClause[str] | ColumnClause[int] | ColumnClause[bytes]) -> TableClause:
    """Those columns of a table that are read."""
    return clause(name, *columns)
