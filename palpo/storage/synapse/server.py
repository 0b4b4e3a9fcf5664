"""What a Synapse's database is."""

from __future__ import annotations

from sqlalchemy import select

from palpo.db.statements import Statement
from palpo.db.synapse.server import schema_version as version_table
from palpo.db.synapse.server import users
from palpo.db.transaction import Transaction

_VERSION = Statement(select(version_table.c.version))
_USER = Statement(select(users.c.name).limit(1))


async def schema_version(tx: Transaction) -> int | None:
    """The version of its tables."""
    found: int | None = await tx.value(_VERSION)
    return found


async def any_user(tx: Transaction) -> str | None:
    """One of its users."""
    found: str | None = await tx.value(_USER)
    return found
