"""What sliding sync's connections have been sent."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from hashlib import blake2b

import msgspec
from sqlalchemy import bindparam, delete, select, update

from palpo.db.statements import Statement, in_list, insert_row, upsert
from palpo.db.tables.sliding_sync import sliding_connections, sliding_rooms
from palpo.db.transaction import Transaction, WriteTransaction
from palpo.storage.records import Records

c = sliding_connections.c
r = sliding_rooms.c


class RoomSent(msgspec.Struct, frozen=True, array_like=True):
    """What a connection has been sent of a room; all of it is as of the newest position it knows."""

    membership: str
    """The user's, as the client knows it."""
    upto: int | None
    """None while the room is being followed; else the position up to which it was."""
    limit: int
    """How many of the newest events the client has without a gap."""
    config: int
    """Which state is being sent: an index into the connection's configurations."""
    extensions: int = 0
    """Bits of the extensions that are being sent."""
    direct: bool = False


OF_CONNECTION = ""
"""Stands for the connection itself among its rooms: which extensions it has that are not of rooms."""


def connection_key(user_id: str, device_id: str | None, conn_id: str) -> bytes:
    """The 16 bytes that stand for a connection."""
    identity = msgspec.json.encode([user_id, device_id or "", conn_id])
    return blake2b(identity, digest_size=16).digest()


@dataclass(frozen=True, slots=True, kw_only=True)
class ConnectionRow:
    """A connection; ``configs`` is JSON, times are milliseconds since the Unix epoch."""

    connection: bytes
    user_id: str
    device_id: str
    tag: str
    confirmed: int
    offered: int
    configs: bytes
    last_used_ts: int


@dataclass(frozen=True, slots=True, kw_only=True)
class RoomRow:
    """What a connection knows of a room as of a generation, and what it knew before."""

    room_id: str
    generation: int
    sent: RoomSent | None
    before: RoomSent | None


_RECORDS = Records(ConnectionRow, sliding_connections)
_FIND = Statement(select(*_RECORDS.columns).where(c.connection == bindparam("connection")))
_ROOMS = Statement(
    select(r.room_id, r.generation, r.sent, r.before).where(r.connection == bindparam("connection"))
)
_INSERT = insert_row(sliding_connections)
_OFFER = Statement(
    update(sliding_connections)
    .where(c.connection == bindparam("key"), c.tag == bindparam("known_tag"), c.offered == bindparam("known"))
    .values({name: bindparam(name) for name in ("confirmed", "offered", "configs", "last_used_ts")})
)
_PUT_ROOM = upsert(sliding_rooms, key=["connection", "room_id"])
_OF_DEVICE = Statement(
    select(c.connection)
    .where(c.user_id == bindparam("user_id"), c.device_id == bindparam("device_id"))
    .order_by(c.last_used_ts.desc())
)
_IDLE_OF_USER = Statement(
    select(c.connection)
    .where(c.user_id == bindparam("user_id"))
    .order_by(c.last_used_ts.desc())
    .limit(bindparam("limit"))
    .offset(bindparam("keep"))
)
_DELETE = Statement(delete(sliding_connections).where(in_list(c.connection, "connections")))
_DELETE_ROOMS = Statement(delete(sliding_rooms).where(in_list(r.connection, "connections")))
_ENCODER = msgspec.json.Encoder()
_DECODER = msgspec.json.Decoder(RoomSent)


async def find(tx: Transaction, connection: bytes) -> ConnectionRow | None:
    """A connection, None where it is not known (any more)."""
    return _RECORDS.one(await tx.one(_FIND, connection=connection))


async def rooms(tx: Transaction, connection: bytes) -> list[RoomRow]:
    """Everything that a connection knows."""
    rows = await tx.all(_ROOMS, connection=connection)
    return [
        RoomRow(room_id=row[0], generation=row[1], sent=_decode(row[2]), before=_decode(row[3]))
        for row in rows
    ]


async def begin(tx: WriteTransaction, row: ConnectionRow, *, keep: int, keep_of_user: int) -> None:
    """Store a new connection over the one before it.

    The device keeps its ``keep`` last ones, and the user ``keep_of_user`` of those of all devices.
    """
    device = await tx.all(_OF_DEVICE, user_id=row.user_id, device_id=row.device_id)
    known = [bytes(key) for (key,) in device]
    others = [key for key in known if key != row.connection]
    await remove(tx, [key for key in known if key == row.connection or key in others[keep - 1 :]])
    idle = await tx.all(_IDLE_OF_USER, user_id=row.user_id, keep=keep_of_user - 1, limit=keep_of_user)
    await remove(tx, [bytes(key) for (key,) in idle])
    await tx.run(_INSERT, **_RECORDS.values(row))


async def offer(tx: WriteTransaction, row: ConnectionRow) -> bool:
    """Move a connection on to the generation after its newest; False where it is not there (any more)."""
    moved = await tx.run(
        _OFFER,
        key=row.connection,
        known_tag=row.tag,
        known=row.offered - 1,
        confirmed=row.confirmed,
        offered=row.offered,
        configs=row.configs,
        last_used_ts=row.last_used_ts,
    )
    return moved > 0


async def put_rooms(
    tx: WriteTransaction,
    connection: bytes,
    generation: int,
    sent: Mapping[str, tuple[RoomSent | None, RoomSent | None]],
) -> None:
    """Store, by room, what a connection knows as of ``generation`` and what it knew before."""
    await tx.many(
        _PUT_ROOM,
        [
            {
                "connection": connection,
                "room_id": room_id,
                "generation": generation,
                "sent": _encode(now),
                "before": _encode(before),
            }
            for room_id, (now, before) in sent.items()
        ],
    )


async def remove(tx: WriteTransaction, connections: list[bytes]) -> None:
    """Forget connections."""
    if not connections:
        return
    await tx.run(_DELETE_ROOMS, connections=connections)
    await tx.run(_DELETE, connections=connections)


def _encode(sent: RoomSent | None) -> bytes | None:
    return None if sent is None else _ENCODER.encode(sent)


def _decode(stored: bytes | None) -> RoomSent | None:
    return None if stored is None else _DECODER.decode(stored)
