"""Deletes states that nothing refers to any more.

A node names events of one room, so no two rooms have one in common. Those below are deleted before those
above: where a node is not there, nothing is below it, whenever the work was cut short.
"""

from __future__ import annotations

from collections.abc import Collection, Iterable, Mapping
from functools import partial

from palpo.core.state_tree import EMPTY_ROOT, child_hashes
from palpo.db.engine import Database
from palpo.storage import room_rows
from palpo.storage import state as storage
from palpo.streams.turns import Turns

BATCH = 500
"""Nodes that are read, or deleted, at once."""


async def delete_trees(db: Database, roots: Iterable[bytes]) -> int:
    """Delete states, by their roots, of which nothing is needed; how many nodes."""
    levels = await _levels(db, set(roots) - {EMPTY_ROOT}, frozenset())
    return await _delete(db, levels)


async def _levels(db: Database, level: set[bytes], without: Collection[bytes]) -> list[list[bytes]]:
    """What is stored of some nodes and all below them, each level below the one before."""
    levels: list[list[bytes]] = []
    seen: set[bytes] = set()
    turns = Turns()
    while level:
        stored: list[bytes] = []
        below: set[bytes] = set()
        names = list(level)
        for at in range(0, len(names), BATCH):
            found: Mapping[bytes, bytes] = await db.read(
                partial(storage.load_nodes, hashes=names[at : at + BATCH])
            )
            stored += found
            for node in found.values():
                await turns.breathe()
                below.update(child_hashes(node))
        seen |= level
        levels.append(stored)
        level = {name for name in below - seen if name not in without}
    return levels


async def _delete(db: Database, levels: list[list[bytes]]) -> int:
    count = 0
    for level in reversed(levels):
        for at in range(0, len(level), BATCH):
            some = level[at : at + BATCH]
            await db.write(partial(room_rows.remove_nodes, hashes=some))
            count += len(some)
    return count
