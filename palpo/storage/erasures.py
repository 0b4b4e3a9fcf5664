"""Users who asked to be erased when they deactivated their account."""

from __future__ import annotations

from collections.abc import Iterable

from sqlalchemy import select

from palpo.db.statements import Statement, in_list
from palpo.db.tables.accounts import users
from palpo.db.transaction import Transaction

_ERASED = Statement(select(users.c.user_id).where(in_list(users.c.user_id, "user_ids"), users.c.erased == 1))


async def erased(tx: Transaction, user_ids: Iterable[str]) -> frozenset[str]:
    """Those of ``user_ids`` who are erased."""
    return frozenset(row[0] for row in await tx.all(_ERASED, user_ids=list(user_ids)))
