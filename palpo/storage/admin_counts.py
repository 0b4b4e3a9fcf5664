"""How many there are of what administrators ask for first."""

from __future__ import annotations

from dataclasses import dataclass

from sqlalchemy import func, select

from palpo.db.statements import Statement
from palpo.db.tables.accounts import users
from palpo.db.tables.reports import reports
from palpo.db.tables.rooms import rooms
from palpo.db.transaction import Transaction


@dataclass(frozen=True, slots=True, kw_only=True)
class Counts:
    """Accounts that are not deactivated, rooms, and reports."""

    users: int
    rooms: int
    reports: int


_USERS = Statement(select(func.count()).select_from(users).where(users.c.deactivated == 0))
_ROOMS = Statement(select(func.count()).select_from(rooms))
_REPORTS = Statement(select(func.count()).select_from(reports))


async def count(tx: Transaction) -> Counts:
    """Count them."""
    return Counts(
        users=int(await tx.value(_USERS)),
        rooms=int(await tx.value(_ROOMS)),
        reports=int(await tx.value(_REPORTS)),
    )
