"""About how much of the database each room takes."""

from __future__ import annotations

from dataclasses import dataclass

from sqlalchemy import bindparam, func, select

from palpo.db.statements import Statement
from palpo.db.tables.rooms import events, rooms
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


_LONGEST = Statement(
    select(rooms.c.room_id).order_by(rooms.c.place.desc(), rooms.c.room_id).limit(bindparam("limit"))
)
_COUNT = Statement(select(func.count()).select_from(events).where(e.room_id == bindparam("room")))
_NEWEST = select(e.pdu).order_by(e.position.desc()).limit(bindparam("sample")).subquery()
_MEAN = Statement(select(func.avg(func.length(_NEWEST.c.pdu))))


async def largest(tx: Transaction, limit: int) -> list[RoomSize]:
    """The rooms with most events, by the mean size of the newest of all.

    They are looked for among those with the longest timelines: to count the events of all takes a while.
    """
    mean = float(await tx.value(_MEAN, sample=SAMPLE) or 0)
    longest = [row[0] for row in await tx.all(_LONGEST, limit=2 * limit)]
    counts = [(room_id, int(await tx.value(_COUNT, room=room_id))) for room_id in longest]
    counts.sort(key=lambda item: (-item[1], item[0]))
    return [
        RoomSize(room_id=room_id, size=round(count * (mean + BESIDE))) for room_id, count in counts[:limit]
    ]
