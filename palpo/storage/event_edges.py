"""What is missing of rooms' histories: events before those that are here."""

from __future__ import annotations

from collections.abc import Collection, Iterable, Sequence

import msgspec
from sqlalchemy import and_, bindparam, delete, func, select

from palpo.db.statements import Statement, in_list, upsert
from palpo.db.tables.rooms import backward_extremities as extremities
from palpo.db.tables.rooms import event_edges
from palpo.db.transaction import Row, Transaction, WriteTransaction
from palpo.storage.events import NewEvent


class BackwardExtremity(msgspec.Struct, frozen=True, kw_only=True):
    """An event that is not here, and that one that is here refers to."""

    event_id: str
    place: int
    """Of the last event that refers to it."""
    tries: int = 0
    """How often others have been asked for it."""
    tried_ts: int = 0
    """When last, in ms since the Unix epoch."""


x, b = event_edges.c, extremities.c
_PUT = upsert(event_edges, key=["prev_event_id", "event_id"])
_CLOSE = Statement(delete(event_edges).where(in_list(x.prev_event_id, "ids")))
_FORGET = Statement(delete(extremities).where(b.room_id == bindparam("room_id"), in_list(b.event_id, "ids")))
_PLACES = Statement(
    select(x.prev_event_id, func.min(x.place))
    .where(x.room_id == bindparam("room_id"), in_list(x.prev_event_id, "ids"))
    .group_by(x.prev_event_id)
)
_last_place = func.max(x.place).label("last_place")
_BELOW = Statement(
    select(x.prev_event_id, _last_place, func.max(b.tries), func.max(b.tried_ts))
    .outerjoin(extremities, and_(b.room_id == x.room_id, b.event_id == x.prev_event_id))
    .where(x.room_id == bindparam("room_id"), x.place <= bindparam("place"))
    .group_by(x.prev_event_id)
    .order_by(_last_place.desc(), x.prev_event_id)
    .limit(bindparam("limit"))
)
_first_place = func.min(x.place).label("first_place")
_ABOVE = Statement(
    select(x.prev_event_id, _first_place, func.max(b.tries), func.max(b.tried_ts))
    .outerjoin(extremities, and_(b.room_id == x.room_id, b.event_id == x.prev_event_id))
    .where(x.room_id == bindparam("room_id"), x.place > bindparam("place"))
    .group_by(x.prev_event_id)
    .order_by(_first_place, x.prev_event_id)
    .limit(bindparam("limit"))
)
_AFTER = Statement(select(x.prev_event_id, x.event_id).where(in_list(x.prev_event_id, "ids")))
_TRIED = Statement(
    select(b.tries).where(b.room_id == bindparam("room_id"), b.event_id == bindparam("event_id"))
)
_NOTE = upsert(extremities, key=["room_id", "event_id"])


async def note(tx: WriteTransaction, new: Sequence[NewEvent]) -> None:
    """Note what is missing before events that have just been judged."""
    rows = [
        {
            "prev_event_id": name,
            "event_id": item.event.event_id,
            "room_id": item.event.room_id,
            "place": item.place,
        }
        for item in new
        for name in item.missing
    ]
    await tx.many(_PUT, rows)


async def close(tx: WriteTransaction, room_ids: Iterable[str], event_ids: Collection[str]) -> None:
    """Events of these rooms are missing no more."""
    ids = list(event_ids)
    await tx.run(_CLOSE, ids=ids)
    for room_id in room_ids:
        await tx.run(_FORGET, room_id=room_id, ids=ids)


async def places(tx: Transaction, room_id: str, event_ids: Iterable[str]) -> dict[str, int]:
    """For those of the events that are missing, the place of the first event that refers to them."""
    rows = await tx.all(_PLACES, room_id=room_id, ids=list(event_ids))
    return {row[0]: row[1] for row in rows}


async def backward_extremities(
    tx: Transaction, room_id: str, order: tuple[int, int], limit: int
) -> list[BackwardExtremity]:
    """What is missing right before events at or below ``order`` in the timeline, the nearest first."""
    return _found(await tx.all(_BELOW, room_id=room_id, place=order[0], limit=limit))


async def ahead(tx: Transaction, room_id: str, order: tuple[int, int], limit: int) -> list[BackwardExtremity]:
    """What is missing right before events after ``order``, each with the place of the first that follows it;
    the nearest first."""
    return _found(await tx.all(_ABOVE, room_id=room_id, place=order[0], limit=limit))


def _found(rows: Iterable[Row]) -> list[BackwardExtremity]:
    return [
        BackwardExtremity(event_id=row[0], place=row[1], tries=row[2] or 0, tried_ts=row[3] or 0)
        for row in rows
    ]


async def after(tx: Transaction, event_ids: Collection[str]) -> list[tuple[str, str]]:
    """For those of the events that are missing, ``(event, one that refers to it)``, for each that does."""
    return [(row[0], row[1]) for row in await tx.all(_AFTER, ids=list(event_ids))]


async def tried(tx: WriteTransaction, room_id: str, event_ids: Collection[str], now_ms: int) -> None:
    """Note that others have been asked, in vain so far, for events that are missing."""
    for event_id in event_ids:
        tries = await tx.value(_TRIED, room_id=room_id, event_id=event_id) or 0
        row = {"room_id": room_id, "event_id": event_id, "tries": tries + 1, "tried_ts": now_ms}
        await tx.many(_NOTE, [row])
