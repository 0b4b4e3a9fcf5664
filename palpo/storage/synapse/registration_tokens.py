"""Registration tokens there."""

from __future__ import annotations

from sqlalchemy import select

from palpo.db.statements import Statement
from palpo.db.synapse.accounts import registration_tokens
from palpo.db.transaction import Transaction
from palpo.storage.synapse.user_rows import Row

_COLUMNS = [column.name for column in registration_tokens.columns]
_ALL = Statement(select(registration_tokens).order_by(registration_tokens.c.token))


async def find_all(tx: Transaction) -> list[Row]:
    """Every token; administrators make them, so there are few."""
    return [dict(zip(_COLUMNS, row, strict=True)) for row in await tx.all(_ALL)]
