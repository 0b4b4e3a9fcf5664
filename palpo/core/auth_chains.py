"""An index of auth chains: who rests on whom, at a cost that does not grow with the room's age.

Every state event has a *position*, a chain and a sequence number in it. An event rests on (has in its
auth chain) every earlier event of its own chain. Links say which other chains an event rests on:
``(from_chain, from_seq) → (to_chain, to_seq)``, and so all before ``to_seq`` there. A link that
follows from other links is mostly left out. The chain of an event is that of the auth event it
replaces, so a room has about as many chains as state keys.

Chains may be long and have many links, so they are read in *blocks* of ``BLOCK`` numbers. A block's
first event repeats the chain's last link to each other chain: what an event rests on is then told by
the links of its own block up to it.

An auth chain is then one sequence number a chain, and the difference between auth chains of any
length is a few *spans* of sequence numbers. What is needed of storage: the positions of events, the
last number of a chain, and the links out of blocks. Reading operations are generators: they yield the
blocks that they need and are sent ``Mapping[chain, Sequence[Link]]`` with the links of these, or more;
a chain without links may be left out.
"""

from __future__ import annotations

from collections.abc import Collection, Generator, Iterable, Mapping, Sequence
from typing import NamedTuple, TypeVar

from palpo.core.events import Event

_T = TypeVar("_T")
BLOCK = 64
"""Stored indexes are made with it: changing it makes them unreadable."""


class Position(NamedTuple):
    """Where an event stands in the index."""

    chain: int
    seq: int
    """From 1, without gaps."""


class Link(NamedTuple):
    """The events of a chain from a number on rest on another chain up to a number."""

    from_seq: int
    to_chain: int
    to_seq: int


class Block(NamedTuple):
    """The numbers of a chain from a multiple of ``BLOCK`` to below the next."""

    chain: int
    first: int


class Span(NamedTuple):
    """Consecutive events of a chain, both ends included."""

    chain: int
    first: int
    last: int


class Placement(NamedTuple):
    """What to store for a new event: its position, and the links from it."""

    position: Position
    links: tuple[Link, ...]


Reach = dict[int, int]
"""An auth chain: for each chain that it touches, the last number it includes."""
_Blocks = dict[Block, Sequence[Link]]
Reading = Generator[tuple[Block, ...], Mapping[int, Sequence[Link]], _T]


def block_of(position: Position) -> Block:
    """The block that a position is in."""
    return Block(position.chain, position.seq - position.seq % BLOCK)


def replaced(event: Event, auth_events: Iterable[Event]) -> str | None:
    """The auth event that ``event`` takes the place of in the room's state."""
    return next((auth.event_id for auth in auth_events if auth.is_state and auth.key == event.key), None)


class Placer:
    """Gives positions to new events, each after its auth events.

    Starts from what storage has: positions of the auth events, and for their chains the last number
    (``tips``) and the links out (``links``), of their blocks at least. Events placed are known to those
    that follow.
    """

    def __init__(
        self,
        *,
        positions: Mapping[str, Position],
        tips: Mapping[int, int],
        links: Mapping[int, Sequence[Link]],
        next_chain: int,
    ) -> None:
        self._positions = dict(positions)
        self._tips = dict(tips)
        self._links = {chain: list(out) for chain, out in links.items()}
        self.next_chain = next_chain
        """The number that the next new chain gets."""

    def place(self, event_id: str, auth_events: Iterable[str], *, replaces: str | None) -> Placement:
        """The position of an event; ``replaces`` names the auth event with its state key, if any.

        Auth events without a position are left out, as if the event did not cite them. An event that
        has a position keeps it, without further links.
        """
        if event_id in self._positions:
            return Placement(self._positions[event_id], ())
        cited: Reach = {}
        for name in auth_events:
            if name in self._positions:
                chain, seq = self._positions[name]
                cited[chain] = max(seq, cited.get(chain, 0))
        position = self._next_position(replaces)
        links = self._new_links(position, cited)
        self._positions[event_id] = position
        self._tips[position.chain] = position.seq
        self._links.setdefault(position.chain, []).extend(links)
        return Placement(position, links)

    def _next_position(self, replaces: str | None) -> Position:
        """Behind the event that is replaced if nothing is there yet, else in a chain of its own."""
        before = self._positions.get(replaces) if replaces is not None else None
        if before is not None and self._tips[before.chain] == before.seq:
            return Position(before.chain, before.seq + 1)
        self.next_chain += 1
        return Position(self.next_chain - 1, 1)

    def _new_links(self, position: Position, cited: Reach) -> tuple[Link, ...]:
        """Links for what ``cited`` adds; what one link away says already is left out."""
        before = self._linked(Position(position.chain, position.seq - 1))
        implied: Reach = {position.chain: position.seq - 1}
        for near in (before, *(self._linked(Position(chain, seq)) for chain, seq in cited.items())):
            for chain, seq in near.items():
                implied[chain] = max(seq, implied.get(chain, 0))
        new = {chain: seq for chain, seq in cited.items() if seq > implied.get(chain, 0)}
        if position.seq % BLOCK == 0:
            new = before | new
        return tuple(Link(position.seq, chain, seq) for chain, seq in sorted(new.items()))

    def _linked(self, position: Position) -> Reach:
        """What the links of an event and those before it in its chain reach at once."""
        linked: Reach = {}
        for from_seq, chain, seq in self._links.get(position.chain, ()):
            if from_seq <= position.seq and seq > linked.get(chain, 0):
                linked[chain] = seq
        return linked


