"""Who has an account."""

from __future__ import annotations

from sqlalchemy import bindparam, func, select

from palpo.db.statements import Statement
from palpo.db.synapse import accounts as there
from palpo.db.transaction import Transaction

u = there.users.c
_COUNT = Statement(select(func.count()).select_from(there.users))
_PAGE = Statement(
    select(u.name).where(u.name > bindparam("after")).order_by(u.name).limit(bindparam("limit"))
)


async def count(tx: Transaction) -> int:
    """How many accounts there are."""
    return int(await tx.value(_COUNT))


async def page(tx: Transaction, after: str, limit: int) -> list[str]:
    """The next users, in order."""
    return [row[0] for row in await tx.all(_PAGE, after=after, limit=limit)]
