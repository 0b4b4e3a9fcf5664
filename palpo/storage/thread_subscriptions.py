"""Which threads users follow (MSC4306)."""

from __future__ import annotations

from dataclasses import dataclass

from sqlalchemy import bindparam, select

from palpo.db.statements import Statement, upsert
from palpo.db.tables.thread_subscriptions import thread_subscriptions
from palpo.db.transaction import Transaction, WriteTransaction
from palpo.storage.records import Records
from palpo.storage.windows import newest
from palpo.streams import topics

t = thread_subscriptions.c


@dataclass(frozen=True, slots=True, kw_only=True)
class ThreadSubscription:
    """One user's relation to one thread."""

    user_id: str
    room_id: str
    root_id: str
    subscribed: bool
    automatic: bool
    """Whether the client subscribed by itself."""
    position: int
    """When it last changed."""


_RECORDS = Records(ThreadSubscription, thread_subscriptions)
_PUT = upsert(thread_subscriptions, key=["user_id", "room_id", "root_id"])
_GET = Statement(
    select(*_RECORDS.columns).where(
        t.user_id == bindparam("user_id"),
        t.room_id == bindparam("room_id"),
        t.root_id == bindparam("root_id"),
    )
)
_CHANGED = newest(select(*_RECORDS.columns).where(t.user_id == bindparam("user_id")), t.position)
_FOLLOWERS = Statement(
    select(t.user_id).where(
        t.root_id == bindparam("root_id"), t.room_id == bindparam("room_id"), t.subscribed == 1
    )
)


async def put(tx: WriteTransaction, subscription: ThreadSubscription) -> None:
    """Store a subscription over the one before it, and tell the user's devices."""
    await tx.run(_PUT, **_RECORDS.values(subscription))
    tx.notify(topics.USER, subscription.user_id)
    tx.notify(topics.THREAD_SUBSCRIPTIONS, subscription.user_id)
    tx.notify(topics.THREAD_FOLLOWERS, subscription.root_id)


async def get(tx: Transaction, user_id: str, room_id: str, root_id: str) -> ThreadSubscription | None:
    """What is known of a user and a thread."""
    return _RECORDS.one(await tx.one(_GET, user_id=user_id, room_id=room_id, root_id=root_id))


async def followers(tx: Transaction, room_id: str, root_id: str) -> frozenset[str]:
    """The users who are subscribed to a thread."""
    return frozenset(row[0] for row in await tx.all(_FOLLOWERS, room_id=room_id, root_id=root_id))


async def changed(
    tx: Transaction, user_id: str, *, after: int, upto: int, limit: int
) -> list[ThreadSubscription]:
    """A user's that last changed at a position in ``(after, upto]``, newest first."""
    rows = await tx.all(_CHANGED, user_id=user_id, after=after, upto=upto, limit=limit)
    return _RECORDS.all(rows)
