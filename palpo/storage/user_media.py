"""Media of one user as administrators list them."""

from __future__ import annotations

from functools import cache
from typing import Any

from sqlalchemy import ColumnElement, bindparam, func, select

from palpo.core.records.media import MediaRecord
from palpo.db.statements import Statement
from palpo.db.tables.media import media
from palpo.db.transaction import Transaction
from palpo.storage.records import Records

m = media.c
_RECORDS = Records(MediaRecord, media)
ORDERS: dict[str, ColumnElement[Any]] = {
    "media_id": m.media_id,
    "upload_name": func.coalesce(m.filename, ""),
    "created_ts": m.created_ts,
    "last_access_ts": m.last_access_ts,
    "media_length": m.size,
    "media_type": m.content_type,
    "quarantined_by": func.coalesce(m.quarantined_by, ""),
    "safe_from_quarantine": m.protected,
}
"""What a list may be sorted by."""
_OF_USER = m.user_id == bindparam("user")
_TOTAL = Statement(select(func.count()).select_from(media).where(_OF_USER))


@cache
def _page(order: str, backwards: bool) -> Statement:
    by = ORDERS[order].desc() if backwards else ORDERS[order]
    wanted = select(*_RECORDS.columns).where(_OF_USER).order_by(by, m.media_id)
    return Statement(wanted.limit(bindparam("limit")).offset(bindparam("skipped")))


async def page(
    tx: Transaction, user_id: str, *, order: str, backwards: bool, skipped: int, limit: int
) -> list[MediaRecord]:
    """Some of a user's media in an order of ``ORDERS``; those that are alike in it by their IDs."""
    rows = await tx.all(_page(order, backwards), user=user_id, skipped=skipped, limit=limit)
    return _RECORDS.all(rows)


async def total(tx: Transaction, user_id: str) -> int:
    """How many a user has."""
    return int(await tx.value(_TOTAL, user=user_id))
