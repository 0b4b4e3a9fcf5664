"""What a user has done in rooms, read room by room: there is no index of events by their senders."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from sqlalchemy import bindparam, select

from palpo.core.identifiers import EventId, RoomId, UserId
from palpo.db.statements import Statement
from palpo.db.tables.rooms import events, memberships
from palpo.db.transaction import Transaction
from palpo.storage.records import Records

e = events.c
m = memberships.c


@dataclass(frozen=True, slots=True, kw_only=True)
class EventLine:
    """An event, without what it says."""

    event_id: EventId
    position: int
    type: str
    state_key: str | None
    sender: UserId
    origin_server_ts: int
    redacted_by: str | None


@dataclass(frozen=True, slots=True, kw_only=True)
class MembershipChange:
    """A membership event; ``pdu`` is its JSON."""

    event_id: EventId
    state_key: str
    sender: UserId
    origin_server_ts: int
    pdu: bytes


_LINES = Records(EventLine, events)
_NEWEST = Statement(
    select(*_LINES.columns)
    .where(e.room_id == bindparam("room"), e.position < bindparam("before"))
    .order_by(e.position.desc())
    .limit(bindparam("limit"))
)
_CHANGES = Records(MembershipChange, events)
_MEMBERSHIPS = Statement(
    select(*_CHANGES.columns)
    .where(
        e.room_id == bindparam("room"),
        e.origin_server_ts >= bindparam("from_ts"),
        e.type == "m.room.member",
        (e.sender == bindparam("user")) | (e.state_key == bindparam("user")),
    )
    .order_by(e.origin_server_ts)
)
_ROOMS = Statement(
    select(m.room_id, m.membership)
    .where(m.user_id == bindparam("user"), m.room_id > bindparam("after"))
    .order_by(m.room_id)
    .limit(bindparam("limit"))
)


async def newest(tx: Transaction, room_id: RoomId, *, before: int, limit: int) -> list[EventLine]:
    """A room's events below a position, the newest first, whoever has sent them."""
    return _LINES.all(await tx.all(_NEWEST, room=room_id, before=before, limit=limit))


async def membership_changes(
    tx: Transaction, room_id: str, user_id: str, *, from_ts: int
) -> list[MembershipChange]:
    """Membership events of a room by a user, or about them, since a time."""
    return _CHANGES.all(await tx.all(_MEMBERSHIPS, room=room_id, user=user_id, from_ts=from_ts))


async def rooms_of(tx: Transaction, user_id: str, *, after: str, limit: int) -> Sequence[tuple[RoomId, str]]:
    """The next rooms that a user has a membership of, forgotten or not, each with what it is."""
    return [(row[0], row[1]) for row in await tx.all(_ROOMS, user=user_id, after=after, limit=limit)]
