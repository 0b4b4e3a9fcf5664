"""Memberships of local users in rooms that no local user is in."""

from __future__ import annotations

from collections.abc import Collection
from dataclasses import dataclass

from sqlalchemy import and_, bindparam, func, select

from palpo.core.identifiers import RoomId, ServerName
from palpo.core.membership import INVITE
from palpo.db.statements import Statement, in_list, upsert
from palpo.db.tables.outside_memberships import outside_memberships
from palpo.db.tables.rooms import memberships
from palpo.db.transaction import Transaction, WriteTransaction
from palpo.storage.records import Records
from palpo.storage.windows import oldest

o, m = outside_memberships.c, memberships.c


@dataclass(frozen=True, slots=True, kw_only=True)
class OutsideMembership:
    """One user's membership of a room that is not here."""

    room_id: RoomId
    user_id: str
    event_id: str
    room_version: str
    server_name: ServerName
    """The server that it came from, or went through."""
    pdu: bytes
    """The membership event, as servers exchange it."""
    position: int = 0
    """Of the stream, when it came."""


_RECORDS = Records(OutsideMembership, outside_memberships)
_UPSERT = upsert(outside_memberships, key=["room_id", "user_id"])
_IS_CURRENT = and_(m.room_id == o.room_id, m.user_id == o.user_id, m.event_id == o.event_id)
_GET = Statement(
    select(*_RECORDS.columns)
    .join(memberships, _IS_CURRENT)
    .where(o.room_id == bindparam("room_id"), o.user_id == bindparam("user_id"))
)
_CHANGED = oldest(select(*_RECORDS.columns), o.position)
_OF_USER = Statement(
    select(*_RECORDS.columns).where(o.user_id == bindparam("user_id"), in_list(o.event_id, "event_ids"))
)
_INVITES = Statement(
    select(func.count())
    .select_from(outside_memberships)
    .join(memberships, _IS_CURRENT)
    .where(
        o.user_id == bindparam("user_id"),
        o.server_name == bindparam("server_name"),
        m.membership == INVITE.value,
    )
)


async def put(tx: WriteTransaction, item: OutsideMembership) -> None:
    """Store one over the one before it."""
    await tx.run(_UPSERT, **_RECORDS.values(item))


async def get(tx: Transaction, room_id: str, user_id: str) -> OutsideMembership | None:
    """A user's membership of a room, None where it is not one of these, or not any more."""
    return _RECORDS.one(await tx.one(_GET, room_id=room_id, user_id=user_id))


async def changed(tx: Transaction, *, after: int, upto: int, limit: int) -> list[OutsideMembership]:
    """Those that came at positions in ``(after, upto]``, in order: of each user and room the last."""
    return _RECORDS.all(await tx.all(_CHANGED, after=after, upto=upto, limit=limit))


async def of_user(tx: Transaction, user_id: str, event_ids: Collection[str]) -> list[OutsideMembership]:
    """Those of a user by these events, in no order."""
    return _RECORDS.all(await tx.all(_OF_USER, user_id=user_id, event_ids=list(event_ids)))


async def invites_from(tx: Transaction, user_id: str, server_name: str) -> int:
    """How many invites by a server a user has not answered."""
    row = await tx.one(_INVITES, user_id=user_id, server_name=server_name)
    return 0 if row is None else int(row[0])
