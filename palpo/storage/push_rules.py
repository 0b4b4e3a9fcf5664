"""What of their push rules is the users' own."""

from __future__ import annotations

from sqlalchemy import bindparam, select

from palpo.db.statements import Statement, upsert
from palpo.db.tables.push import push_rules
from palpo.db.transaction import Transaction, WriteTransaction
from palpo.streams import topics

_PUT = upsert(push_rules, key=["user_id"])
_GET = Statement(
    select(push_rules.c.custom, push_rules.c.position).where(push_rules.c.user_id == bindparam("user_id"))
)


async def put(tx: WriteTransaction, user_id: str, custom: bytes, position: int) -> None:
    """Store a user's customisation, as JSON."""
    await tx.run(_PUT, user_id=user_id, custom=custom, position=position)
    tx.notify(topics.USER, user_id)
    tx.notify(topics.ACCOUNT_DATA, user_id)
    tx.notify(topics.PUSH_RULES, user_id)


async def get(tx: Transaction, user_id: str) -> tuple[bytes, int] | None:
    """A user's customisation and the position at which it last changed."""
    row = await tx.one(_GET, user_id=user_id)
    return None if row is None else (row[0], row[1])
