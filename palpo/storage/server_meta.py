"""What the database knows of the server that it belongs to."""

from __future__ import annotations

from collections.abc import Mapping

from sqlalchemy import bindparam, select

from palpo.db.statements import Statement, upsert
from palpo.db.tables.accounts import users
from palpo.db.tables.server_meta import server_meta
from palpo.db.transaction import Transaction, WriteTransaction
from palpo.streams import topics

BACKGROUND_UPDATES = "background_updates"

_ALL = Statement(select(server_meta.c.name, server_meta.c.value))
_PUT = upsert(server_meta, key=["name"])
_VALUE = Statement(select(server_meta.c.value).where(server_meta.c.name == bindparam("name")))
_ANY_USER = Statement(select(users.c.user_id).limit(1))


async def facts(tx: Transaction) -> dict[str, str]:
    """Every fact, by its name."""
    return {row[0]: row[1] for row in await tx.all(_ALL)}


async def put(tx: WriteTransaction, values: Mapping[str, str]) -> None:
    """Store facts over what was known."""
    await tx.many(_PUT, [{"name": name, "value": value} for name, value in values.items()])


async def any_user(tx: Transaction) -> str | None:
    """One of the server's users; None where it has none yet."""
    found: str | None = await tx.value(_ANY_USER)
    return found


async def background_updates(tx: Transaction) -> bool:
    """Whether what can wait may be done."""
    return bool(await tx.value(_VALUE, name=BACKGROUND_UPDATES) != "0")


async def set_background_updates(tx: WriteTransaction, enabled: bool) -> None:
    """Let it be done, or not."""
    await tx.positions()
    await put(tx, {BACKGROUND_UPDATES: str(int(enabled))})
    tx.notify(topics.BACKGROUND_UPDATES, topics.ONLY)
