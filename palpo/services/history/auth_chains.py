"""Questions about auth chains, whose answers cost what they differ in and not what they are long."""

from __future__ import annotations

from collections.abc import Awaitable, Callable, Collection, Iterable, Sequence
from functools import partial
from itertools import islice
from typing import TypeVar

from palpo.core import auth_chains
from palpo.core.auth_chains import Position, Reach, Reading, Span
from palpo.core.driving import drive_async
from palpo.db.engine import Database
from palpo.db.transaction import Transaction
from palpo.storage import auth_chains as storage
from palpo.streams.turns import Turns

T = TypeVar("T")
BATCH = 500
"""How many events' auth chains are looked through at once."""


class AuthChains:
    """Reads the index of auth chains. Events that are not in it are left out."""

    def __init__(self, db: Database) -> None:
        self._db = db

    async def of(self, event_ids: Iterable[str]) -> set[str]:
        """The whole auth chains of state events, of which only those are in them that others rest on."""
        whole: Reach = {}
        rest, turns = iter(event_ids), Turns()
        while batch := list(islice(rest, BATCH)):
            await turns.breathe()
            part = await self._db.read(_at(batch, lambda at: auth_chains.below(at.values())))
            for chain, seq in part.items():
                whole[chain] = max(seq, whole.get(chain, 0))
        found: set[str] = set()
        spans = (Span(chain, 1, seq) for chain, seq in sorted(whole.items(), key=lambda item: item[1]))
        while some := list(islice(spans, BATCH)):
            await turns.breathe()
            found |= await self._db.read(partial(storage.event_ids, spans=some))
        return found

    async def difference(self, state_sets: Sequence[Collection[str]]) -> set[str]:
        """The events in some but not all of the sets' auth chains; each includes the set's own events."""
        names = {name for state_set in state_sets for name in state_set}

        def spans(at: dict[str, Position]) -> Reading[list[Span]]:
            sets = [[at[name] for name in state_set if name in at] for state_set in state_sets]
            return auth_chains.auth_difference(sets)

        return await self._db.read(_named(names, spans))

    async def subgraph(self, event_ids: Collection[str]) -> set[str]:
        """The events on auth paths between any two of the events, with the ends."""
        return await self._db.read(_named(event_ids, lambda at: auth_chains.conflicted_subgraph(at.values())))

    async def shared(self, candidates: Collection[str], event_ids: Iterable[str]) -> set[str]:
        """Those of the candidates that are among the events or in their auth chains.

        Looks through as few of the events as it takes to find every candidate.
        """
        left = await self._db.read(lambda tx: storage.positions(tx, candidates))
        found: set[str] = set()
        rest = iter(event_ids)
        while left and (batch := list(islice(rest, BATCH))):
            reach = await self._db.read(_at(batch, lambda at: auth_chains.reach(at.values())))
            found.update(name for name, (chain, seq) in left.items() if seq <= reach.get(chain, 0))
            left = {name: position for name, position in left.items() if name not in found}
        return found


def _at(
    event_ids: Iterable[str], operation: Callable[[dict[str, Position]], Reading[T]]
) -> Callable[[Transaction], Awaitable[T]]:
    """The unit of work that runs ``operation`` on the positions of events."""

    async def unit(tx: Transaction) -> T:
        at = await storage.positions(tx, event_ids)
        return await drive_async(operation(at), partial(storage.links, tx))

    return unit


def _named(
    event_ids: Iterable[str], operation: Callable[[dict[str, Position]], Reading[list[Span]]]
) -> Callable[[Transaction], Awaitable[set[str]]]:
    """The same, where the result is spans: the events in them."""
    spans = _at(event_ids, operation)

    async def unit(tx: Transaction) -> set[str]:
        return await storage.event_ids(tx, await spans(tx))

    return unit
