"""Backups of room keys there."""

from __future__ import annotations

from collections.abc import Collection

from sqlalchemy import func, select

from palpo.db.statements import Statement, in_list
from palpo.db.synapse.keys import room_keys
from palpo.db.transaction import Transaction
from palpo.storage.synapse.pages import Pages

k = room_keys.c
SESSIONS = Pages(room_keys, "user_id", "version", "room_id", "session_id")
"""All backed up sessions."""
_COUNTS = Statement(
    select(k.user_id, k.version, func.count())
    .where(in_list(k.user_id, "users"))
    .group_by(k.user_id, k.version)
)


async def counts(tx: Transaction, users: Collection[str]) -> dict[tuple[str, int], int]:
    """How many sessions there are in each of the users' versions that has any."""
    return {(row[0], row[1]): row[2] for row in await tx.all(_COUNTS, users=list(users))}
