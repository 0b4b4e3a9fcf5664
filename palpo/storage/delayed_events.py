"""Events that are sent later (MSC4140)."""

from __future__ import annotations

from dataclasses import asdict, dataclass

from sqlalchemy import bindparam, delete, func, select, update

from palpo.db.statements import Statement, insert_row
from palpo.db.tables.delayed_events import delayed_events
from palpo.db.transaction import Row, Transaction, WriteTransaction

d = delayed_events.c
TOPIC = "delayed_events"
"""Notified when something is scheduled."""


@dataclass(frozen=True, slots=True, kw_only=True)
class DelayedEvent:
    """An event that is sent at its time; times are milliseconds since the Unix epoch."""

    delay_id: str
    user_id: str
    device_id: str | None
    room_id: str
    type: str
    state_key: str | None
    content: bytes
    """A JSON object."""
    delay_ms: int
    running_since_ts: int
    send_ts: int
    replaces: str | None
    """The state event in whose place it was meant to come."""
    transaction_hash: bytes | None
    finished_ts: int | None = None


_COLUMNS = tuple(delayed_events.columns)
_WAITING = d.finished_ts.is_(None)
_INSERT = insert_row(delayed_events)
_GET = Statement(select(*_COLUMNS).where(d.delay_id == bindparam("delay_id"), _WAITING))
_BY_REQUEST = Statement(select(d.delay_id).where(d.transaction_hash == bindparam("hash")))
_OF_USER = Statement(
    select(*_COLUMNS).where(d.user_id == bindparam("user_id"), _WAITING).order_by(d.send_ts, d.delay_id)
)
_COUNT = Statement(select(func.count()).where(d.user_id == bindparam("user_id"), _WAITING))
_DUE = Statement(
    select(*_COLUMNS)
    .where(_WAITING, d.send_ts <= bindparam("now"))
    .order_by(d.send_ts, d.delay_id)
    .limit(bindparam("limit"))
)
_NEXT = Statement(select(func.min(d.send_ts)).where(_WAITING))
_FINISH = Statement(
    update(delayed_events).where(d.delay_id == bindparam("id"), _WAITING).values(finished_ts=bindparam("now"))
)
_RESTART = Statement(
    update(delayed_events)
    .where(d.delay_id == bindparam("id"), _WAITING)
    .values(running_since_ts=bindparam("now"), send_ts=bindparam("now") + d.delay_ms)
)
_SWEEP = Statement(delete(delayed_events).where(d.finished_ts < bindparam("before")))


async def insert(tx: WriteTransaction, event: DelayedEvent) -> None:
    """Schedule an event."""
    await tx.run(_INSERT, **asdict(event))
    tx.notify(TOPIC)


async def get(tx: Transaction, delay_id: str) -> DelayedEvent | None:
    """One that is still to be sent."""
    row = await tx.one(_GET, delay_id=delay_id)
    return None if row is None else _delayed(row)


async def by_request(tx: Transaction, hash_: bytes) -> str | None:
    """The delay ID that the same request was given before."""
    found: str | None = await tx.value(_BY_REQUEST, hash=hash_)
    return found


async def of_user(tx: Transaction, user_id: str) -> list[DelayedEvent]:
    """A user's, in the order of their times."""
    return [_delayed(row) for row in await tx.all(_OF_USER, user_id=user_id)]


async def count(tx: Transaction, user_id: str) -> int:
    """How many a user has scheduled."""
    return int(await tx.value(_COUNT, user_id=user_id))


async def due(tx: Transaction, now_ms: int, limit: int) -> list[DelayedEvent]:
    """Those whose time has come, the earliest first."""
    return [_delayed(row) for row in await tx.all(_DUE, now=now_ms, limit=limit)]


async def next_ts(tx: Transaction) -> int | None:
    """When the next one is due."""
    found: int | None = await tx.value(_NEXT)
    return found


async def finish(tx: WriteTransaction, delay_id: str, now_ms: int) -> bool:
    """Be done with one; False where that was so already."""
    return await tx.run(_FINISH, id=delay_id, now=now_ms) > 0


async def restart(tx: WriteTransaction, delay_id: str, now_ms: int) -> bool:
    """Start one's time anew; False where there is none to start."""
    changed = await tx.run(_RESTART, id=delay_id, now=now_ms) > 0
    tx.notify(TOPIC)
    return changed


async def sweep(tx: WriteTransaction, before_ts: int) -> None:
    """Forget those that were done with before a time."""
    await tx.run(_SWEEP, before=before_ts)


def _delayed(row: Row) -> DelayedEvent:
    return DelayedEvent(**{column.name: value for column, value in zip(_COLUMNS, row, strict=True)})
