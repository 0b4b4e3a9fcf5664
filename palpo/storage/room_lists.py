"""What administrators are told of many rooms, or of one."""

from __future__ import annotations

from collections.abc import Collection

from sqlalchemy import bindparam, func, select

from palpo.core.membership import JOIN
from palpo.db.statements import Statement, in_list
from palpo.db.tables.accounts import devices, users
from palpo.db.tables.directory import published_rooms
from palpo.db.tables.rooms import memberships
from palpo.db.transaction import Transaction

m, p = memberships.c, published_rooms.c
_LOCAL_COUNTS = Statement(
    select(m.room_id, func.count())
    .join(users, users.c.user_id == m.user_id)
    .where(in_list(m.room_id, "room_ids"), m.membership == JOIN)
    .group_by(m.room_id)
)
_LISTED = Statement(
    select(p.room_id).where(in_list(p.room_id, "room_ids"), p.network_id == "", p.listed == 1)
)
_DEVICES = Statement(
    select(func.count())
    .select_from(memberships.join(devices, devices.c.user_id == m.user_id))
    .where(m.room_id == bindparam("room_id"), m.membership == JOIN)
)
_REMEMBERED = Statement(
    select(m.user_id)
    .join(users, users.c.user_id == m.user_id)
    .where(m.room_id == bindparam("room_id"), m.forgotten == 0)
    .limit(1)
)


async def local_counts(tx: Transaction, room_ids: Collection[str]) -> dict[str, int]:
    """How many users of this server are in each room; rooms that nobody is in are left out."""
    return {row[0]: row[1] for row in await tx.all(_LOCAL_COUNTS, room_ids=list(room_ids))}


async def listed(tx: Transaction, room_ids: Collection[str]) -> set[str]:
    """Those of the rooms that the directory lists."""
    return {row[0] for row in await tx.all(_LISTED, room_ids=list(room_ids))}


async def device_count(tx: Transaction, room_id: str) -> int:
    """How many devices users have who are in a room."""
    return int(await tx.value(_DEVICES, room_id=room_id))


async def is_forgotten(tx: Transaction, room_id: str) -> bool:
    """Whether no user of this server remembers a room."""
    return await tx.value(_REMEMBERED, room_id=room_id) is None
