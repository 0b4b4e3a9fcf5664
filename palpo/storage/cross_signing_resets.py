"""Users who may replace their cross-signing keys without showing again who they are."""

from __future__ import annotations

from sqlalchemy import bindparam, delete, select

from palpo.db.statements import Statement, upsert
from palpo.db.tables.accounts import cross_signing_resets
from palpo.db.transaction import Transaction, WriteTransaction

c = cross_signing_resets.c
_PUT = upsert(cross_signing_resets, key=["user_id"])
_UNTIL = Statement(select(c.until_ts).where(c.user_id == bindparam("user")))
_DELETE = Statement(delete(cross_signing_resets).where(c.user_id == bindparam("user")))


async def allow(tx: WriteTransaction, user_id: str, until_ts: int) -> None:
    """Let a user do so until a time."""
    await tx.run(_PUT, user_id=user_id, until_ts=until_ts)


async def until(tx: Transaction, user_id: str) -> int:
    """Until when a user may; 0: they may not."""
    return int(await tx.value(_UNTIL, user=user_id) or 0)


async def end(tx: WriteTransaction, user_id: str) -> None:
    """It has been done: not again."""
    await tx.run(_DELETE, user=user_id)
