"""How much room each table takes, as the database itself estimates it; a SQLite file only as a whole."""

from __future__ import annotations

from dataclasses import dataclass

from sqlalchemy import Executable, text

from palpo.db.statements import Statement
from palpo.db.transaction import Transaction

_SIZES = {
    "postgresql": "SELECT c.relname, pg_total_relation_size(c.oid), CAST(GREATEST(c.reltuples, 0) AS BIGINT)"
    " FROM pg_class c JOIN pg_namespace n ON n.oid = c.relnamespace"
    " WHERE c.relkind = 'r' AND n.nspname = current_schema()",
    "mysql": "SELECT table_name, data_length + index_length, table_rows FROM information_schema.tables"
    " WHERE table_schema = DATABASE()",
    "sqlite": "SELECT '', (SELECT page_count FROM pragma_page_count())"
    " * (SELECT page_size FROM pragma_page_size()), 0",
}


@dataclass(frozen=True, slots=True, kw_only=True)
class TableSize:
    """A table with its indexes; of SQLite, the file, which has no name here."""

    table: str
    size: int
    """Bytes."""
    rows: int
    """About how many."""


def _build(dialect: str) -> Executable:
    return text(_SIZES[dialect])


_STATEMENT = Statement(_build)


async def table_sizes(tx: Transaction) -> list[TableSize]:
    """All tables, the largest first."""
    found = [
        TableSize(table=row[0], size=int(row[1] or 0), rows=int(row[2] or 0))
        for row in await tx.all(_STATEMENT)
    ]
    return sorted(found, key=lambda item: -item.size)
