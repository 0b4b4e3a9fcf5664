"""Room aliases of this server."""

from __future__ import annotations

from collections.abc import Collection
from dataclasses import dataclass

from sqlalchemy import bindparam, delete, select, update

from palpo.core.identifiers import RoomId
from palpo.db.statements import Statement, in_list, insert_row
from palpo.db.tables.directory import room_aliases
from palpo.db.transaction import Transaction, WriteTransaction
from palpo.storage.records import Records

c = room_aliases.c


@dataclass(frozen=True, slots=True, kw_only=True)
class AliasRow:
    """An alias; ``room_id`` is empty while its room is being made."""

    alias: str
    room_id: RoomId
    creator: str
    created_ts: int
    """Milliseconds since the Unix epoch."""


_RECORDS = Records(AliasRow, room_aliases)
_GET = Statement(select(*_RECORDS.columns).where(c.alias == bindparam("alias")))
_ROOMS = Statement(select(c.alias, c.room_id).where(in_list(c.alias, "aliases")))
_OF_ROOM = Statement(select(c.alias).where(c.room_id == bindparam("room_id")).order_by(c.alias))
_INSERT = insert_row(room_aliases)
_DELETE = Statement(delete(room_aliases).where(c.alias == bindparam("alias_key")))
_POINT = Statement(
    update(room_aliases).where(c.alias == bindparam("alias_key")).values(room_id=bindparam("room"))
)
_MOVE = Statement(
    update(room_aliases).where(c.room_id == bindparam("old_room")).values(room_id=bindparam("room"))
)


async def get(tx: Transaction, alias: str) -> AliasRow | None:
    """An alias, None where there is none."""
    return _RECORDS.one(await tx.one(_GET, alias=alias))


async def rooms_of(tx: Transaction, aliases: Collection[str]) -> dict[str, str]:
    """What aliases stand for, by alias; those that there are not are left out."""
    return {row[0]: row[1] for row in await tx.all(_ROOMS, aliases=list(aliases))}


async def of_room(tx: Transaction, room_id: str) -> list[str]:
    """The aliases of a room, in order."""
    return [row[0] for row in await tx.all(_OF_ROOM, room_id=room_id)]


async def insert(tx: WriteTransaction, new: AliasRow) -> None:
    """Store an alias. Raises UniqueViolation."""
    await tx.run(_INSERT, **_RECORDS.values(new))


async def delete_one(tx: WriteTransaction, alias: str) -> None:
    """Delete an alias."""
    await tx.run(_DELETE, alias_key=alias)


async def point(tx: WriteTransaction, alias: str, room_id: str) -> None:
    """Let an alias stand for ``room_id``."""
    await tx.run(_POINT, alias_key=alias, room=room_id)


async def move(tx: WriteTransaction, old_room: str, new_room: str) -> None:
    """Let every alias of ``old_room`` stand for ``new_room``."""
    await tx.run(_MOVE, old_room=old_room, room=new_room)
