"""Reports of content, rooms and users."""

from __future__ import annotations

from dataclasses import dataclass, replace
from functools import cache

from sqlalchemy import ColumnElement, and_, bindparam, delete, func, select

from palpo.db.statements import Statement, insert_row
from palpo.db.tables.reports import reports
from palpo.db.tables.rooms import events
from palpo.db.transaction import Transaction, WriteTransaction
from palpo.storage.accounts import pattern_of
from palpo.storage.records import Records

c = reports.c


@dataclass(frozen=True, slots=True, kw_only=True)
class Report:
    """One report: of an event (with its room), of a room, or of a user."""

    position: int
    """Also its ID; 0 before it is stored."""
    reporter: str
    room_id: str | None
    event_id: str | None
    user_id: str | None
    reason: str
    score: int | None
    """From -100 (most offensive) to 0, from older clients."""
    received_ts: int
    """Milliseconds since the Unix epoch."""

    @property
    def about(self) -> str:
        """``event``, ``room`` or ``user``."""
        if self.event_id is not None:
            return "event"
        return "user" if self.room_id is None else "room"


_RECORDS = Records(Report, reports)
_INSERT = insert_row(reports)
_GET = Statement(select(*_RECORDS.columns).where(c.position == bindparam("position")))
_LIST = Statement(
    select(*_RECORDS.columns)
    .where(c.position < bindparam("before"))
    .order_by(c.position.desc())
    .limit(bindparam("limit"))
)
_OF_TIME = Statement(
    select(*_RECORDS.columns).where(
        c.reporter == bindparam("reporter"), c.received_ts == bindparam("received_ts")
    )
)
_COUNT = Statement(select(func.count()).select_from(reports))
_DELETE = Statement(delete(reports).where(c.position == bindparam("id")))


async def insert(tx: WriteTransaction, new: Report) -> int:
    """Store a report; returns its ID."""
    position = await tx.positions()
    await tx.run(_INSERT, **{**_RECORDS.values(new), "position": position})
    return position


async def get(tx: Transaction, position: int) -> Report | None:
    """A report."""
    return _RECORDS.one(await tx.one(_GET, position=position))


async def is_there(tx: Transaction, report: Report) -> bool:
    """Whether there is one like it, whatever its ID."""
    rows = await tx.all(_OF_TIME, reporter=report.reporter, received_ts=report.received_ts)
    return any(replace(item, position=report.position) == report for item in _RECORDS.all(rows))


async def newest(tx: Transaction, *, before: int, limit: int) -> list[Report]:
    """Reports with IDs below ``before``, newest first."""
    return _RECORDS.all(await tx.all(_LIST, before=before, limit=limit))


@dataclass(frozen=True, slots=True, kw_only=True)
class Wanted:
    """Which reports: what is None may be anything."""

    about: str | None = None
    """``event``, ``room`` or ``user``."""
    reporter: str | None = None
    """Something in the ID of who reported, whatever its case."""
    room_id: str | None = None
    """Something in the room's ID."""
    reported: str | None = None
    """Something in the ID of the user who is reported."""
    sender: str | None = None
    """The sender of the event that is reported."""

    def values(self) -> dict[str, str]:
        """The parameters of a statement that asks for these."""
        found = {name: value for name in _PARTS if (value := getattr(self, name))}
        values = {name: f"%{pattern_of(value)}%" for name, value in found.items()}
        return values | ({"sender": self.sender} if self.sender else {})


_ABOUT = {
    "event": c.event_id.is_not(None),
    "room": and_(c.room_id.is_not(None), c.event_id.is_(None)),
    "user": c.user_id.is_not(None),
}
_PARTS = {"reporter": c.reporter, "room_id": c.room_id, "reported": c.user_id}
_CONDITIONS: dict[str, ColumnElement[bool]] = {
    **{name: func.lower(column).like(bindparam(name), escape="!") for name, column in _PARTS.items()},
    "sender": select(events.c.event_id)
    .where(events.c.event_id == c.event_id, events.c.sender == bindparam("sender"))
    .exists(),
}


@cache
def _page(about: str | None, names: tuple[str, ...], backwards: bool) -> Statement:
    order = c.position.desc() if backwards else c.position
    wanted = select(*_RECORDS.columns).where(*_conditions(about, names)).order_by(order)
    return Statement(wanted.limit(bindparam("limit")).offset(bindparam("skipped")))


@cache
def _total(about: str | None, names: tuple[str, ...]) -> Statement:
    return Statement(select(func.count()).select_from(reports).where(*_conditions(about, names)))


def _conditions(about: str | None, names: tuple[str, ...]) -> list[ColumnElement[bool]]:
    return [_CONDITIONS[name] for name in names] + ([] if about is None else [_ABOUT[about]])


async def page(tx: Transaction, wanted: Wanted, *, backwards: bool, skipped: int, limit: int) -> list[Report]:
    """Some reports, the newest first or the oldest."""
    values = wanted.values()
    statement = _page(wanted.about, tuple(values), backwards)
    return _RECORDS.all(await tx.all(statement, **values, skipped=skipped, limit=limit))


async def total(tx: Transaction, wanted: Wanted) -> int:
    """How many of these there are."""
    values = wanted.values()
    return int(await tx.value(_total(wanted.about, tuple(values)), **values))


async def count(tx: Transaction) -> int:
    """How many reports there are."""
    return int(await tx.value(_COUNT))


async def delete_one(tx: WriteTransaction, position: int) -> bool:
    """Delete a report; whether it was there."""
    return await tx.run(_DELETE, id=position) > 0
