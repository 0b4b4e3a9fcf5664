"""What users have of what is bounded: amounts by kind, and all users' together."""

from __future__ import annotations

from collections.abc import Collection, Mapping

from sqlalchemy import select

from palpo.core.records.quotas import Kind
from palpo.db.statements import Statement, in_list, upsert
from palpo.db.tables.quotas import quota_usage
from palpo.db.transaction import Transaction, WriteTransaction

SERVER = ""
"""Stands for all users together, where a user ID is asked for."""


u = quota_usage.c
_PUT = upsert(quota_usage, key=["kind", "user_id"])
_AMOUNTS = Statement(
    select(u.kind, u.user_id, u.amount).where(in_list(u.kind, "kinds"), in_list(u.user_id, "users"))
)
_OF_SERVER = Statement(select(u.kind, u.amount).where(u.user_id == SERVER))

Amounts = dict[tuple[Kind, str], int]
"""By kind and user ID, SERVER for all users together."""


async def amounts(tx: Transaction, kinds: Collection[Kind], user_id: str) -> Amounts:
    """What a user has of each of ``kinds``, and what all users have; nothing is 0."""
    users = list({user_id, SERVER})
    found = dict.fromkeys(((kind, user) for kind in kinds for user in users), 0)
    rows = await tx.all(_AMOUNTS, kinds=[kind.value for kind in kinds], users=users)
    found.update({(Kind(row[0]), row[1]): row[2] for row in rows})
    return found


async def put(tx: WriteTransaction, changed: Mapping[tuple[Kind, str], int]) -> None:
    """Store amounts over those that there were."""
    await tx.many(
        _PUT,
        [
            {"kind": kind.value, "user_id": user_id, "amount": amount}
            for (kind, user_id), amount in changed.items()
        ],
    )


async def of_server(tx: Transaction) -> dict[Kind, int]:
    """What all users have together of each kind that there is any of."""
    known = {kind.value: kind for kind in Kind}
    return {known[row[0]]: row[1] for row in await tx.all(_OF_SERVER) if row[0] in known}
