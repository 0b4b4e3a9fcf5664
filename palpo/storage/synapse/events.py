"""Events of a Synapse, and the states of its rooms at them."""

from __future__ import annotations

from collections.abc import Collection, Sequence
from dataclasses import dataclass
from typing import Any

from sqlalchemy import bindparam, func, select, tuple_

from palpo.core.canonical_json import decode_object
from palpo.core.events import StateKey
from palpo.db.statements import Statement, in_list
from palpo.db.synapse.rooms import (
    current_state_events,
    event_forward_extremities,
    event_json,
    event_to_state_groups,
    events,
    rejections,
    rooms,
    state_group_edges,
    state_groups_state,
)
from palpo.db.transaction import Row, Transaction

e, j, g = events.c, event_json.c, state_groups_state.c
_COLUMNS = (
    e.stream_ordering,
    e.event_id,
    e.room_id,
    e.outlier,
    j.internal_metadata,
    j.json,
    e.topological_ordering,
)
_JOINED = select(*_COLUMNS).join(event_json, j.event_id == e.event_id)
_AFTER = Statement(
    _JOINED.where(e.stream_ordering > bindparam("after"))
    .order_by(e.stream_ordering)
    .limit(bindparam("limit"))
)
_key = (e.room_id, e.topological_ordering, e.stream_ordering)
_PAST = Statement(
    _JOINED.where(
        e.stream_ordering < 0,
        tuple_(*_key) > tuple_(bindparam("room_id"), bindparam("depth"), bindparam("ordering")),
    )
    .order_by(*_key)
    .limit(bindparam("limit"))
)
_GET = Statement(_JOINED.where(in_list(e.event_id, "ids")))
_COUNT = Statement(select(func.count()).select_from(events))
_STATUS = Statement(
    select(e.event_id, e.room_id, e.outlier, rejections.c.event_id)
    .join(rejections, rejections.c.event_id == e.event_id, isouter=True)
    .where(in_list(e.event_id, "ids"))
)
_VERSIONS = Statement(select(rooms.c.room_id, rooms.c.room_version).where(in_list(rooms.c.room_id, "ids")))
_GROUP = Statement(
    select(event_to_state_groups.c.state_group).where(event_to_state_groups.c.event_id == bindparam("id"))
)
_BEFORE = Statement(
    select(state_group_edges.c.prev_state_group).where(state_group_edges.c.state_group == bindparam("group"))
)
_SET = Statement(select(g.state_group, g.type, g.state_key, g.event_id).where(in_list(g.state_group, "ids")))
c = current_state_events.c
_CURRENT = Statement(select(c.type, c.state_key, c.event_id).where(c.room_id == bindparam("room_id")))
f = event_forward_extremities.c
_ENDS = Statement(select(f.event_id).where(f.room_id == bindparam("room_id")))
NONE_YET = ("", -(2**62), -(2**62))
"""The key below those of all events of the past."""


@dataclass(frozen=True, slots=True, kw_only=True)
class TheirEvent:
    """One event."""

    ordering: int
    """Synapse's place in its stream: below 0 for what it has fetched of the past, in no good order."""
    depth: int
    event_id: str
    room_id: str
    outlier: bool
    soft_failed: bool
    json: str

    def pdu(self) -> dict[str, Any]:
        """As servers exchange it, but with Synapse's own ``unsigned``."""
        return decode_object(self.json)


async def past(tx: Transaction, key: tuple[str, int, int], limit: int) -> list[TheirEvent]:
    """The next of the events that were fetched of the past, room by room, each after those before it.

    ``key`` is the room of the last one, its depth and its ordering.
    """
    room_id, depth, ordering = key
    rows = await tx.all(_PAST, room_id=room_id, depth=depth, ordering=ordering, limit=limit)
    return [_event(row) for row in rows]


async def after(tx: Transaction, ordering: int, limit: int) -> list[TheirEvent]:
    """The next events above a place in the stream, -1 or more: each after those before it."""
    return [_event(row) for row in await tx.all(_AFTER, after=ordering, limit=limit)]


async def get(tx: Transaction, ids: Collection[str]) -> dict[str, TheirEvent]:
    """Those of the events that are there."""
    return {row[1]: _event(row) for row in await tx.all(_GET, ids=list(ids))}


async def count(tx: Transaction) -> int:
    """How many there are."""
    return int(await tx.value(_COUNT))


async def versions(tx: Transaction, room_ids: Collection[str]) -> dict[str, str]:
    """The versions of rooms: those of long ago have none, and are of version 1."""
    return {row[0]: row[1] or "1" for row in await tx.all(_VERSIONS, ids=list(room_ids))}


async def rejected(tx: Transaction, ids: Collection[str]) -> set[str]:
    """Those of the events that were rejected."""
    return {row[0] for row in await tx.all(_STATUS, ids=list(ids)) if row[3] is not None}


async def state_around(
    tx: Transaction, event_id: str
) -> tuple[dict[StateKey, str], dict[StateKey, str] | None] | None:
    """The state after an event, and that before it where its group says so by setting only this event.

    None where Synapse has no state at the event.
    """
    group = await tx.value(_GROUP, id=event_id)
    if group is None:
        return None
    chain = [group]
    while (before := await tx.value(_BEFORE, group=chain[-1])) is not None:
        chain.append(before)
    sets: dict[int, dict[StateKey, str]] = {number: {} for number in chain}
    for number, type_, state_key, name in await tx.all(_SET, ids=chain):
        sets[number][type_, state_key] = name
    older: dict[StateKey, str] = {}
    for number in reversed(chain[1:]):
        older |= sets[number]
    is_own = len(chain) > 1 and list(sets[group].values()) == [event_id]
    return older | sets[group], older if is_own else None


async def current_state(tx: Transaction, room_id: str) -> dict[StateKey, str]:
    """What is set in a room now."""
    return {(row[0], row[1]): row[2] for row in await tx.all(_CURRENT, room_id=room_id)}


async def ends(tx: Transaction, room_id: str) -> list[str]:
    """The events that nothing comes after."""
    return sorted(row[0] for row in await tx.all(_ENDS, room_id=room_id))


def _event(row: Row) -> TheirEvent:
    metadata: Sequence[Any] | dict[str, Any] = decode_object(row[4]) if row[4] else {}
    return TheirEvent(
        ordering=row[0],
        depth=row[6],
        event_id=row[1],
        room_id=row[2],
        outlier=bool(row[3]),
        soft_failed=isinstance(metadata, dict) and bool(metadata.get("soft_failed")),
        json=row[5],
    )
