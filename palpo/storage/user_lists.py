"""Users as administrators list them: filtered, sorted, and a page at a time."""

from __future__ import annotations

from dataclasses import dataclass
from functools import cache
from typing import Any

from sqlalchemy import ColumnElement, bindparam, case, func, literal_column, or_, select

from palpo.core.identifiers import UserId
from palpo.db.statements import Statement, in_list
from palpo.db.tables.accounts import users
from palpo.db.transaction import Transaction
from palpo.storage.accounts import pattern_of
from palpo.storage.records import Records

u = users.c


@dataclass(frozen=True, slots=True, kw_only=True)
class ListedUser:
    """What a list says of a user. Times are milliseconds since the Unix epoch; 0 is never."""

    user_id: UserId
    is_guest: bool
    is_admin: bool
    """As the database says; the configuration may name others."""
    user_type: str | None
    deactivated: bool
    erased: bool
    locked: bool
    suspended: bool
    shadow_banned: bool
    created_ts: int
    last_seen_ts: int


@dataclass(frozen=True, slots=True, kw_only=True)
class Wanted:
    """Which users: what is None may be anything."""

    guest: bool | None = None
    admin: bool | None = None
    deactivated: bool | None = None
    locked: bool | None = None
    not_types: tuple[str, ...] = ()
    """Empty text is who has none."""
    name: str = ""
    """Something in the localpart or in the display name, whatever its case."""
    user_id: str = ""
    """Something in the user ID, where no name is wanted."""
    server: str = ""
    """This server's name, which is no part of localparts."""
    admins: tuple[str, ...] = ()
    """Those whom the configuration says to be administrators."""


_RECORDS = Records(ListedUser, users)
_ONE: ColumnElement[int] = literal_column("1")
_ADMIN = case((u.is_admin == 1, _ONE), (in_list(u.user_id, "admins"), _ONE), else_=literal_column("0"))
_TYPE = func.coalesce(u.user_type, "")
ORDERS: dict[str, ColumnElement[Any]] = {
    "name": u.user_id,
    "displayname": u.list_name,
    "is_guest": u.is_guest,
    "admin": _ADMIN,
    "deactivated": u.deactivated,
    "user_type": _TYPE,
    "avatar_url": u.list_avatar,
    "shadow_banned": u.shadow_banned,
    "creation_ts": u.created_ts,
    "last_seen_ts": u.last_seen_ts,
    "locked": u.locked,
}
"""What a list may be sorted by."""
_FLAGS: dict[str, ColumnElement[Any]] = {
    "guest": u.is_guest,
    "admin": _ADMIN,
    "deactivated": u.deactivated,
    "locked": u.locked,
}


_LAST_SEEN = Statement(select(u.last_seen_ts).where(u.user_id == bindparam("user")))


def _like(column: ColumnElement[str], name: str) -> ColumnElement[bool]:
    return column.like(bindparam(name), escape="!")


_ID = func.lower(u.user_id)
_CONDITIONS: dict[str, ColumnElement[bool]] = {
    **{name: column == bindparam(name) for name, column in _FLAGS.items()},
    "not_types": ~in_list(_TYPE, "not_types"),
    "name": or_(_like(_ID, "id_pattern"), _like(u.list_name, "name_pattern")),
    "user_id": _like(_ID, "id_pattern"),
}
"""Each by the field of ``Wanted`` that it is about."""


@cache
def _page(asked: tuple[str, ...], order: str, backwards: bool) -> Statement:
    # Few are found by a name: to look at all and sort those is quicker than to look at all in order.
    by_id = func.coalesce(u.user_id, "") if {"name", "user_id"} & set(asked) else u.user_id
    column = by_id if order == "name" else ORDERS[order]
    conditions = (_CONDITIONS[name] for name in asked)
    wanted = (
        select(*_RECORDS.columns).where(*conditions).order_by(column.desc() if backwards else column, by_id)
    )
    return Statement(wanted.limit(bindparam("limit")).offset(bindparam("skipped")))


@cache
def _total(asked: tuple[str, ...]) -> Statement:
    conditions = (_CONDITIONS[name] for name in asked)
    return Statement(select(func.count()).select_from(users).where(*conditions))


async def page(
    tx: Transaction, wanted: Wanted, *, order: str, backwards: bool, skipped: int, limit: int
) -> list[ListedUser]:
    """Some users in an order of ``ORDERS``; those who are alike in it by user ID."""
    asked, values = _values(wanted)
    if order == "admin" or "admin" in asked:
        values["admins"] = list(wanted.admins)
    statement = _page(asked, order, backwards)
    return _RECORDS.all(await tx.all(statement, **values, skipped=skipped, limit=limit))


async def last_seen(tx: Transaction, user_id: str) -> int:
    """When any device of a user was used last; 0 for never."""
    return int(await tx.value(_LAST_SEEN, user=user_id) or 0)


async def total(tx: Transaction, wanted: Wanted) -> int:
    """How many of these users there are."""
    asked, values = _values(wanted)
    if "admin" in asked:
        values["admins"] = list(wanted.admins)
    return int(await tx.value(_total(asked), **values))


def _values(wanted: Wanted) -> tuple[tuple[str, ...], dict[str, Any]]:
    """What is asked of users, and the parameters of that."""
    values: dict[str, Any] = {
        name: int(flag) for name in _FLAGS if (flag := getattr(wanted, name)) is not None
    }
    asked = [*values]
    if wanted.not_types:
        asked.append("not_types")
        values["not_types"] = list(wanted.not_types)
    if wanted.name:
        asked.append("name")
        # A localpart has no colon, and the server's name begins behind the first one.
        name = pattern_of(wanted.name)
        values |= {"id_pattern": f"@%{name}%:{pattern_of(wanted.server)}", "name_pattern": f"%{name}%"}
    elif wanted.user_id:
        asked.append("user_id")
        values["id_pattern"] = f"%{pattern_of(wanted.user_id)}%"
    return tuple(asked), values
