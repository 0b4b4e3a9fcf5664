"""Rooms and their heads."""

from __future__ import annotations

from collections.abc import Iterable, Sequence

import msgspec
import orjson
from sqlalchemy import bindparam, select

from palpo.core.identifiers import RoomId
from palpo.db.statements import Statement, in_list, insert_row, update_row, upsert
from palpo.db.tables.rooms import rooms
from palpo.db.transaction import Transaction, WriteTransaction
from palpo.storage.records import Records


class HeadRow(msgspec.Struct, frozen=True, kw_only=True):
    """Where a room's history ends.

    A room of which only events from elsewhere are here has not begun: it has no extremities.
    """

    room_id: RoomId
    version: str
    create_event_id: str
    head: int
    """Counts the writes to the room."""
    extremities: tuple[str, ...]
    depth: int
    """The greatest of the extremities'."""
    place: int = 0
    """The last one in the room's timeline."""
    state_root: bytes
    position: int = 0
    """The last event's."""
    floor: int = 0
    """The lowest position of an event: those of the past have positions below 0."""
    newest_outgoing: str | None = None
    """The last event that this server tells others of."""
    rerooted: int = 0
    """The last position at which the current state changed without an event of the timeline."""
    whole_from: int = 0
    """The position from which on all of its state is here; below 0 while members are missing (MSC3902)."""

    @property
    def is_partial(self) -> bool:
        """Whether members are missing in the state."""
        return self.whole_from < 0

    def is_whole_at(self, position: int) -> bool:
        """Whether none are missing in what clients are told that stand at a position of the stream."""
        return 0 <= self.whole_from <= position


_RECORDS = Records(HeadRow, rooms)
_LOAD = Statement(select(*_RECORDS.columns).where(rooms.c.room_id == bindparam("room_id")))
_LOAD_MANY = Statement(select(*_RECORDS.columns).where(in_list(rooms.c.room_id, "room_ids")))
_HEADS = Statement(select(rooms.c.room_id, rooms.c.head).where(in_list(rooms.c.room_id, "room_ids")))
_POSITIONS = Statement(select(rooms.c.room_id, rooms.c.position).where(in_list(rooms.c.room_id, "room_ids")))
_AFTER = Statement(
    select(rooms.c.room_id, rooms.c.state_root)
    .where(rooms.c.room_id > bindparam("after"))
    .order_by(rooms.c.room_id)
    .limit(bindparam("limit"))
)
_INSERT = insert_row(rooms)
_ADD = upsert(rooms, key=["room_id"], update=())
_MOVE = update_row(
    rooms,
    key="room_id",
    columns=[
        "head",
        "extremities",
        "depth",
        "place",
        "state_root",
        "position",
        "floor",
        "newest_outgoing",
        "rerooted",
        "whole_from",
    ],
)


async def load_head(tx: Transaction, room_id: str) -> HeadRow | None:
    """A room's head, None where the room is not known."""
    return _RECORDS.one(await tx.one(_LOAD, room_id=room_id))


async def load_heads(tx: Transaction, room_ids: Iterable[str]) -> list[HeadRow]:
    """The heads of the rooms that are known, in no order."""
    return _RECORDS.all(await tx.all(_LOAD_MANY, room_ids=list(room_ids)))


async def roots_after(tx: Transaction, room_id: str, limit: int) -> dict[str, bytes]:
    """The next rooms by ID, with the root of each one's current state."""
    return {row[0]: bytes(row[1]) for row in await tx.all(_AFTER, after=room_id, limit=limit)}


async def heads(tx: Transaction, room_ids: Iterable[str]) -> dict[str, int]:
    """How often each room has been written to."""
    return {row[0]: row[1] for row in await tx.all(_HEADS, room_ids=list(room_ids))}


async def last_positions(tx: Transaction, room_ids: Iterable[str]) -> dict[str, int]:
    """The position of each room's last event."""
    return {row[0]: row[1] for row in await tx.all(_POSITIONS, room_ids=list(room_ids))}


async def insert_heads(tx: WriteTransaction, new: Sequence[HeadRow]) -> None:
    """Store new rooms. Raises UniqueViolation where one is there already."""
    await tx.many(_INSERT, [_RECORDS.values(head) for head in new])


async def add(tx: WriteTransaction, room: HeadRow) -> None:
    """Store a room that has not begun here, unless it is there."""
    await tx.many(_ADD, [_RECORDS.values(room)])


async def move_heads(tx: WriteTransaction, moved: Sequence[HeadRow]) -> None:
    """Store where rooms end now; the caller has compared ``heads`` under the stream position's lock."""
    await tx.many(_MOVE, [_moving(head) for head in moved])


def _moving(head: HeadRow) -> dict[str, object]:
    return {
        "id": head.room_id,
        "head": head.head,
        "extremities": orjson.dumps(head.extremities),
        "depth": head.depth,
        "place": head.place,
        "state_root": head.state_root,
        "position": head.position,
        "floor": head.floor,
        "newest_outgoing": head.newest_outgoing,
        "rerooted": head.rerooted,
        "whole_from": head.whole_from,
    }
