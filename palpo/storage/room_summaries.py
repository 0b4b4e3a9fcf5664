"""What is known of each room at a glance: kept up to date, and found and sorted in many ways."""

from __future__ import annotations

from collections.abc import Collection, Sequence
from dataclasses import dataclass
from functools import cache
from typing import Any

from sqlalchemy import ColumnElement, LargeBinary, and_, bindparam, func, or_, select

from palpo.core.identifiers import RoomId
from palpo.db.statements import Statement, in_list, upsert
from palpo.db.tables.directory import published_rooms
from palpo.db.tables.room_summaries import room_summaries
from palpo.db.tables.rooms import rooms
from palpo.db.transaction import Transaction, WriteTransaction
from palpo.storage.accounts import escaped, pattern_of
from palpo.storage.records import Records
from palpo.storage.rooms import HeadRow


@dataclass(frozen=True, slots=True, kw_only=True)
class Summary:
    """A room as it was when its state was ``state_root``; text as ``accounts.listed`` makes it."""

    room_id: RoomId
    state_root: bytes
    joined_members: int
    joined_local_members: int
    version: int
    """-1 where it is no number."""
    federatable: bool
    state_events: int
    name: str
    canonical_alias: str
    creator: str
    encryption: str
    join_rules: str
    guest_access: str
    history_visibility: str


@dataclass(frozen=True, slots=True, kw_only=True)
class Wanted:
    """Which rooms: what is None may be anything."""

    search: str | None = None
    """Something in the name or in the alias's localpart, whatever its case, or in the room ID."""
    public: bool | None = None
    """Those that the directory lists, or others."""
    empty: bool | None = None
    """Those that nobody is in, or others."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Found:
    """A room of a list."""

    head: HeadRow
    joined_members: int
    joined_local_members: int
    state_root: bytes
    """Of the state in which so many were in it."""
    public: bool


s, p = room_summaries.c, published_rooms.c
_HEADS = Records(HeadRow, rooms)
_SUMMARIES = Records(Summary, room_summaries)
_PUT = upsert(room_summaries, key=["room_id"])
_BEGUN = rooms.c.extremities != bindparam("none", type_=LargeBinary())
_BOTH = rooms.outerjoin(room_summaries, s.room_id == rooms.c.room_id)


def _heads(where: ColumnElement[bool]) -> Statement:
    heads = select(*_HEADS.columns).select_from(_BOTH).where(_BEGUN, where)
    return Statement(heads.limit(bindparam("limit")))


_MISSING = _heads(s.room_id.is_(None))
_OUTDATED = _heads(or_(s.room_id.is_(None), s.state_root != rooms.c.state_root))
_OF = Statement(select(*_HEADS.columns).where(in_list(rooms.c.room_id, "room_ids"), _BEGUN))
_AFTER = Statement(
    select(*_HEADS.columns)
    .where(rooms.c.room_id > bindparam("after"))
    .order_by(rooms.c.room_id)
    .limit(bindparam("limit"))
)
_LISTED = func.coalesce(p.listed, 0)
ORDERS: dict[str, ColumnElement[Any]] = {
    **{
        name: s[name]
        for name in (
            "name",
            "canonical_alias",
            "creator",
            "encryption",
            "join_rules",
            "guest_access",
            "history_visibility",
        )
    },
    **{
        name: -s[name]
        for name in ("joined_members", "joined_local_members", "version", "federatable", "state_events")
    },
    "public": -_LISTED,
}
"""What a list may be sorted by: numbers and flags have the greatest first."""
_CONDITIONS: dict[str, ColumnElement[bool]] = {
    "search": or_(
        s.name.like(bindparam("pattern"), escape="!"),
        s.canonical_alias.like(bindparam("alias_pattern"), escape="!"),
        s.room_id.like(bindparam("id_pattern"), escape="!"),
    ),
    "public": bindparam("public") == _LISTED,
    "empty": s.joined_members == 0,
    "not_empty": s.joined_members > 0,
}
_ROOMS = room_summaries.join(rooms, rooms.c.room_id == s.room_id).outerjoin(
    published_rooms, and_(p.room_id == s.room_id, p.network_id == "")
)


@cache
def _page(asked: tuple[str, ...], order: str, backwards: bool) -> Statement:
    by = ORDERS[order].desc() if backwards else ORDERS[order]
    columns = (*_HEADS.columns, s.joined_members, s.joined_local_members, s.state_root, _LISTED)
    wanted = select(*columns).select_from(_ROOMS).where(*(_CONDITIONS[name] for name in asked))
    page = wanted.order_by(by, s.room_id).limit(bindparam("limit")).offset(bindparam("skipped"))
    return Statement(page)


@cache
def _total(asked: tuple[str, ...]) -> Statement:
    return Statement(select(func.count()).select_from(_ROOMS).where(*(_CONDITIONS[name] for name in asked)))


async def missing(tx: Transaction, limit: int) -> list[HeadRow]:
    """Some of the rooms of which nothing is known."""
    return _HEADS.all(await tx.all(_MISSING, none=b"[]", limit=limit))


async def outdated(tx: Transaction, limit: int) -> list[HeadRow]:
    """Some of those, and of the rooms that have another state by now."""
    return _HEADS.all(await tx.all(_OUTDATED, none=b"[]", limit=limit))


async def heads_of(tx: Transaction, room_ids: Collection[str]) -> list[HeadRow]:
    """Those of the rooms that have begun."""
    return _HEADS.all(await tx.all(_OF, room_ids=list(room_ids), none=b"[]"))


async def heads_after(tx: Transaction, room_id: str, limit: int) -> list[HeadRow]:
    """The next rooms by ID, those that have not begun included."""
    return _HEADS.all(await tx.all(_AFTER, after=room_id, limit=limit))


async def put(tx: WriteTransaction, new: Sequence[Summary]) -> None:
    """Store what is known of rooms now."""
    await tx.many(_PUT, [_SUMMARIES.values(item) for item in new])


async def page(
    tx: Transaction, wanted: Wanted, *, order: str, backwards: bool, skipped: int, limit: int
) -> list[Found]:
    """Some rooms in an order of ``ORDERS``; those that are alike in it by their IDs."""
    asked, values = _values(wanted)
    rows = await tx.all(_page(asked, order, backwards), **values, skipped=skipped, limit=limit)
    return [
        Found(
            head=_HEADS.of(row[:-4]),
            joined_members=row[-4],
            joined_local_members=row[-3],
            state_root=bytes(row[-2]),
            public=bool(row[-1]),
        )
        for row in rows
    ]


async def total(tx: Transaction, wanted: Wanted) -> int:
    """How many of these rooms there are."""
    asked, values = _values(wanted)
    return int(await tx.value(_total(asked), **values))


def _values(wanted: Wanted) -> tuple[tuple[str, ...], dict[str, Any]]:
    """What is asked of rooms, and the parameters of that."""
    asked: list[str] = []
    values: dict[str, Any] = {}
    if wanted.public is not None:
        asked.append("public")
        values["public"] = int(wanted.public)
    if wanted.empty is not None:
        asked.append("empty" if wanted.empty else "not_empty")
    if wanted.search:
        asked.append("search")
        text = pattern_of(wanted.search)
        # A localpart has no colon, and the server's name begins behind the first one.
        values |= {"pattern": f"%{text}%", "alias_pattern": f"#%{text}%:%"}
        values["id_pattern"] = f"%{escaped(wanted.search)}%"
    return tuple(asked), values
