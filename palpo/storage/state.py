"""The nodes of the state tree."""

from __future__ import annotations

from collections.abc import Iterable, Mapping

from sqlalchemy import select

from palpo.db.statements import Statement, in_list, upsert
from palpo.db.tables.rooms import state_nodes
from palpo.db.transaction import Transaction, WriteTransaction

_LOAD = Statement(select(state_nodes.c.hash, state_nodes.c.node).where(in_list(state_nodes.c.hash, "hashes")))
_INSERT = upsert(state_nodes, key=["hash"], update=())


async def load_nodes(tx: Transaction, hashes: Iterable[bytes]) -> dict[bytes, bytes]:
    """Encoded nodes by hash; those that are not there are left out."""
    return {row[0]: row[1] for row in await tx.all(_LOAD, hashes=list(hashes))}


async def insert_nodes(tx: WriteTransaction, nodes: Mapping[bytes, bytes]) -> None:
    """Store nodes; those that are there already stay."""
    await tx.many(_INSERT, [{"hash": name, "node": node} for name, node in nodes.items()])
