"""Read receipts, and the checkpoints of counting what is unread."""

from __future__ import annotations

from collections.abc import Collection, Mapping

import msgspec
from sqlalchemy import bindparam, func, or_, select

from palpo.db.statements import Statement, in_list, upsert
from palpo.db.tables.receipts import receipts, unread_checkpoints
from palpo.db.transaction import Transaction, WriteTransaction
from palpo.storage.records import Records
from palpo.storage.surplus import Surplus
from palpo.storage.windows import oldest, within
from palpo.streams import topics

r = receipts.c
c = unread_checkpoints.c


class Receipt(msgspec.Struct, frozen=True, kw_only=True, gc=False):
    """How far a user has read in a room, or in one of its threads."""

    room_id: str
    user_id: str
    thread_id: str = ""
    """``main``, a thread root's event ID, or empty for an unthreaded receipt."""
    private: bool = False
    event_id: str
    event_position: int
    ts: int
    """Milliseconds since the Unix epoch."""
    position: int


RECORDS = Records(Receipt, receipts)
_PUT = upsert(receipts, key=["room_id", "user_id", "thread_id", "private"])
_GET = Statement(
    select(*RECORDS.columns).where(
        r.room_id == bindparam("room_id"),
        r.user_id == bindparam("user_id"),
        r.thread_id == bindparam("thread_id"),
        r.private == bindparam("private"),
    )
)
_CHANGED = Statement(
    select(*RECORDS.columns).where(in_list(r.room_id, "room_ids"), within(r.position)).order_by(r.position)
)
_PUBLIC = oldest(select(*RECORDS.columns).where(r.private == 0), r.position)
_OF_EVENTS = Statement(
    select(*RECORDS.columns)
    .where(
        in_list(r.room_id, "room_ids"),
        r.position <= bindparam("upto"),
        or_(r.user_id == bindparam("user_id"), in_list(r.event_id, "event_ids")),
    )
    .order_by(r.position)
)
_MARKS = Statement(
    select(r.room_id, r.thread_id, func.max(r.event_position))
    .where(in_list(r.room_id, "room_ids"), r.user_id == bindparam("user_id"))
    .group_by(r.room_id, r.thread_id)
)
_IN_THREADS = Surplus(
    receipts,
    r.position,
    r.room_id == bindparam("room_id"),
    r.user_id == bindparam("user_id"),
    r.thread_id != "",
)
_PUT_CHECKPOINT = upsert(unread_checkpoints, key=["user_id", "room_id"])
_CHECKPOINTS = Statement(
    select(c.room_id, c.state).where(c.user_id == bindparam("user_id"), in_list(c.room_id, "room_ids"))
)


async def put(tx: WriteTransaction, receipt: Receipt) -> None:
    """Store a receipt over the one before it, and tell those who may see it."""
    await tx.run(_PUT, **RECORDS.values(receipt))
    tx.notify(topics.RECEIPTS, receipt.room_id)
    tx.notify(topics.READ, receipt.user_id)
    tx.notify(topics.USER, receipt.user_id)
    if not receipt.private:
        tx.notify(topics.ROOM, receipt.room_id)


async def get(tx: Transaction, room_id: str, user_id: str, thread_id: str, private: bool) -> Receipt | None:
    """One receipt."""
    return RECORDS.one(
        await tx.one(_GET, room_id=room_id, user_id=user_id, thread_id=thread_id, private=int(private))
    )


async def changed(tx: Transaction, room_ids: Collection[str], after: int, upto: int) -> list[Receipt]:
    """The receipts of rooms that last changed at a position in ``(after, upto]``, private ones too."""
    rows = await tx.all(_CHANGED, room_ids=list(room_ids), after=after, upto=upto)
    return RECORDS.all(rows)


async def public(tx: Transaction, *, after: int, upto: int, limit: int) -> list[Receipt]:
    """The receipts of all rooms that last changed in ``(after, upto]``, private ones left out."""
    return RECORDS.all(await tx.all(_PUBLIC, after=after, upto=upto, limit=limit))


async def of_events(
    tx: Transaction, user_id: str, events: Mapping[str, Collection[str]], upto: int
) -> list[Receipt]:
    """A user's receipts in the rooms of ``events``, and everybody's for its events, private ones too."""
    ids = [event_id for of_room in events.values() for event_id in of_room]
    rows = await tx.all(_OF_EVENTS, room_ids=list(events), user_id=user_id, event_ids=ids, upto=upto)
    found = RECORDS.all(rows)
    return [item for item in found if item.user_id == user_id or item.event_id in events[item.room_id]]


async def forget_oldest_in_threads(tx: WriteTransaction, room_id: str, user_id: str, *, keep: int) -> None:
    """Forget a user's receipts in a room's threads but for the ``keep`` that moved last."""
    await _IN_THREADS.forget(tx, keep=keep, room_id=room_id, user_id=user_id)


async def marks(tx: Transaction, user_id: str, room_ids: Collection[str]) -> dict[str, dict[str, int]]:
    """Room → thread → the position of the event up to which the user has read, by either receipt."""
    found: dict[str, dict[str, int]] = {}
    for room_id, thread_id, position in await tx.all(_MARKS, user_id=user_id, room_ids=list(room_ids)):
        found.setdefault(room_id, {})[thread_id] = position
    return found


async def put_checkpoint(tx: WriteTransaction, user_id: str, room_id: str, state: bytes) -> None:
    """Store how far counting has got."""
    await tx.run(_PUT_CHECKPOINT, user_id=user_id, room_id=room_id, state=state)


async def checkpoints(tx: Transaction, user_id: str, room_ids: Collection[str]) -> dict[str, bytes]:
    """The checkpoints that there are, by room."""
    return {row[0]: row[1] for row in await tx.all(_CHECKPOINTS, user_id=user_id, room_ids=list(room_ids))}
