"""Who is typing where."""

from __future__ import annotations

from collections.abc import Collection
from dataclasses import dataclass

from sqlalchemy import and_, bindparam, delete, or_, select, update

from palpo.core.membership import JOIN
from palpo.db.statements import Statement, in_list, upsert
from palpo.db.tables.presence import typing
from palpo.db.tables.rooms import memberships
from palpo.db.tables.rooms import rooms as rooms_table
from palpo.db.transaction import Transaction, WriteTransaction
from palpo.storage.records import Records
from palpo.storage.windows import oldest, within
from palpo.streams import topics

t = typing.c
m = memberships.c


@dataclass(frozen=True, slots=True, kw_only=True)
class Typing:
    """Somebody who is said to be typing until ``expires_ts``, in milliseconds since the Unix epoch."""

    room_id: str
    user_id: str
    expires_ts: int


_RECORDS = Records(Typing, typing)
_PUT = upsert(typing, key=["room_id", "user_id"])
_IS_TYPING = (t.room_id == bindparam("room_key")) & (t.user_id == bindparam("user_key")) & (t.typing == 1)
_TOLD = Statement(select(t.position).where(_IS_TYPING))
_EXTEND = Statement(update(typing).where(_IS_TYPING).values(expires_ts=bindparam("new_expires_ts")))
_CURRENT = Statement(
    select(t.room_id, t.user_id)
    .outerjoin(rooms_table, rooms_table.c.room_id == t.room_id)
    .outerjoin(memberships, and_(m.room_id == t.room_id, m.user_id == t.user_id))
    .where(
        in_list(t.room_id, "room_ids"),
        t.typing == 1,
        t.expires_ts > bindparam("now"),
        # While members are missing, who is not known to be in the room may be.
        or_(m.membership == JOIN, and_(m.membership.is_(None), rooms_table.c.whole_from < 0)),
    )
    .order_by(t.position)
)
_ROOMS = Statement(select(t.room_id).distinct().where(t.typing == 1))
_CHANGED = Statement(select(t.room_id).distinct().where(in_list(t.room_id, "room_ids"), within(t.position)))
_MOVED = oldest(select(t.room_id, t.user_id, t.typing), t.position)
_EXPIRED = Statement(
    select(*_RECORDS.columns).where(t.typing == 1, t.expires_ts <= bindparam("now")).limit(bindparam("limit"))
)
_STOP = Statement(
    update(typing)
    .where(_IS_TYPING, t.expires_ts <= bindparam("now"))
    .values(typing=0, position=bindparam("new_position"))
)
_PRUNE = Statement(delete(typing).where(t.typing == 0, t.expires_ts <= bindparam("before")))


async def put(
    tx: WriteTransaction, room_id: str, user_id: str, *, typing: bool, expires_ts: int, position: int
) -> None:
    """Store that a user is typing, or has stopped."""
    await tx.run(
        _PUT,
        room_id=room_id,
        user_id=user_id,
        typing=int(typing),
        expires_ts=expires_ts,
        position=position,
    )
    tx.notify(topics.ROOM, room_id)
    tx.notify(topics.TYPING, room_id)


async def extend(tx: WriteTransaction, room_id: str, user_id: str, expires_ts: int) -> None:
    """Give a user who is typing more time, which is no news to anybody."""
    await tx.run(_EXTEND, room_key=room_id, user_key=user_id, new_expires_ts=expires_ts)


async def told(tx: Transaction, room_id: str, user_id: str) -> bool:
    """Whether others were told that the user is typing, and not yet that it is over."""
    return await tx.one(_TOLD, room_key=room_id, user_key=user_id) is not None


async def current(tx: Transaction, room_ids: Collection[str], now_ms: int) -> dict[str, list[str]]:
    """Who of the members is typing in each of ``room_ids``; rooms where nobody is are left out."""
    found: dict[str, list[str]] = {}
    for room_id, user_id in await tx.all(_CURRENT, room_ids=list(room_ids), now=now_ms):
        found.setdefault(room_id, []).append(user_id)
    return found


async def rooms(tx: Transaction) -> set[str]:
    """The rooms where somebody may be typing."""
    return {row[0] for row in await tx.all(_ROOMS)}


async def changed(tx: Transaction, room_ids: Collection[str], after: int, upto: int) -> list[str]:
    """Those of ``room_ids`` where somebody began or stopped at a position in ``(after, upto]``."""
    return [row[0] for row in await tx.all(_CHANGED, room_ids=list(room_ids), after=after, upto=upto)]


async def moved(tx: Transaction, *, after: int, upto: int, limit: int) -> list[tuple[str, str, bool]]:
    """``(room ID, user ID, whether they type)`` of those who began or stopped in ``(after, upto]``."""
    rows = await tx.all(_MOVED, after=after, upto=upto, limit=limit)
    return [(row[0], row[1], bool(row[2])) for row in rows]


async def expired(tx: Transaction, now_ms: int, limit: int) -> list[Typing]:
    """Those whose time is over, and of whom others have not been told so."""
    rows = await tx.all(_EXPIRED, now=now_ms, limit=limit)
    return _RECORDS.all(rows)


async def stop(tx: WriteTransaction, item: Typing, now_ms: int, position: int) -> None:
    """Mark one as having stopped, unless their time has been extended."""
    if await tx.run(_STOP, room_key=item.room_id, user_key=item.user_id, now=now_ms, new_position=position):
        tx.notify(topics.ROOM, item.room_id)
        tx.notify(topics.TYPING, item.room_id)


async def prune(tx: WriteTransaction, before_ms: int) -> None:
    """Forget those who stopped before ``before_ms``."""
    await tx.run(_PRUNE, before=before_ms)
