"""Events that are sent later (MSC4140)."""

from __future__ import annotations

from sqlalchemy import bindparam, delete, func, select, update

from palpo.core.records.delayed_events import DelayedEvent
from palpo.db.statements import Statement, insert_row
from palpo.db.tables.delayed_events import delayed_events
from palpo.db.transaction import Transaction, WriteTransaction
from palpo.storage.records import Records
from palpo.storage.surplus import Surplus
from palpo.streams import topics

d = delayed_events.c


_RECORDS = Records(DelayedEvent, delayed_events)
_WAITING = d.finished_ts.is_(None)
_USER = d.user_id == bindparam("user_id")
_THIS = d.delay_id == bindparam("id")
_INSERT = insert_row(delayed_events)
_GET = Statement(select(*_RECORDS.columns).where(d.delay_id == bindparam("delay_id")))
_BY_REQUEST = Statement(select(d.delay_id).where(d.transaction_hash == bindparam("hash")))
_OF_USER = Statement(select(*_RECORDS.columns).where(_USER, _WAITING).order_by(d.send_ts, d.delay_id))
_COUNT = Statement(select(func.count(), func.min(d.send_ts)).where(_USER, _WAITING))
_DUE = Statement(
    select(*_RECORDS.columns)
    .where(_WAITING, d.send_ts <= bindparam("now"))
    .order_by(d.send_ts, d.delay_id)
    .limit(bindparam("limit"))
)
_NEXT = Statement(select(func.min(d.send_ts)).where(_WAITING))
_FINISH = Statement(
    update(delayed_events)
    .where(_THIS, _WAITING)
    .values(finished_ts=bindparam("now"), event_id=bindparam("made"), error=bindparam("why"))
)
_RESTART = Statement(
    update(delayed_events)
    .where(_THIS, _WAITING)
    .values(scheduled_ts=bindparam("now"), send_ts=bindparam("now") + d.delay_ms)
)
_SWEEP = Statement(delete(delayed_events).where(d.finished_ts < bindparam("before")))
_FINISHED = Surplus(delayed_events, d.finished_ts, _USER, d.finished_ts.is_not(None))


async def insert(tx: WriteTransaction, event: DelayedEvent) -> None:
    """Schedule an event. Raises UniqueViolation where the same request has done so."""
    await tx.run(_INSERT, **_RECORDS.values(event))
    tx.notify(topics.DELAYED_EVENTS, topics.ONLY)


async def get(tx: Transaction, delay_id: str) -> DelayedEvent | None:
    """One, waiting or final."""
    return _RECORDS.one(await tx.one(_GET, delay_id=delay_id))


async def by_request(tx: Transaction, hash_: bytes) -> str | None:
    """The delay ID that the same request was given before."""
    found: str | None = await tx.value(_BY_REQUEST, hash=hash_)
    return found


async def of_user(tx: Transaction, user_id: str) -> list[DelayedEvent]:
    """A user's that wait, in the order of their times."""
    return _RECORDS.all(await tx.all(_OF_USER, user_id=user_id))


async def count(tx: Transaction, user_id: str) -> tuple[int, int | None]:
    """How many of a user's wait, and when the next of them is due."""
    row = await tx.one(_COUNT, user_id=user_id)
    assert row is not None
    return int(row[0]), row[1]


async def due(tx: Transaction, now_ms: int, limit: int) -> list[DelayedEvent]:
    """Those whose time has come, the earliest first."""
    return _RECORDS.all(await tx.all(_DUE, now=now_ms, limit=limit))


async def next_ts(tx: Transaction) -> int | None:
    """When the next one is due."""
    found: int | None = await tx.value(_NEXT)
    return found


async def finish(
    tx: WriteTransaction,
    delay_id: str,
    now_ms: int,
    *,
    event_id: str | None = None,
    error: bytes | None = None,
) -> bool:
    """Be done with one that waits: sent, failed, or neither: cancelled. False where there is none."""
    return await tx.run(_FINISH, id=delay_id, now=now_ms, made=event_id, why=error) > 0


async def restart(tx: WriteTransaction, delay_id: str, now_ms: int) -> bool:
    """Start one's time anew; False where there is none that waits."""
    changed = await tx.run(_RESTART, id=delay_id, now=now_ms) > 0
    tx.notify(topics.DELAYED_EVENTS, topics.ONLY)
    return changed


async def sweep(tx: WriteTransaction, before_ts: int) -> None:
    """Forget those that were final before a time."""
    await tx.run(_SWEEP, before=before_ts)


async def trim(tx: WriteTransaction, user_id: str, keep: int) -> None:
    """Forget a user's final ones but for about the last ``keep``."""
    await _FINISHED.forget(tx, keep=keep, user_id=user_id)
