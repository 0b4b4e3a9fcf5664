"""Rooms that users of this server cannot join."""

from __future__ import annotations

from dataclasses import dataclass

from sqlalchemy import bindparam, delete, select

from palpo.db.statements import Statement, upsert
from palpo.db.tables.rooms import blocked_rooms
from palpo.db.transaction import Transaction, WriteTransaction
from palpo.storage.records import Records
from palpo.streams import topics

b = blocked_rooms.c


@dataclass(frozen=True, slots=True, kw_only=True)
class BlockedRoom:
    """A room, and who has blocked it."""

    room_id: str
    user_id: str
    blocked_ts: int
    """Milliseconds since the Unix epoch."""


_RECORDS = Records(BlockedRoom, blocked_rooms)
_GET = Statement(select(*_RECORDS.columns).where(b.room_id == bindparam("room_id")))
_PUT = upsert(blocked_rooms, key=["room_id"])
_ADD = upsert(blocked_rooms, key=["room_id"], update=())
_DELETE = Statement(delete(blocked_rooms).where(b.room_id == bindparam("room")))
_DELETE_OF = Statement(
    delete(blocked_rooms).where(b.room_id == bindparam("room"), b.user_id == bindparam("by"))
)


async def get(tx: Transaction, room_id: str) -> BlockedRoom | None:
    """The room, if it is blocked."""
    return _RECORDS.one(await tx.one(_GET, room_id=room_id))


async def put(tx: WriteTransaction, blocked: BlockedRoom) -> None:
    """Block a room, whoever has blocked it before."""
    await tx.many(_PUT, [_RECORDS.values(blocked)])
    tx.notify(topics.BLOCKED_ROOMS, blocked.room_id)


async def add(tx: WriteTransaction, blocked: BlockedRoom) -> None:
    """Block a room, unless it is blocked."""
    await tx.many(_ADD, [_RECORDS.values(blocked)])
    tx.notify(topics.BLOCKED_ROOMS, blocked.room_id)


async def remove(tx: WriteTransaction, room_id: str, *, by: str | None = None) -> None:
    """Block a room no longer; with ``by``, only if it is that which has blocked it."""
    if by is None:
        await tx.run(_DELETE, room=room_id)
    else:
        await tx.run(_DELETE_OF, room=room_id, by=by)
    tx.notify(topics.BLOCKED_ROOMS, room_id)
