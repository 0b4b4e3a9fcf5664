"""The metadata of a Synapse's tables, which is apart from our own, and its types of columns."""

from __future__ import annotations

from sqlalchemy import BigInteger, Column, LargeBinary, MetaData, Table, Text

metadata = MetaData()


def text(name: str) -> Column[str]:
    """Text; JSON too, which Synapse has in columns of text, or of JSONB, that come as text as well."""
    return Column(name, Text())


def integer(name: str) -> Column[int]:
    """A number."""
    return Column(name, BigInteger())


def boolean(name: str) -> Column[int]:
    """0 or 1, False or True, NULL now and then: ``bool()`` it."""
    return Column(name, BigInteger())


def blob(name: str) -> Column[bytes]:
    """Bytes; filters and push rules are JSON in such a column."""
    return Column(name, LargeBinary())


def table(name: str, *columns: Column[str] | Column[int] | Column[bytes]) -> Table:
    """Those columns of a table that are read."""
    return Table(name, metadata, *columns)
