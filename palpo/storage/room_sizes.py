"""About how much of the database each room takes."""

from __future__ import annotations

from dataclasses import dataclass

from sqlalchemy import bindparam, func, select

from palpo.db.statements import Statement
from palpo.db.tables.rooms import events
from palpo.db.transaction import Transaction

e = events.c
BESIDE = 700
"""About how many bytes an event takes beside its JSON: other columns, indexes, its share of the state."""
SAMPLE = 1000


@dataclass(frozen=True, slots=True, kw_only=True)
class RoomSize:
    """A room, and about how many bytes it takes."""

    room_id: str
    size: int


_COUNTS = Statement(
    select(e.room_id, func.count().label("number"))
    .group_by(e.room_id)
    .order_by(func.count().desc(), e.room_id)
    .limit(bindparam("limit"))
)
_NEWEST = select(e.pdu).order_by(e.position.desc()).limit(bindparam("sample")).subquery()
_MEAN = Statement(select(func.avg(func.length(_NEWEST.c.pdu))))


async def largest(tx: Transaction, limit: int) -> list[RoomSize]:
    """The rooms with most events, by the mean size of the newest of all."""
    mean = float(await tx.value(_MEAN, sample=SAMPLE) or 0)
    rows = await tx.all(_COUNTS, limit=limit)
    return [RoomSize(room_id=room_id, size=round(number * (mean + BESIDE))) for room_id, number in rows]
