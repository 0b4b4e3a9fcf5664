"""Presence, as others were last told."""

from __future__ import annotations

from collections.abc import Collection

import msgspec
from sqlalchemy import bindparam, or_, select

from palpo.core.membership import JOIN
from palpo.db.statements import Statement, in_list, upsert
from palpo.db.tables.presence import presence
from palpo.db.tables.rooms import memberships
from palpo.db.transaction import Transaction, WriteTransaction
from palpo.storage.records import Records
from palpo.storage.windows import oldest
from palpo.streams import topics

p = presence.c


class Presence(msgspec.Struct, frozen=True, kw_only=True, gc=False):
    """A user's presence. ``last_active_ts`` is in milliseconds since the Unix epoch, 0 for never."""

    user_id: str
    presence: str
    """``online``, ``unavailable`` or ``offline``."""
    status_msg: str | None = None
    last_active_ts: int = 0
    currently_active: bool = False
    displayname: str | None = None
    avatar_url: str | None = None
    position: int = 0


_RECORDS = Records(Presence, presence)
_PUT = upsert(presence, key=["user_id"])
_GET = Statement(select(*_RECORDS.columns).where(in_list(p.user_id, "user_ids")))
_CHANGED = oldest(select(*_RECORDS.columns), p.position)
_mine, _theirs = memberships.alias("mine"), memberships.alias("theirs")
_OF_SHARERS = Statement(
    select(*_RECORDS.columns).where(
        p.position > bindparam("after"),
        or_(p.presence != "offline", bindparam("after") > 0),
        p.user_id.in_(
            select(_theirs.c.user_id)
            .join(_mine, _mine.c.room_id == _theirs.c.room_id)
            .where(
                _theirs.c.membership == JOIN,
                _mine.c.user_id == bindparam("user_id"),
                _mine.c.membership == JOIN,
            )
        ),
    )
)
_NOT_OFFLINE = Statement(
    select(*_RECORDS.columns)
    # By what it is rather than what it is not, so that the index serves.
    .where((p.presence == "online") | (p.presence == "unavailable"))
    .limit(bindparam("limit"))
)


async def put(tx: WriteTransaction, value: Presence) -> None:
    """Store a presence over the one before it."""
    await tx.run(_PUT, **_RECORDS.values(value))
    tx.notify(topics.PRESENCE, value.user_id)
    tx.notify(topics.USER, value.user_id)


async def get(tx: Transaction, user_ids: Collection[str]) -> list[Presence]:
    """The presence of those of ``user_ids`` who have any."""
    return _RECORDS.all(await tx.all(_GET, user_ids=list(user_ids)))


async def of_sharers(tx: Transaction, user_id: str, after: int) -> list[Presence]:
    """The presence of those who are in a room with the user, who counts too, if it changed after a position.

    After 0 who is offline is left out: there is nothing to take back.
    """
    return _RECORDS.all(await tx.all(_OF_SHARERS, user_id=user_id, after=after))


async def changed(tx: Transaction, after: int, upto: int, limit: int) -> list[Presence]:
    """Whose presence last changed at a position in ``(after, upto]``, in order."""
    return _RECORDS.all(await tx.all(_CHANGED, after=after, upto=upto, limit=limit))


async def not_offline(tx: Transaction, limit: int) -> list[Presence]:
    """Everyone who is online or unavailable."""
    return _RECORDS.all(await tx.all(_NOT_OFFLINE, limit=limit))
