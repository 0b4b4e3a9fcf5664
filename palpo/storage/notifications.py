"""The events that may have notified somebody."""

from __future__ import annotations

from collections.abc import Collection

from sqlalchemy import bindparam, select

from palpo.core.records.events import EventStatus
from palpo.db.statements import in_list
from palpo.db.tables.rooms import events
from palpo.db.transaction import Transaction
from palpo.storage.windows import newest

e = events.c

_BY_OTHERS = newest(
    select(e.position, e.event_id).where(
        in_list(e.room_id, "room_ids"),
        e.status == EventStatus.ACCEPTED.value,
        e.sender != bindparam("user_id"),
    ),
    e.position,
)


async def by_others(
    tx: Transaction, user_id: str, room_ids: Collection[str], *, after: int, upto: int, limit: int
) -> list[tuple[int, str]]:
    """``(position, event ID)`` in ``(after, upto]`` of what others than the user sent, newest first."""
    rows = await tx.all(
        _BY_OTHERS, room_ids=list(room_ids), after=after, upto=upto, user_id=user_id, limit=limit
    )
    return [(row[0], row[1]) for row in rows]
