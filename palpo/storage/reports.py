"""Reports of content, rooms and users."""

from __future__ import annotations

from dataclasses import dataclass

from sqlalchemy import bindparam, delete, func, select

from palpo.db.statements import Statement, insert_row
from palpo.db.tables.reports import reports
from palpo.db.transaction import Transaction, WriteTransaction
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


_RECORDS = Records(Report, reports)
_INSERT = insert_row(reports)
_GET = Statement(select(*_RECORDS.columns).where(c.position == bindparam("position")))
_LIST = Statement(
    select(*_RECORDS.columns)
    .where(c.position < bindparam("before"))
    .order_by(c.position.desc())
    .limit(bindparam("limit"))
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


async def newest(tx: Transaction, *, before: int, limit: int) -> list[Report]:
    """Reports with IDs below ``before``, newest first."""
    return _RECORDS.all(await tx.all(_LIST, before=before, limit=limit))


async def count(tx: Transaction) -> int:
    """How many reports there are."""
    return int(await tx.value(_COUNT))


async def delete_one(tx: WriteTransaction, position: int) -> bool:
    """Delete a report; whether it was there."""
    return await tx.run(_DELETE, id=position) > 0
