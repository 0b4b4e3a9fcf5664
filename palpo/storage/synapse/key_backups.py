"""Backups of room keys there."""

from __future__ import annotations

from collections.abc import Collection, Sequence
from typing import Any

from sqlalchemy import BigInteger, Text, bindparam, func, select, tuple_

from palpo.db.statements import Statement, in_list
from palpo.db.synapse.keys import room_keys
from palpo.db.transaction import Transaction
from palpo.storage.synapse.user_rows import Row

k = room_keys.c
_KEY = (k.user_id, k.version, k.room_id, k.session_id)
_COLUMNS = [column.name for column in room_keys.columns]
_COUNT = Statement(select(func.count()).select_from(room_keys))
_COUNTS = Statement(
    select(k.user_id, k.version, func.count())
    .where(in_list(k.user_id, "users"))
    .group_by(k.user_id, k.version)
)
_PAGE = Statement(
    select(room_keys)
    .where(
        tuple_(*_KEY)
        > tuple_(
            bindparam("user", type_=Text()),
            bindparam("version_", type_=BigInteger()),
            bindparam("room", type_=Text()),
            bindparam("session", type_=Text()),
        )
    )
    .order_by(*_KEY)
    .limit(bindparam("limit"))
)


async def count(tx: Transaction) -> int:
    """The sessions in all backups."""
    return int(await tx.value(_COUNT))


async def counts(tx: Transaction, users: Collection[str]) -> dict[tuple[str, int], int]:
    """How many sessions there are in each of the users' versions that has any."""
    return {(row[0], row[1]): row[2] for row in await tx.all(_COUNTS, users=list(users))}


async def page(tx: Transaction, after: Sequence[Any], limit: int) -> list[Row]:
    """The next sessions, by user, version, room and session."""
    user, version, room, session = after
    rows = await tx.all(_PAGE, user=user, version_=version, room=room, session=session, limit=limit)
    return [dict(zip(_COLUMNS, row, strict=True)) for row in rows]
