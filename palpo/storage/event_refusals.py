"""Why events of other servers were not accepted, for operators."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass, replace

from sqlalchemy import bindparam, delete, func, select

from palpo.core.identifiers import ServerName
from palpo.core.records.events import Check, Refusal
from palpo.db.statements import Statement, in_list, upsert
from palpo.db.tables.inbound import event_refusals
from palpo.db.transaction import Row, Transaction, WriteTransaction
from palpo.storage.events import NewEvent, Rejudged
from palpo.storage.records import Records

MAX_REASON = 500
"""Characters."""
MAX_UNSTORED = 10_000
"""Of which events that are not stored it is known: others make up as many as they like."""


@dataclass(frozen=True, slots=True, kw_only=True)
class EventRefusal:
    """Why one was not accepted when it was looked at last."""

    event_id: str
    room_id: str
    origin: ServerName | None
    """Who has sent it, or was asked for it, where that is known."""
    refused_by: Check
    reason: str
    refused_ts: int
    """Milliseconds since the Unix epoch."""
    is_stored: bool = True


f = event_refusals.c
_RECORDS = Records(EventRefusal, event_refusals)
_PUT = upsert(event_refusals, key=["event_id"], update=["refused_by", "reason", "refused_ts", "is_stored"])
_PUT_NEW = upsert(event_refusals, key=["event_id"], update=())
_FIND = Statement(select(*_RECORDS.columns).where(in_list(f.event_id, "event_ids")))
_UNSTORED = f.is_stored == 0
_COUNT = Statement(select(func.count()).where(_UNSTORED))
_OLDEST = Statement(
    select(f.event_id).where(_UNSTORED).order_by(f.refused_ts, f.event_id).limit(bindparam("limit"))
)
_EXPIRED = Statement(
    select(f.event_id)
    .where(_UNSTORED, f.refused_ts < bindparam("before"))
    .order_by(f.refused_ts)
    .limit(bindparam("limit"))
)
_FORGET = Statement(delete(event_refusals).where(in_list(f.event_id, "event_ids")))


async def note(
    tx: WriteTransaction, new: Iterable[NewEvent], rejudged: Iterable[Rejudged], now_ms: int
) -> None:
    """Note why those of some events that are being stored, or judged again, were not accepted."""
    found = [
        refused(item.event.event_id, item.event.room_id, item.refusal, now_ms, item.told_by)
        for item in new
        if item.refusal is not None
    ]
    found += [
        refused(item.event_id, item.room_id, item.refusal, now_ms)
        for item in rejudged
        if item.refusal is not None
    ]
    if found:
        await tx.many(_PUT, [_RECORDS.values(item) for item in found])


async def note_unstored(tx: WriteTransaction, refusals: Iterable[EventRefusal]) -> None:
    """Note why events were not even stored; the oldest such notes go for it, and no other."""
    await tx.many(_PUT_NEW, [_RECORDS.values(replace(item, is_stored=False)) for item in refusals])
    surplus = await tx.value(_COUNT) - MAX_UNSTORED
    if surplus > 0:
        await _remove(tx, await tx.all(_OLDEST, limit=surplus))


async def find(tx: Transaction, event_ids: Iterable[str]) -> dict[str, EventRefusal]:
    """What is noted of events, by their ID."""
    return {item.event_id: item for item in _RECORDS.all(await tx.all(_FIND, event_ids=list(event_ids)))}


async def forget(tx: WriteTransaction, *, before_ts: int, limit: int) -> int:
    """Forget up to ``limit`` notes of before a time on events that are not stored; how many."""
    return await _remove(tx, await tx.all(_EXPIRED, before=before_ts, limit=limit))


async def _remove(tx: WriteTransaction, rows: Sequence[Row]) -> int:
    if rows:
        await tx.run(_FORGET, event_ids=[row[0] for row in rows])
    return len(rows)


def refused(
    event_id: str, room_id: str, refusal: Refusal, now_ms: int, origin: ServerName | None = None
) -> EventRefusal:
    """The note of a refusal."""
    return EventRefusal(
        event_id=event_id,
        room_id=room_id,
        origin=origin,
        refused_by=refusal.refused_by,
        reason=shortened(refusal.reason),
        refused_ts=now_ms,
    )


def shortened(text: str) -> str:
    """As much of ``text``, which others may have written, as is stored."""
    return text[:MAX_REASON].replace("\0", "\ufffd")
