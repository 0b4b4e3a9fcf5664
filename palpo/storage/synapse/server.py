"""What a Synapse's database is."""

from __future__ import annotations

from sqlalchemy import func, select

from palpo.db.statements import Statement
from palpo.db.synapse.server import partial_state_rooms, users
from palpo.db.synapse.server import schema_version as version_table
from palpo.db.transaction import Transaction

_VERSION = Statement(select(version_table.c.version))
_PARTIAL = Statement(select(func.count()).select_from(partial_state_rooms))
_USER = Statement(select(users.c.name).limit(1))


async def schema_version(tx: Transaction) -> int | None:
    """The version of its tables."""
    found: int | None = await tx.value(_VERSION)
    return found


async def any_user(tx: Transaction) -> str | None:
    """One of its users."""
    found: str | None = await tx.value(_USER)
    return found


async def partial_rooms(tx: Transaction) -> int:
    """Rooms of which members are still missing, as it fetches them after a join."""
    return int(await tx.value(_PARTIAL))
