"""Who is in a room with whom."""

from __future__ import annotations

from collections.abc import Collection

from sqlalchemy import bindparam, select

from palpo.db.statements import Statement, in_list
from palpo.db.tables.rooms import memberships
from palpo.db.transaction import Transaction

_mine = memberships.alias("mine")
_theirs = memberships.alias("theirs")
_SHARING = Statement(
    select(_theirs.c.user_id)
    .distinct()
    .select_from(_theirs.join(_mine, _mine.c.room_id == _theirs.c.room_id))
    .where(
        in_list(_theirs.c.user_id, "others"),
        _theirs.c.membership == "join",
        _mine.c.user_id == bindparam("user_id"),
        _mine.c.membership == "join",
    )
)


async def sharing(tx: Transaction, user_id: str, others: Collection[str]) -> set[str]:
    """Those of ``others`` who are in a room that the user is in."""
    return {row[0] for row in await tx.all(_SHARING, user_id=user_id, others=list(others))}
