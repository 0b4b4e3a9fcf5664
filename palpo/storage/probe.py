"""Whether the database takes writes: something is written, of some size, and removed again."""

from __future__ import annotations

from sqlalchemy import bindparam, delete

from palpo.db.position import CURRENT
from palpo.db.statements import Statement, upsert
from palpo.db.tables.server_meta import server_meta
from palpo.db.transaction import Transaction, WriteTransaction

NAME = "probe"
SIZE = 32_000
"""Bytes: more than what is free in pages that are in use already."""

_PUT = upsert(server_meta, key=["name"], update=["value"])
_REMOVE = Statement(delete(server_meta).where(server_meta.c.name == bindparam("wanted")))


async def read(tx: Transaction) -> None:
    """Read something."""
    await tx.value(CURRENT)


async def write(tx: WriteTransaction) -> None:
    """Write something, and leave nothing of it."""
    await tx.run(_PUT, name=NAME, value="x" * SIZE)
    await tx.run(_REMOVE, wanted=NAME)
