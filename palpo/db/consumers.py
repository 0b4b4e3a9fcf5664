"""How far each consumer of the stream has come: everything up to its position has been handled."""

from __future__ import annotations

from sqlalchemy import bindparam, select, update

from palpo.db.statements import Statement, upsert
from palpo.db.tables.consumers import consumers
from palpo.db.transaction import Transaction, WriteTransaction

_ADD = upsert(consumers, key=["name"], update=())
_POSITION = Statement(select(consumers.c.position).where(consumers.c.name == bindparam("consumer")))
_ADVANCE = Statement(
    update(consumers)
    .where(consumers.c.name == bindparam("consumer"))
    .where(consumers.c.position == bindparam("since"))
    .values(position=bindparam("to"))
)


async def register(tx: WriteTransaction, name: str, *, position: int) -> int:
    """Where the consumer ``name`` is; one that is new begins after ``position``."""
    await tx.run(_ADD, name=name, position=position)
    return int(await tx.value(_POSITION, consumer=name))


async def position_of(tx: Transaction, name: str) -> int | None:
    """Where the consumer ``name`` is, or None where it is not registered."""
    position: int | None = await tx.value(_POSITION, consumer=name)
    return position


async def advance(tx: WriteTransaction, name: str, *, since: int, to: int) -> bool:
    """Move from ``since`` to ``to``; False where it is not at ``since``: another has moved it."""
    return await tx.run(_ADVANCE, consumer=name, since=since, to=to) > 0
