"""Deletes states that nothing refers to any more.

A node names events of one room, so no two rooms have one in common. Those below are deleted before those
above: where a node is not there, nothing is below it, whenever the work was cut short.
"""

from __future__ import annotations

from collections.abc import Awaitable, Callable, Collection, Iterable, Iterator, Mapping
from functools import partial

from palpo.core.state_tree import EMPTY_ROOT, HASH_SIZE, child_hashes, fresh
from palpo.db.engine import Database
from palpo.db.transaction import Transaction, WriteTransaction
from palpo.services.history.event_store import EventStore
from palpo.storage import room_rows
from palpo.storage import state as storage
from palpo.streams.turns import Turns

BATCH = 500
"""Nodes that are read, or deleted, at once."""
BITS = 2**25
"""Of what is remembered of nodes that are needed: 4 MiB, enough for a million of them."""

Guard = Callable[[Transaction], Awaitable[bool]]
"""Whether nothing has come meanwhile that may need what is about to be deleted."""


class NodesInUse:
    """Nodes that are needed. Of others it may say so too, of a few: they stay longer than they have to."""

    def __init__(self, events: EventStore) -> None:
        self._events = events
        self._bits = bytearray(BITS // 8)
        self._last = EMPTY_ROOT

    async def add(self, root: bytes) -> None:
        """A state is needed: of its nodes, those are looked at that the state before it has not."""
        if root == self._last:
            return
        async for node in Turns().over(await self._events.read_state(fresh(self._last, root))):
            for at, bit in _places(node):
                self._bits[at] |= bit
        self._last = root

    def forget_last(self) -> None:
        """The next state is another room's: it has nothing in common with the last one."""
        self._last = EMPTY_ROOT

    def __contains__(self, node: object) -> bool:
        assert isinstance(node, bytes)
        return all(self._bits[at] & bit for at, bit in _places(node))


def _places(node: bytes) -> Iterator[tuple[int, int]]:
    for start in range(0, HASH_SIZE, 4):
        place = int.from_bytes(node[start : start + 4], "big") % BITS
        yield place >> 3, 1 << (place & 7)


async def delete_trees(
    db: Database,
    roots: Iterable[bytes],
    *,
    without: Collection[bytes] | NodesInUse = (),
    guard: Guard | None = None,
) -> bool:
    """Delete states, by their roots, but for nodes that are needed. False where the ``guard`` stopped it."""
    level = {root for root in roots if root != EMPTY_ROOT and root not in without}
    for names in reversed(await _levels(db, level, without)):
        for at in range(0, len(names), BATCH):
            unit = partial(_delete, hashes=names[at : at + BATCH], guard=guard)
            if not await db.write(unit):
                return False
    return True


async def _levels(
    db: Database, level: set[bytes], without: Collection[bytes] | NodesInUse
) -> list[list[bytes]]:
    """What is stored of some nodes and all below them, each level below the one before."""
    levels: list[list[bytes]] = []
    seen: set[bytes] = set()
    turns = Turns()
    while level:
        stored: list[bytes] = []
        below: set[bytes] = set()
        names = list(level)
        for at in range(0, len(names), BATCH):
            unit = partial(storage.load_nodes, hashes=names[at : at + BATCH])
            found: Mapping[bytes, bytes] = await db.read(unit)
            stored += found
            for node in found.values():
                await turns.breathe()
                below.update(child_hashes(node))
        seen |= level
        levels.append(stored)
        level = {name for name in below - seen if name not in without}
    return levels


async def _delete(tx: WriteTransaction, hashes: list[bytes], guard: Guard | None) -> bool:
    if guard is not None:
        await tx.positions()
        if not await guard(tx):
            return False
    await room_rows.remove_nodes(tx, hashes)
    return True
