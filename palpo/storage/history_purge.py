"""Deleting what rooms were before."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from sqlalchemy import bindparam, delete, or_, select, update

from palpo.core.records.events import EventStatus
from palpo.core.state_tree import EMPTY_ROOT
from palpo.db.statements import Statement, in_list
from palpo.db.tables.push import push_queue
from palpo.db.tables.rooms import (
    event_edges,
    event_relations,
    event_transactions,
    events,
    room_roots,
)
from palpo.db.tables.search import search_entries
from palpo.db.transaction import Row, Transaction, WriteTransaction
from palpo.storage.events import NOWHERE
from palpo.streams import topics

Order = tuple[int, int]
BEGINNING: Order = (-(2**62), -(2**62))
"""Before everything in a timeline: what was fetched of the past has places that are below others."""


@dataclass(frozen=True, slots=True, kw_only=True)
class PastEvent:
    """What has to be known of an event to delete it, or to leave it."""

    event_id: str
    place: int
    position: int
    sender: str
    is_state: bool
    ts: int
    """``origin_server_ts``."""
    status: EventStatus
    roots: tuple[bytes, bytes, bytes]

    @property
    def order(self) -> Order:
        """Where it stands in the timeline."""
        return self.place, self.position


e, r = events.c, room_roots.c
_ROOM = e.room_id == bindparam("room")
_COLUMNS = (
    e.event_id,
    e.place,
    e.position,
    e.sender,
    e.state_key,
    e.origin_server_ts,
    e.status,
    e.state_before,
    e.state_after,
    e.room_state,
)
_AFTER = Statement(
    select(*_COLUMNS)
    .where(
        _ROOM,
        e.place >= bindparam("place"),
        or_(
            e.place > bindparam("place"),
            e.position > bindparam("position"),
            (e.position == bindparam("position")) & (e.event_id > bindparam("after_id")),
        ),
        e.status != EventStatus.OUTLIER.value,
    )
    .order_by(e.place, e.position, e.event_id)
    .limit(bindparam("limit"))
)
_NEWER = Statement(select(*_COLUMNS).where(_ROOM, e.position > bindparam("after")))
_REFUSED = Statement(
    select(*_COLUMNS).where(_ROOM, e.position == NOWHERE, e.status != EventStatus.OUTLIER.value)
)
_SINCE = Statement(
    select(e.place, e.position)
    .where(_ROOM, e.origin_server_ts >= bindparam("ts"), e.status == EventStatus.ACCEPTED.value)
    .order_by(e.place, e.position)
    .limit(1)
)
_MESSAGES = Statement(
    select(e.event_id)
    .where(_ROOM, e.origin_server_ts < bindparam("ts"), e.state_key.is_(None))
    .order_by(e.origin_server_ts)
    .limit(bindparam("limit"))
)
_DELETE = Statement(delete(events).where(in_list(e.event_id, "ids")))
_STATE_ONLY = Statement(
    update(events)
    .where(in_list(e.event_id, "ids"))
    .values(
        status=EventStatus.OUTLIER.value,
        position=NOWHERE,
        place=0,
        state_before=EMPTY_ROOT,
        state_after=EMPTY_ROOT,
        room_state=EMPTY_ROOT,
        after_gap=0,
    )
)
_DELETE_BESIDE = tuple(
    Statement(delete(table).where(in_list(table.c.event_id, "ids")))
    for table in (event_relations, event_transactions, search_entries)
)
_DELETE_PUSHES = Statement(delete(push_queue).where(in_list(push_queue.c.event_id, "ids")))
_DELETE_EDGES = Statement(
    delete(event_edges).where(
        event_edges.c.room_id == bindparam("room"),
        event_edges.c.place >= bindparam("first"),
        event_edges.c.place <= bindparam("last"),
        in_list(event_edges.c.event_id, "ids"),
    )
)
_ROOTS = Statement(
    select(r.position, r.state_root).where(r.room_id == bindparam("room")).order_by(r.position)
)
_DELETE_ROOTS = Statement(
    delete(room_roots).where(r.room_id == bindparam("room"), r.position <= bindparam("upto"))
)
_PRUNE = Statement(update(events).where(e.event_id == bindparam("id")).values(pdu=bindparam("pruned")))


async def after(tx: Transaction, room_id: str, order: Order, event_id: str, limit: int) -> list[PastEvent]:
    """The next events of a room's timeline, whatever became of them."""
    rows = await tx.all(
        _AFTER, room=room_id, place=order[0], position=order[1], after_id=event_id, limit=limit
    )
    return [_event(row) for row in rows]


async def newer(tx: Transaction, room_id: str, position: int) -> list[PastEvent]:
    """Those that came after a position of the stream, and all that were refused, which have none."""
    rows = await tx.all(_NEWER, room=room_id, after=position)
    return [_event(row) for row in (*rows, *await tx.all(_REFUSED, room=room_id))]


async def first_since(tx: Transaction, room_id: str, ts: int) -> Order | None:
    """Where the first event of a time or later stands; None where there is none."""
    row = await tx.one(_SINCE, room=room_id, ts=ts)
    return None if row is None else (row[0], row[1])


async def messages_before(tx: Transaction, room_id: str, ts: int, limit: int) -> set[str]:
    """The oldest messages of a room that were sent before a time."""
    return {row[0] for row in await tx.all(_MESSAGES, room=room_id, ts=ts, limit=limit)}


async def room_roots_of(tx: Transaction, room_id: str) -> list[tuple[int, bytes]]:
    """The states that a room came to without an event, with their positions."""
    return [(row[0], bytes(row[1])) for row in await tx.all(_ROOTS, room=room_id)]


async def delete_roots(tx: WriteTransaction, room_id: str, upto: int) -> None:
    """Forget those up to a position."""
    await tx.run(_DELETE_ROOTS, room=room_id, upto=upto)


async def purge(
    tx: WriteTransaction, room_id: str, gone: Sequence[PastEvent], state: Sequence[PastEvent]
) -> None:
    """Delete events, and keep others as state only: they are in no timeline any more."""
    ids = [item.event_id for item in gone]
    both = [item.event_id for item in (*gone, *state)]
    places = [item.place for item in (*gone, *state)]
    await tx.positions()
    for statement in (*_DELETE_BESIDE, _DELETE_PUSHES):
        await tx.run(statement, ids=both)
    await tx.run(_DELETE_EDGES, room=room_id, first=min(places), last=max(places), ids=both)
    if ids:
        await tx.run(_DELETE, ids=ids)
    if state:
        await tx.run(_STATE_ONLY, ids=[item.event_id for item in state])
    tx.notify(topics.EVENT, *both)
    tx.notify(topics.PURGED, room_id)


async def prune(tx: WriteTransaction, event_id: str, pruned: bytes) -> None:
    """Have a message that other events need be without its content."""
    await tx.run(_PRUNE, id=event_id, pruned=pruned)
    for statement in _DELETE_BESIDE:
        await tx.run(statement, ids=[event_id])
    tx.notify(topics.EVENT, event_id)


def _event(row: Row) -> PastEvent:
    return PastEvent(
        event_id=row[0],
        place=row[1],
        position=row[2],
        sender=row[3],
        is_state=row[4] is not None,
        ts=row[5],
        status=EventStatus(row[6]),
        roots=(bytes(row[7]), bytes(row[8]), bytes(row[9])),
    )
