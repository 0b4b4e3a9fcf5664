"""In which room each user is sent notices."""

from __future__ import annotations

from sqlalchemy import bindparam, select

from palpo.core.identifiers import RoomId
from palpo.db.statements import Statement, upsert
from palpo.db.tables.server_notices import server_notice_rooms
from palpo.db.transaction import Transaction, WriteTransaction

n = server_notice_rooms.c
_FIND = Statement(select(n.room_id).where(n.user_id == bindparam("user")))
_ADD = upsert(server_notice_rooms, key=["user_id"], update=())


async def room_of(tx: Transaction, user_id: str) -> RoomId | None:
    """The user's notices room; None where there is none yet."""
    found: RoomId | None = await tx.value(_FIND, user=user_id)
    return found


async def settle(tx: WriteTransaction, user_id: str, room_id: str) -> RoomId:
    """Make ``room_id`` the user's notices room unless there is one; the one that it is."""
    await tx.run(_ADD, user_id=user_id, room_id=room_id)
    return RoomId(await tx.value(_FIND, user=user_id))
