"""The rooms that the directory lists."""

from __future__ import annotations

from collections.abc import Iterable

from sqlalchemy import bindparam, func, select

from palpo.core.membership import JOIN
from palpo.db.statements import Statement, in_list, upsert
from palpo.db.tables.directory import published_rooms
from palpo.db.tables.rooms import memberships, rooms
from palpo.db.transaction import Transaction, WriteTransaction
from palpo.streams import topics

p = published_rooms.c
m = memberships.c

_PUT = upsert(published_rooms, key=["room_id", "network_id"])
_LISTED = Statement(
    select(p.listed).where(p.room_id == bindparam("room_id"), p.network_id == bindparam("network_id"))
)
_ALL = Statement(
    select(rooms.c.room_id, rooms.c.state_root)
    .join(published_rooms, p.room_id == rooms.c.room_id)
    .where(p.network_id == bindparam("network_id"), p.listed == 1)
)
_EVERY_NETWORK = Statement(
    select(rooms.c.room_id, rooms.c.state_root)
    .distinct()
    .join(published_rooms, p.room_id == rooms.c.room_id)
    .where(p.listed == 1)
)
_JOINED = Statement(
    select(m.room_id, func.count())
    .where(in_list(m.room_id, "room_ids"), m.membership == JOIN)
    .group_by(m.room_id)
)


async def put(tx: WriteTransaction, room_id: str, *, network_id: str = "", listed: bool) -> None:
    """List a room in the directory, or do so no longer."""
    position = await tx.positions()
    await tx.run(_PUT, room_id=room_id, network_id=network_id, listed=int(listed), position=position)
    tx.notify(topics.DIRECTORY, topics.ONLY)


async def is_listed(tx: Transaction, room_id: str, *, network_id: str = "") -> bool:
    """Whether the directory lists a room."""
    return bool(await tx.value(_LISTED, room_id=room_id, network_id=network_id))


async def listed_rooms(tx: Transaction, network_id: str | None) -> dict[str, bytes]:
    """Every room of a network's list, or of all lists (None), with the root of its current state."""
    if network_id is None:
        rows = await tx.all(_EVERY_NETWORK)
    else:
        rows = await tx.all(_ALL, network_id=network_id)
    return {row[0]: row[1] for row in rows}


async def joined_counts(tx: Transaction, room_ids: Iterable[str]) -> dict[str, int]:
    """How many users are in each room; rooms that nobody is in are left out."""
    return {row[0]: row[1] for row in await tx.all(_JOINED, room_ids=list(room_ids))}
