"""Who is in a room with whom."""

from __future__ import annotations

from collections.abc import Collection

from sqlalchemy import bindparam, select

from palpo.core.membership import JOIN
from palpo.db.statements import Statement, in_list
from palpo.db.tables.accounts import users
from palpo.db.tables.rooms import memberships
from palpo.db.transaction import Transaction

FEW = 500
"""Users up to whom each one's rooms are looked through; for more, all members of the user's own rooms."""

_mine = memberships.alias("mine")
_theirs = memberships.alias("theirs")
_THEY_ARE_IN = in_list(_theirs.c.user_id, "others") & (_theirs.c.membership == JOIN)
_I_AM_IN = (_mine.c.user_id == bindparam("user_id")) & (_mine.c.membership == JOIN)
_SAME_ROOM = _mine.c.room_id == _theirs.c.room_id
_FEW_SHARING = Statement(
    select(_theirs.c.user_id)
    .distinct()
    .where(_THEY_ARE_IN, select(_mine.c.room_id).where(_SAME_ROOM, _I_AM_IN).exists())
)
_SHARING = Statement(
    select(_theirs.c.user_id)
    .distinct()
    .select_from(_theirs.join(_mine, _SAME_ROOM))
    .where(_THEY_ARE_IN, _I_AM_IN)
)

_SOMEBODY_HERE = (
    select(_mine.c.user_id)
    .join(users, users.c.user_id == _mine.c.user_id)
    .where(_SAME_ROOM, _mine.c.membership == JOIN)
    .exists()
)
_WITH_ANYBODY_HERE = Statement(select(_theirs.c.user_id).distinct().where(_THEY_ARE_IN, _SOMEBODY_HERE))


async def sharing(tx: Transaction, user_id: str, others: Collection[str]) -> set[str]:
    """Those of ``others`` who are in a room that the user is in."""
    if not others:
        return set()
    statement = _FEW_SHARING if len(others) <= FEW else _SHARING
    return {row[0] for row in await tx.all(statement, user_id=user_id, others=list(others))}


async def with_anybody_here(tx: Transaction, user_ids: Collection[str]) -> set[str]:
    """Those of some users of other servers who are in a room with a user of this one."""
    if not user_ids:
        return set()
    return {row[0] for row in await tx.all(_WITH_ANYBODY_HERE, others=list(user_ids))}
