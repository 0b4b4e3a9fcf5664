"""Media by who has them and when they were used last: for administrators."""

from __future__ import annotations

from collections.abc import Collection, Sequence
from dataclasses import dataclass
from functools import cache
from typing import Any

from sqlalchemy import ColumnElement, Select, bindparam, func, or_, select, update

from palpo.core.bounds import TOP
from palpo.core.records.media import MediaRecord
from palpo.db.statements import Statement, holds
from palpo.db.tables.accounts import users
from palpo.db.tables.media import media
from palpo.db.tables.rooms import events
from palpo.db.transaction import Transaction, WriteTransaction
from palpo.storage.accounts import pattern_of
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
_USAGE = (
    select(m.user_id, func.count().label("count"), func.sum(m.size).label("size"))
    .where(
        m.user_id.is_not(None), m.created_ts >= bindparam("from_ts"), m.created_ts <= bindparam("until_ts")
    )
    .group_by(m.user_id)
    .subquery("usage")
)
USAGE_ORDERS: dict[str, ColumnElement[Any]] = {
    "user_id": _USAGE.c.user_id,
    "displayname": users.c.list_name,
    "media_length": _USAGE.c.size,
    "media_count": _USAGE.c.count,
}
"""What a list of users may be sorted by."""
_CALLED = or_(
    func.lower(_USAGE.c.user_id).like(bindparam("id_pattern"), escape="!"),
    users.c.list_name.like(bindparam("name_pattern"), escape="!"),
)


@cache
def _usage(order: str, backwards: bool, searched: bool) -> Statement:
    by = USAGE_ORDERS[order].desc() if backwards else USAGE_ORDERS[order]
    wanted = _of_usage(searched or order == "displayname", searched, *_USAGE.c)
    wanted = wanted.order_by(by, _USAGE.c.user_id.desc() if backwards else _USAGE.c.user_id)
    return Statement(wanted.limit(bindparam("limit")).offset(bindparam("skipped")))


@cache
def _usage_total(searched: bool) -> Statement:
    return Statement(_of_usage(searched, searched, func.count()))


def _of_usage(with_users: bool, searched: bool, *columns: ColumnElement[Any]) -> Select[Any]:
    found = _USAGE.outerjoin(users, users.c.user_id == _USAGE.c.user_id) if with_users else _USAGE
    wanted = select(*columns).select_from(found)
    return wanted.where(_CALLED) if searched else wanted


_WITH_MEDIA = Statement(
    select(e.place, e.position, e.pdu)
    .where(
        e.room_id == bindparam("room_id"),
        or_(
            e.place < bindparam("place"),
            (e.place == bindparam("place")) & (e.position < bindparam("position")),
        ),
        e.type != "m.room.member",
        e.redacted_by.is_(None),
        holds(e.pdu, "mxc://"),
    )
    .order_by(e.place.desc(), e.position.desc())
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


@dataclass(frozen=True, slots=True, kw_only=True)
class Uploaders:
    """Which users: who have uploaded something within some time, and are called so."""

    from_ts: int = 0
    until_ts: int = TOP
    search: str = ""
    """Something in the localpart or in the display name, whatever its case."""
    server: str = ""
    """This server's name, which is no part of localparts."""

    def values(self) -> dict[str, Any]:
        """The parameters of a statement that asks for these."""
        found: dict[str, Any] = {"from_ts": self.from_ts, "until_ts": self.until_ts}
        if self.search:
            name = pattern_of(self.search)
            found |= {"id_pattern": f"@%{name}%:{pattern_of(self.server)}", "name_pattern": f"%{name}%"}
        return found


async def usage(
    tx: Transaction, wanted: Uploaders, *, order: str, backwards: bool, skipped: int, limit: int
) -> list[Usage]:
    """Some users in an order of ``USAGE_ORDERS``, and what each has uploaded within the time."""
    statement = _usage(order, backwards, bool(wanted.search))
    rows = await tx.all(statement, **wanted.values(), skipped=skipped, limit=limit)
    return [Usage(user_id=user_id, count=int(count), size=int(size or 0)) for user_id, count, size in rows]


async def usage_total(tx: Transaction, wanted: Uploaders) -> int:
    """How many of these users there are."""
    return int(await tx.value(_usage_total(bool(wanted.search)), **wanted.values()))


async def events_with_media(
    tx: Transaction, room_id: str, *, before: tuple[int, int], limit: int
) -> Sequence[tuple[int, int, bytes]]:
    """What comes before a place in a room's timeline, the newest first: ``(place, position, PDU)``.

    They are not redacted, no memberships, and have an ``mxc://`` somewhere.
    """
    rows = await tx.all(_WITH_MEDIA, room_id=room_id, place=before[0], position=before[1], limit=limit)
    return [(row[0], row[1], bytes(row[2])) for row in rows]
