"""Walking from event to event by what relates to what (MSC2836)."""

from __future__ import annotations

from dataclasses import dataclass

from sqlalchemy import bindparam, func, select

from palpo.db.statements import Statement
from palpo.db.tables.rooms import event_relations, events
from palpo.db.transaction import Transaction

MAX_HASHED = 1000
"""Children that are hashed; of an event with more there is no hash."""

r = event_relations.c
_CHILD = (r.target_id == bindparam("target")) & (r.room_id == bindparam("room_id"))
_of_target = (
    select(r.event_id)
    .select_from(event_relations.join(events, events.c.event_id == r.event_id))
    .where(_CHILD)
    .limit(bindparam("limit"))
)
_NEWEST = Statement(_of_target.order_by(events.c.origin_server_ts.desc(), r.event_id.desc()))
_OLDEST = Statement(_of_target.order_by(events.c.origin_server_ts, r.event_id))
_COUNTS = Statement(select(r.rel_type, func.count()).where(_CHILD).group_by(r.rel_type))
_IDS = Statement(select(r.event_id).where(_CHILD).limit(MAX_HASHED))


@dataclass(frozen=True, slots=True, kw_only=True)
class ChildSummary:
    """How many children an event has, by their relation; and all their IDs, unless there are too many."""

    counts: dict[str, int]
    ids: list[str] | None


async def children(
    tx: Transaction, room_id: str, target: str, *, recent_first: bool, limit: int
) -> list[str]:
    """An event's children of the same room, by ``origin_server_ts``."""
    statement = _NEWEST if recent_first else _OLDEST
    rows = await tx.all(statement, target=target, room_id=room_id, limit=limit)
    return [row[0] for row in rows]


async def summary(tx: Transaction, room_id: str, target: str) -> ChildSummary:
    """What an event's children of the same room come to."""
    counts = {row[0]: row[1] for row in await tx.all(_COUNTS, target=target, room_id=room_id)}
    if not counts or sum(counts.values()) > MAX_HASHED:
        return ChildSummary(counts=counts, ids=None if counts else [])
    rows = await tx.all(_IDS, target=target, room_id=room_id)
    return ChildSummary(counts=counts, ids=[row[0] for row in rows])
