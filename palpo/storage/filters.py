"""Filters that clients have uploaded."""

from __future__ import annotations

from sqlalchemy import bindparam, delete, func, select

from palpo.db.statements import Statement, in_list, upsert
from palpo.db.tables.account_data import filters
from palpo.db.transaction import Transaction, WriteTransaction

f = filters.c
_USER = f.user_id == bindparam("user")
_PUT = upsert(filters, key=["user_id", "filter_id"], update=())
_GET = Statement(select(f.filter).where(_USER, f.filter_id == bindparam("id")))
_COUNT = Statement(select(func.count()).select_from(filters).where(_USER))
_OLDEST = Statement(
    select(f.filter_id)
    .where(_USER)
    .order_by(func.coalesce(f.position, 0), f.filter_id)
    .limit(bindparam("limit"))
)
_DELETE = Statement(delete(filters).where(_USER, in_list(f.filter_id, "ids")))


async def put(tx: WriteTransaction, user_id: str, filter_id: str, filter_: bytes, position: int) -> None:
    """Store a filter, if it is not there already."""
    await tx.run(_PUT, user_id=user_id, filter_id=filter_id, filter=filter_, position=position)


async def get(tx: Transaction, user_id: str, filter_id: str) -> bytes | None:
    """A filter's JSON."""
    found: bytes | None = await tx.value(_GET, user=user_id, id=filter_id)
    return found


async def count(tx: Transaction, user_id: str) -> int:
    """How many filters a user has."""
    return int(await tx.value(_COUNT, user=user_id))


async def oldest(tx: Transaction, user_id: str, number: int) -> list[str]:
    """The IDs of the ``number`` filters that a user has had for longest."""
    return [row[0] for row in await tx.all(_OLDEST, user=user_id, limit=number)]


async def delete_some(tx: WriteTransaction, user_id: str, filter_ids: list[str]) -> None:
    """Delete filters."""
    await tx.run(_DELETE, user=user_id, ids=filter_ids)
