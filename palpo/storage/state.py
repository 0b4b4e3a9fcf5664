"""The nodes of the state tree."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence

from sqlalchemy import select

from palpo.db.statements import Statement, in_list, upsert
from palpo.db.tables.rooms import orphaned_nodes, state_nodes
from palpo.db.transaction import Transaction, WriteTransaction

_LOAD = Statement(select(state_nodes.c.hash, state_nodes.c.node).where(in_list(state_nodes.c.hash, "hashes")))
_ASIDE = Statement(
    select(orphaned_nodes.c.hash, orphaned_nodes.c.node).where(in_list(orphaned_nodes.c.hash, "hashes"))
)
_INSERT = upsert(state_nodes, key=["hash"], update=())


async def load_nodes(tx: Transaction, hashes: Iterable[bytes]) -> dict[bytes, bytes]:
    """Encoded nodes by hash; those that are not there are left out."""
    wanted = list(hashes)
    found = {row[0]: row[1] for row in await tx.all(_LOAD, hashes=wanted)}
    if len(found) < len(wanted) and (missing := [name for name in wanted if name not in found]):
        found |= await load_aside(tx, missing)
    return found


async def load_aside(tx: Transaction, hashes: Sequence[bytes]) -> dict[bytes, bytes]:
    """Those that were set aside because no state had them (``storage.orphaned_nodes``)."""
    return {row[0]: row[1] for row in await tx.all(_ASIDE, hashes=list(hashes))}


async def insert_nodes(tx: WriteTransaction, nodes: Mapping[bytes, bytes]) -> None:
    """Store nodes; those that are there already stay."""
    await tx.many(_INSERT, [{"hash": name, "node": node} for name, node in nodes.items()])
