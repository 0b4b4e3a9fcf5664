"""Changes of users' device lists: a stream by position."""

from __future__ import annotations

from collections.abc import Collection, Sequence

from sqlalchemy import bindparam, or_, select

from palpo.db.statements import Statement, in_list, insert_row
from palpo.db.tables.devices import device_list_changes
from palpo.db.tables.rooms import events, memberships
from palpo.db.transaction import Transaction, WriteTransaction
from palpo.storage import memberships as membership_storage
from palpo.storage.events import EventStatus

c = device_list_changes.c
_INSERT = insert_row(device_list_changes)
_IN_RANGE = (c.position > bindparam("after")) & (c.position <= bindparam("upto"))
_OBSERVED = or_(c.observer.is_(None), c.observer == bindparam("observer"))
_CHANGED = Statement(select(c.user_id).distinct().where(_IN_RANGE, _OBSERVED))
_CHANGED_OF = Statement(select(c.user_id).distinct().where(in_list(c.user_id, "users"), _IN_RANGE, _OBSERVED))

_mine = memberships.alias("mine")
_other = memberships.alias("other")
_SHARING = Statement(
    select(_other.c.user_id)
    .distinct()
    .select_from(_other.join(_mine, _mine.c.room_id == _other.c.room_id))
    .where(
        in_list(_other.c.user_id, "users"),
        _other.c.membership == "join",
        _mine.c.user_id == bindparam("user"),
        _mine.c.membership == "join",
    )
)
_MEMBER_EVENTS = Statement(
    select(events.c.event_id)
    .where(
        in_list(events.c.room_id, "rooms"),
        events.c.position > bindparam("after"),
        events.c.position <= bindparam("upto"),
        events.c.type == "m.room.member",
        events.c.status == int(EventStatus.ACCEPTED),
    )
    .order_by(events.c.position)
)


async def record(
    tx: WriteTransaction,
    user_id: str,
    device_ids: Sequence[str | None] = (None,),
    *,
    observer: str | None = None,
) -> None:
    """Note that the keys of devices changed, or (None) cross-signing keys; wakes all who can see it.

    A change for an ``observer`` is for that user alone.
    """
    position = await tx.positions(len(device_ids))
    rows = [
        {"position": position + number, "user_id": user_id, "device_id": device_id, "observer": observer}
        for number, device_id in enumerate(device_ids)
    ]
    await tx.many(_INSERT, rows)
    tx.notify(f"device_list:{user_id}", f"user:{observer or user_id}")
    if observer is None:
        tx.notify(*(f"room:{room_id}" for room_id in await membership_storage.joined_rooms(tx, user_id)))


async def changed_between(
    tx: Transaction, user_ids: Collection[str] | None, after: int, upto: int, *, observer: str
) -> set[str]:
    """Whose device list changed in ``(after, upto]`` as ``observer`` sees it: of all, or of ``user_ids``."""
    if user_ids is None:
        rows = await tx.all(_CHANGED, after=after, upto=upto, observer=observer)
    else:
        rows = await tx.all(_CHANGED_OF, users=list(user_ids), after=after, upto=upto, observer=observer)
    return {row[0] for row in rows}


async def sharing_with(tx: Transaction, user_id: str, user_ids: Collection[str]) -> set[str]:
    """Which of ``user_ids`` are joined to a room that ``user_id`` is joined to."""
    if not user_ids:
        return set()
    return {row[0] for row in await tx.all(_SHARING, users=list(user_ids), user=user_id)}


async def member_events(tx: Transaction, room_ids: Collection[str], after: int, upto: int) -> list[str]:
    """The IDs of the membership events of the rooms in ``(after, upto]``."""
    if not room_ids:
        return []
    return [row[0] for row in await tx.all(_MEMBER_EVENTS, rooms=list(room_ids), after=after, upto=upto)]
