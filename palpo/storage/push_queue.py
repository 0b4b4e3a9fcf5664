"""What pushers have yet to deliver, and the streams that it is made of."""

from __future__ import annotations

from collections.abc import Collection, Sequence

import msgspec
from sqlalchemy import bindparam, delete, func, or_, select, update

from palpo.core.identifiers import UserId
from palpo.core.membership import INVITE, JOIN
from palpo.core.records.events import EventStatus
from palpo.db.statements import Statement, in_list, upsert
from palpo.db.tables.push import push_queue, pusher_states, pushers
from palpo.db.tables.receipts import receipts
from palpo.db.tables.rooms import events, memberships
from palpo.db.transaction import Transaction, WriteTransaction
from palpo.storage.records import Records
from palpo.storage.surplus import Surplus
from palpo.storage.windows import oldest

q = push_queue.c
s = pusher_states.c
e = events.c

KEPT = 200
"""Rows of one pusher that are kept; the older ones go."""


class Waiting(msgspec.Struct, frozen=True, kw_only=True):
    """Something to deliver; without an event, the number of unread messages."""

    pusher_hash: bytes
    position: int
    event_id: str | None
    actions: bytes
    created_ts: int


class State(msgspec.Struct, frozen=True, kw_only=True):
    """How a pusher's delivery goes. Times are milliseconds since the Unix epoch."""

    retry_ts: int = 0
    failures: int = 0
    badge: int = -1


_ANY_PUSHER = Statement(select(pushers.c.user_id).limit(1))
_EVENTS = oldest(
    select(e.position, e.event_id, e.room_id).where(e.status == EventStatus.ACCEPTED.value), e.position
)
_READERS = oldest(
    select(receipts.c.position, receipts.c.user_id)
    .distinct()
    .join(pushers, pushers.c.user_id == receipts.c.user_id),
    receipts.c.position,
)
_LISTENERS = Statement(
    select(memberships.c.room_id, memberships.c.user_id)
    .distinct()
    .join(pushers, pushers.c.user_id == memberships.c.user_id)
    .where(
        in_list(memberships.c.room_id, "room_ids"),
        or_(memberships.c.membership == JOIN, memberships.c.membership == INVITE),
    )
)
_WAITING = Records(Waiting, push_queue)
_STATES = Records(State, pusher_states)
_PUSHER = q.pusher_hash == bindparam("pusher")
_STATE_OF = s.pusher_hash == bindparam("pusher")
_PUT = upsert(push_queue, key=["pusher_hash", "position"], update=())
_PUT_STATE = upsert(pusher_states, key=["pusher_hash"])
_OF_PUSHER = Statement(
    select(*_WAITING.columns).where(_PUSHER).order_by(q.position).limit(bindparam("limit"))
)
_SURPLUS = Surplus(push_queue, q.position, _PUSHER)
_DELETE_UPTO = Statement(delete(push_queue).where(_PUSHER, q.position <= bindparam("upto")))
_DELETE = Statement(delete(push_queue).where(_PUSHER))
_DELETE_STATE = Statement(delete(pusher_states).where(_STATE_OF))
_AT_ONCE = Statement(update(pusher_states).where(_STATE_OF).values(retry_ts=0, failures=0))
_STATE = Statement(select(*_STATES.columns).where(_STATE_OF))
_DUE = Statement(
    select(q.pusher_hash, pushers.c.user_id)
    .distinct()
    .select_from(
        push_queue.outerjoin(pusher_states, s.pusher_hash == q.pusher_hash).outerjoin(
            pushers, pushers.c.pusher_hash == q.pusher_hash
        )
    )
    .where(or_(s.retry_ts.is_(None), s.retry_ts <= bindparam("now")))
    .limit(bindparam("limit"))
)
_NEXT = Statement(
    select(func.min(s.retry_ts))
    .join(push_queue, q.pusher_hash == s.pusher_hash)
    .where(s.retry_ts > bindparam("now"))
)


async def any_pusher(tx: Transaction) -> bool:
    """Whether anybody has a pusher."""
    return await tx.one(_ANY_PUSHER) is not None


async def new_events(tx: Transaction, after: int, upto: int, limit: int) -> list[tuple[int, str, str]]:
    """``(position, event ID, room ID)`` of what came at a position in ``(after, upto]``, in order."""
    rows = await tx.all(_EVENTS, after=after, upto=upto, limit=limit)
    return [(row[0], row[1], row[2]) for row in rows]


async def readers(tx: Transaction, after: int, upto: int, limit: int) -> list[tuple[int, str]]:
    """``(position, user)`` of receipts in ``(after, upto]`` of users with pushers, in order."""
    return [(row[0], row[1]) for row in await tx.all(_READERS, after=after, upto=upto, limit=limit)]


async def listeners(tx: Transaction, room_ids: Collection[str]) -> dict[str, list[UserId]]:
    """Room → users with pushers who are in it, or invited to it."""
    found: dict[str, list[UserId]] = {}
    for room_id, user_id in await tx.all(_LISTENERS, room_ids=list(room_ids)):
        found.setdefault(room_id, []).append(user_id)
    return found


async def put(tx: WriteTransaction, rows: Sequence[Waiting]) -> None:
    """Add to the queues; what is there already stays, and of a queue that is too long the end."""
    await tx.many(_PUT, [_WAITING.values(row) for row in rows])
    for pusher in {row.pusher_hash for row in rows}:
        await _SURPLUS.forget(tx, keep=KEPT, pusher=pusher)


async def of_pusher(tx: Transaction, pusher: bytes, limit: int) -> list[Waiting]:
    """The first of what a pusher has to deliver."""
    return _WAITING.all(await tx.all(_OF_PUSHER, pusher=pusher, limit=limit))


async def delivered(tx: WriteTransaction, pusher: bytes, upto: int) -> None:
    """Take what a pusher had to deliver up to a position from its queue."""
    await tx.run(_DELETE_UPTO, pusher=pusher, upto=upto)


async def forget(tx: WriteTransaction, pusher: bytes) -> None:
    """Drop everything of a pusher that is gone."""
    await tx.run(_DELETE, pusher=pusher)
    await tx.run(_DELETE_STATE, pusher=pusher)


async def retry_at_once(tx: WriteTransaction, pusher: bytes) -> None:
    """Forget that delivery failed."""
    await tx.run(_AT_ONCE, pusher=pusher)


async def state(tx: Transaction, pusher: bytes) -> State | None:
    """How a pusher's delivery goes; None where it has never been tried."""
    return _STATES.one(await tx.one(_STATE, pusher=pusher))


async def put_state(tx: WriteTransaction, pusher: bytes, new: State) -> None:
    """Store how a pusher's delivery goes."""
    await tx.run(_PUT_STATE, pusher_hash=pusher, **_STATES.values(new))


async def due(tx: Transaction, now_ms: int, limit: int) -> dict[bytes, str | None]:
    """Pushers that have something to deliver and may, and their users: None for a pusher that is gone."""
    return {bytes(row[0]): row[1] for row in await tx.all(_DUE, now=now_ms, limit=limit)}


async def next_retry(tx: Transaction, now_ms: int) -> int | None:
    """When the next pusher that must wait may deliver; None where none must."""
    found: int | None = await tx.value(_NEXT, now=now_ms)
    return found
