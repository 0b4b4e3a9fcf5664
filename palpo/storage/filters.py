"""Filters that clients have uploaded."""

from __future__ import annotations

from sqlalchemy import bindparam, select

from palpo.db.statements import Statement, upsert
from palpo.db.tables.account_data import filters
from palpo.db.transaction import Transaction, WriteTransaction

_PUT = upsert(filters, key=["user_id", "filter_id"], update=())
_GET = Statement(
    select(filters.c.filter).where(
        filters.c.user_id == bindparam("user_id"), filters.c.filter_id == bindparam("filter_id")
    )
)


async def put(tx: WriteTransaction, user_id: str, filter_id: str, filter_: bytes) -> None:
    """Store a filter, if it is not there already."""
    await tx.run(_PUT, user_id=user_id, filter_id=filter_id, filter=filter_)


async def get(tx: Transaction, user_id: str, filter_id: str) -> bytes | None:
    """A filter's JSON."""
    found: bytes | None = await tx.value(_GET, user_id=user_id, filter_id=filter_id)
    return found
