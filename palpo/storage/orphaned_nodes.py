"""Nodes of the state tree that no state has: set aside, put back, forgotten."""

from __future__ import annotations

from collections.abc import Sequence

from sqlalchemy import bindparam, delete, select

from palpo.db.statements import Statement, in_list, upsert
from palpo.db.tables.rooms import orphaned_nodes, state_nodes
from palpo.db.transaction import Transaction, WriteTransaction
from palpo.storage.state import insert_nodes, load_aside, load_nodes

o, n = orphaned_nodes.c, state_nodes.c
_NODES = Statement(
    select(n.hash).where(n.hash > bindparam("after")).order_by(n.hash).limit(bindparam("limit"))
)
_ASIDE = Statement(
    select(o.hash, o.found_ts).where(o.hash > bindparam("after")).order_by(o.hash).limit(bindparam("limit"))
)
_PUT_ASIDE = upsert(orphaned_nodes, key=["hash"], update=())
_DELETE = Statement(delete(state_nodes).where(in_list(n.hash, "hashes")))
_FORGET = Statement(delete(orphaned_nodes).where(in_list(o.hash, "hashes")))


async def nodes_after(tx: Transaction, after: bytes, limit: int) -> list[bytes]:
    """The next nodes by hash."""
    return [bytes(row[0]) for row in await tx.all(_NODES, after=after, limit=limit)]


async def aside_after(tx: Transaction, after: bytes, limit: int) -> dict[bytes, int]:
    """The next that were set aside, with when (ms since the Unix epoch)."""
    return {bytes(row[0]): row[1] for row in await tx.all(_ASIDE, after=after, limit=limit)}


async def set_aside(tx: WriteTransaction, hashes: Sequence[bytes], *, now_ms: int) -> None:
    """Have them be where only those find them who find them nowhere else."""
    found = await load_nodes(tx, hashes)
    rows = [{"hash": name, "found_ts": now_ms, "node": node} for name, node in found.items()]
    await tx.many(_PUT_ASIDE, rows)
    await tx.run(_DELETE, hashes=list(hashes))


async def put_back(tx: WriteTransaction, hashes: Sequence[bytes]) -> None:
    """Some state has them after all."""
    await insert_nodes(tx, await load_aside(tx, hashes))
    await forget(tx, hashes)


async def forget(tx: WriteTransaction, hashes: Sequence[bytes]) -> None:
    """Delete what was set aside."""
    await tx.run(_FORGET, hashes=list(hashes))
