"""The schema's revisions: what a database must be at, and the cheap question whether it is.

Alembic is imported only by :mod:`palpo.db.migrations.upgrade`; a server whose database is up to
date starts without it.
"""

from __future__ import annotations

from sqlalchemy import column, select, table

from palpo.db.engine import Engine
from palpo.db.errors import DatabaseError, Unreachable
from palpo.db.statements import Statement
from palpo.db.transaction import Transaction

HEAD = "0001_initial"
"""The newest revision: what this release of the program works with."""

_REVISION = Statement(select(column("version_num")).select_from(table("alembic_version")))


async def current(engine: Engine) -> str | None:
    """The revision that the database of an open ``engine`` is at; None where it has none."""

    async def unit(tx: Transaction) -> str | None:
        found: str | None = await tx.value(_REVISION)
        return found

    try:
        return await engine.read(unit)
    except Unreachable:
        raise
    except DatabaseError:
        return None


async def is_current(engine: Engine) -> bool:
    """Whether the database of an open ``engine`` is at HEAD: one point read."""
    return await current(engine) == HEAD
