"""What some users may do in place of what the configuration says."""

from __future__ import annotations

from dataclasses import dataclass

from sqlalchemy import bindparam, delete, select

from palpo.db.statements import Statement, upsert
from palpo.db.tables.accounts import rate_limit_overrides
from palpo.db.transaction import Transaction, WriteTransaction
from palpo.storage.records import Records
from palpo.streams import topics


@dataclass(frozen=True, slots=True, kw_only=True)
class Override:
    """Calls a second in the long run, and calls at once; where both are 0, as many as the user likes."""

    per_second: int
    burst: int


r = rate_limit_overrides.c
_RECORDS = Records(Override, rate_limit_overrides)
_THIS = r.user_id == bindparam("user")
_FIND = Statement(select(*_RECORDS.columns).where(_THIS))
_PUT = upsert(rate_limit_overrides, key=["user_id"])
_DELETE = Statement(delete(rate_limit_overrides).where(_THIS))


async def find(tx: Transaction, user_id: str) -> Override | None:
    """What a user may do, where that is not what the configuration says."""
    return _RECORDS.one(await tx.one(_FIND, user=user_id))


async def put(tx: WriteTransaction, user_id: str, override: Override) -> None:
    """Let a user do so much."""
    await tx.run(_PUT, user_id=user_id, **_RECORDS.values(override))
    tx.notify(topics.SESSION, user_id)


async def remove(tx: WriteTransaction, user_id: str) -> None:
    """Let a user do what the configuration says."""
    await tx.run(_DELETE, user=user_id)
    tx.notify(topics.SESSION, user_id)
