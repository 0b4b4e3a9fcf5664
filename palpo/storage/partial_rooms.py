"""Rooms of whose state members are still missing (MSC3902)."""

from __future__ import annotations

from collections.abc import Collection
from dataclasses import dataclass

from sqlalchemy import bindparam, delete, select, update

from palpo.core.identifiers import RoomId, ServerName
from palpo.db.statements import Statement, in_list, upsert
from palpo.db.tables.room_servers import room_servers
from palpo.db.tables.rooms import partial_rooms, rooms
from palpo.db.transaction import Transaction, WriteTransaction
from palpo.storage.records import Records
from palpo.storage.windows import within
from palpo.streams import topics

p = partial_rooms.c
NEVER = 1 << 62
"""When the state of a room is asked for again that was given up: all users here have left it."""


@dataclass(frozen=True, slots=True, kw_only=True)
class PartialRoom:
    """A room, and from where on its state is only known in part."""

    room_id: RoomId
    event_id: str
    """The join with which that begins."""
    place: int
    position: int
    """Where the join stands in the room, and in the stream."""
    via: ServerName
    """The server that let the user in."""
    servers: tuple[str, ...]
    """Those in the room, as that server says."""
    tries: int = 0
    """How often the state was asked for in vain."""
    next_ts: int = 0
    """When it is asked for again, in milliseconds since the Unix epoch."""


_RECORDS = Records(PartialRoom, partial_rooms)
_PUT = upsert(partial_rooms, key=["room_id"])
_GET = Statement(select(*_RECORDS.columns).where(p.room_id == bindparam("room_id")))
_DUE = Statement(
    select(*_RECORDS.columns)
    .where(p.next_ts <= bindparam("now"))
    .order_by(p.next_ts)
    .limit(bindparam("limit"))
)
_LATER = Statement(
    update(partial_rooms)
    .where(p.room_id == bindparam("room"), p.event_id == bindparam("event"))
    .values(tries=bindparam("tries"), next_ts=bindparam("next_ts"))
)
_NOW = Statement(
    update(partial_rooms)
    .where(p.next_ts > bindparam("now"), p.next_ts < NEVER)
    .values(next_ts=bindparam("next_ts"))
)
_GIVE_UP = Statement(
    update(partial_rooms).where(p.room_id == bindparam("room")).values(next_ts=bindparam("next_ts"))
)
_DELETE = Statement(delete(partial_rooms).where(p.room_id == bindparam("room_id")))
_OF_SERVER = Statement(
    select(p.room_id)
    .join(room_servers, room_servers.c.room_id == p.room_id)
    .where(room_servers.c.server_name == bindparam("server_name"), room_servers.c.joined > 0)
    .limit(1)
)
_WHOLE_FROM = Statement(select(rooms.c.whole_from).where(rooms.c.room_id == bindparam("room_id")))
_COMPLETED = Statement(
    select(rooms.c.room_id).where(in_list(rooms.c.room_id, "room_ids"), within(rooms.c.whole_from))
)


async def put(tx: WriteTransaction, room: PartialRoom) -> None:
    """Note that members are missing in a room."""
    await tx.many(_PUT, [_RECORDS.values(room)])
    tx.notify(topics.PARTIAL_ROOMS, topics.ONLY)


async def get(tx: Transaction, room_id: str) -> PartialRoom | None:
    """What is noted of a room in which members are missing."""
    return _RECORDS.one(await tx.one(_GET, room_id=room_id))


async def due(tx: Transaction, *, now_ms: int, limit: int) -> list[PartialRoom]:
    """Rooms whose state is to be asked for by now, those first that were to be first."""
    return _RECORDS.all(await tx.all(_DUE, now=now_ms, limit=limit))


async def later(tx: WriteTransaction, room: PartialRoom) -> None:
    """Note when a room's state is asked for again."""
    await tx.run(_LATER, room=room.room_id, event=room.event_id, tries=room.tries, next_ts=room.next_ts)


async def hasten(tx: WriteTransaction, *, now_ms: int) -> None:
    """Have the state of every room be asked for by now that is not given up."""
    await tx.run(_NOW, now=now_ms, next_ts=now_ms)


async def give_up(tx: WriteTransaction, room_id: str) -> None:
    """Note that nobody asks for the members that are missing in a room."""
    await tx.run(_GIVE_UP, room=room_id, next_ts=NEVER)


async def remove(tx: WriteTransaction, room_id: str) -> None:
    """No members are missing in a room any more."""
    await tx.run(_DELETE, room_id=room_id)


async def has_server(tx: Transaction, server_name: str) -> bool:
    """Whether a server is in any such room."""
    return await tx.one(_OF_SERVER, server_name=server_name) is not None


async def was_partial(tx: Transaction, room_id: str, position: int) -> bool:
    """Whether members were missing in a room at a position of the stream."""
    whole_from = await tx.value(_WHOLE_FROM, room_id=room_id)
    return whole_from is not None and not 0 <= int(whole_from) <= position


async def completed(tx: Transaction, room_ids: Collection[str], *, after: int, upto: int) -> set[str]:
    """Those of the rooms that have become whole at a position in ``(after, upto]``."""
    if not room_ids:
        return set()
    rows = await tx.all(_COMPLETED, room_ids=list(room_ids), after=after, upto=upto)
    return {row[0] for row in rows}
