"""Media by who has them and when they were used last: for administrators."""

from __future__ import annotations

from collections.abc import Collection, Sequence
from dataclasses import dataclass

from sqlalchemy import bindparam, func, or_, select, update

from palpo.core.records.media import MediaRecord
from palpo.db.statements import Statement
from palpo.db.tables.media import media
from palpo.db.tables.rooms import events
from palpo.db.transaction import Transaction, WriteTransaction
from palpo.storage.records import Records

m = media.c
e = events.c


@dataclass(frozen=True, slots=True, kw_only=True)
class Usage:
    """What a user has uploaded."""

    user_id: str
    count: int
    size: int
    """Bytes."""


_RECORDS = Records(MediaRecord, media)
_OLD_LOCAL = Statement(
    select(*_RECORDS.columns)
    .where(
        m.user_id.is_not(None),
        m.sha256.is_not(None),
        m.last_access_ts < bindparam("before_ts"),
        m.created_ts < bindparam("before_ts"),
        m.size > bindparam("larger_than"),
        m.media_id > bindparam("after"),
    )
    .order_by(m.media_id)
    .limit(bindparam("limit"))
)
_OLD_REMOTE = Statement(
    select(*_RECORDS.columns)
    .where(
        m.user_id.is_(None),
        m.expires_ts.is_(None),
        m.last_access_ts < bindparam("before_ts"),
        m.created_ts < bindparam("before_ts"),
        or_(
            m.origin > bindparam("after_origin"),
            (m.origin == bindparam("after_origin")) & (m.media_id > bindparam("after_id")),
        ),
    )
    .order_by(m.origin, m.media_id)
    .limit(bindparam("limit"))
)
_SEEN = Statement(
    update(media)
    .where(
        m.origin == bindparam("of_origin"),
        m.media_id == bindparam("of_media_id"),
        m.last_access_ts < bindparam("ts"),
    )
    .values(last_access_ts=bindparam("ts"))
)
_USAGE = Statement(
    select(m.user_id, func.count(), func.sum(m.size))
    .where(
        m.user_id.is_not(None), m.created_ts >= bindparam("from_ts"), m.created_ts <= bindparam("until_ts")
    )
    .group_by(m.user_id)
)
_EVENTS = Statement(
    select(e.place, e.position, e.type, e.pdu)
    .where(
        e.room_id == bindparam("room_id"),
        or_(
            e.place > bindparam("place"),
            (e.place == bindparam("place")) & (e.position > bindparam("position")),
        ),
        e.redacted_by.is_(None),
    )
    .order_by(e.place, e.position)
    .limit(bindparam("limit"))
)


async def seen(tx: WriteTransaction, items: Collection[tuple[str, str, int]]) -> None:
    """Keep when media were asked for: ``(origin, media_id, ts)`` of each."""
    rows = [{"of_origin": origin, "of_media_id": media_id, "ts": ts} for origin, media_id, ts in items]
    await tx.many(_SEEN, rows)


async def old_local(
    tx: Transaction, *, before_ts: int, larger_than: int, after: str, limit: int
) -> list[MediaRecord]:
    """The next media of users here that nobody has asked for since ``before_ts``, by their IDs."""
    rows = await tx.all(_OLD_LOCAL, before_ts=before_ts, larger_than=larger_than, after=after, limit=limit)
    return _RECORDS.all(rows)


async def old_remote(
    tx: Transaction, *, before_ts: int, after: tuple[str, str], limit: int
) -> list[MediaRecord]:
    """The next media of other servers that nobody has asked for since ``before_ts``."""
    rows = await tx.all(
        _OLD_REMOTE, before_ts=before_ts, after_origin=after[0], after_id=after[1], limit=limit
    )
    return _RECORDS.all(rows)


async def usage(tx: Transaction, *, from_ts: int, until_ts: int) -> list[Usage]:
    """What each user has uploaded within some time, in no order."""
    rows = await tx.all(_USAGE, from_ts=from_ts, until_ts=until_ts)
    return [Usage(user_id=user_id, count=int(count), size=int(size or 0)) for user_id, count, size in rows]


async def room_events(
    tx: Transaction, room_id: str, *, after: tuple[int, int], limit: int
) -> Sequence[tuple[int, int, str, bytes]]:
    """The next events of a room's timeline that are not redacted: ``(place, position, type, PDU)``."""
    rows = await tx.all(_EVENTS, room_id=room_id, place=after[0], position=after[1], limit=limit)
    return [(row[0], row[1], row[2], bytes(row[3])) for row in rows]