def reach(positions: Iterable[Position]) -> Reading[Reach]:
    """The union of the auth chains of the events at ``positions``, with these events."""
    return (yield from _reaches([positions], {}))[0]


def below(positions: Iterable[Position]) -> Reading[Reach]:
    """The union of the auth chains of the events at ``positions``, of which only those are in it that others
    rest on."""
    at = set(positions)
    blocks: _Blocks = {}
    yield from _load(blocks, (block_of(position) for position in at))
    cited = [Position(chain, seq - 1) for chain, seq in at if seq > 1]
    cited += [
        Position(link.to_chain, link.to_seq)
        for position in at
        for link in blocks[block_of(position)]
        if link.from_seq <= position.seq
    ]
    return (yield from _reaches([cited], blocks))[0]


def auth_difference(state_sets: Sequence[Iterable[Position]]) -> Reading[list[Span]]:
    """The events in some but not all of the sets' auth chains; each includes the set's own events."""
    reaches = yield from _reaches(state_sets, {})
    chains = {chain for one in reaches for chain in one}
    spans = []
    for chain in sorted(chains):
        ends = [one.get(chain, 0) for one in reaches]
        if min(ends) < max(ends):
            spans.append(Span(chain, min(ends) + 1, max(ends)))
    return spans


def conflicted_subgraph(positions: Collection[Position]) -> Reading[list[Span]]:
    """The events on auth paths between any two of the events at ``positions``, with the ends."""
    blocks: _Blocks = {}
    below = (yield from _reaches([positions], blocks))[0]
    above = yield from _above(positions, below, blocks)
    return [
        Span(chain, above[chain], last)
        for chain, last in sorted(below.items())
        if above.get(chain, last + 1) <= last
    ]


def _load(blocks: _Blocks, needed: Iterable[Block]) -> Reading[None]:
    """Add those of the blocks that are not there yet."""
    missing = tuple(sorted(set(needed) - blocks.keys()))
    if missing:
        found = yield missing
        for block in missing:
            end = block.first + BLOCK
            out = found.get(block.chain, ())
            blocks[block] = [link for link in out if block.first <= link.from_seq < end]


def _reaches(state_sets: Sequence[Iterable[Position]], blocks: _Blocks) -> Reading[list[Reach]]:
    """For each set, what its events and all they rest on reach; adds the blocks read to ``blocks``."""
    reaches: list[Reach] = [{} for _ in state_sets]
    fresh = [(index, chain, seq) for index, positions in enumerate(state_sets) for chain, seq in positions]
    while fresh:
        advanced: set[tuple[int, int]] = set()
        for index, chain, seq in fresh:
            if seq > reaches[index].get(chain, 0):
                advanced.add((index, chain))
                reaches[index][chain] = seq
        at = [(index, Position(chain, reaches[index][chain])) for index, chain in advanced]
        yield from _load(blocks, (block_of(position) for _, position in at))
        fresh = [
            (index, link.to_chain, link.to_seq)
            for index, position in at
            for link in blocks[block_of(position)]
            if link.from_seq <= position.seq
        ]
    return reaches


def _above(positions: Collection[Position], below: Reach, blocks: _Blocks) -> Reading[Reach]:
    """``_lowest_above`` among the events ``below``, reading chains from their ends as far as it takes.

    Where the links that a block begins with lead to nothing above, no earlier ones do.
    """
    read = {chain: block_of(Position(chain, last)).first for chain, last in below.items()}
    count = 1
    while True:
        lowest = _lowest_above(positions, blocks)
        pending = [
            chain
            for chain, first in read.items()
            if any(
                link.from_seq == first and link.to_seq >= lowest.get(link.to_chain, link.to_seq + 1)
                for link in blocks[Block(chain, first)]
            )
        ]
        if not pending:
            return lowest
        needed = []
        for chain in pending:
            start = max(read[chain] - count * BLOCK, 0)
            needed += [Block(chain, first) for first in range(start, read[chain], BLOCK)]
            read[chain] = start
        yield from _load(blocks, needed)
        count *= 2


def _lowest_above(positions: Iterable[Position], blocks: _Blocks) -> Reach:
    """For each chain, the first event that rests on, or is, one of those at ``positions``."""
    into: dict[int, list[tuple[int, Link]]] = {}
    for (chain, _), out in blocks.items():
        for link in out:
            into.setdefault(link.to_chain, []).append((chain, link))
    lowest: Reach = {}
    waiting = list(positions)
    while waiting:
        chain, seq = waiting.pop()
        if seq < lowest.get(chain, seq + 1):
            lowest[chain] = seq
            waiting += [
                Position(source, link.from_seq) for source, link in into.get(chain, ()) if link.to_seq >= seq
            ]
    return lowest
