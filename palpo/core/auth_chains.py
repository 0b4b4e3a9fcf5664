"""An index of auth chains: who rests on whom, at a cost that does not grow with the room's age.

Every state event has a *position*, a chain and a sequence number in it. An event rests on (has in its
auth chain) every earlier event of its own chain. Links say which other chains an event rests on:
``(from_chain, from_seq) → (to_chain, to_seq)``, and so all before ``to_seq`` there. A link that
follows from other links is mostly left out. The chain of an event is that of the auth event it
replaces, so a room has about as many chains as state keys.

An auth chain is then one sequence number a chain, and the difference between auth chains of any
length is a few *spans* of sequence numbers. What is needed of storage: the positions of events, the
last number of a chain, and the links out of chains. Reading operations are generators: they yield the
chains whose links they need and are sent ``Mapping[chain, Sequence[Link]]``; a chain without links
may be left out.
"""

from __future__ import annotations

from collections.abc import Collection, Generator, Iterable, Mapping, Sequence
from typing import NamedTuple, TypeVar

from palpo.core.events import Event

_T = TypeVar("_T")


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
Reading = Generator[tuple[int, ...], Mapping[int, Sequence[Link]], _T]


def drive(operation: Reading[_T], links: Mapping[int, Sequence[Link]]) -> _T:
    """Run ``operation`` with all links in memory."""
    try:
        next(operation)
        while True:
            operation.send(links)
    except StopIteration as done:
        result: _T = done.value
        return result


def replaced(event: Event, auth_events: Iterable[Event]) -> str | None:
    """The auth event that ``event`` takes the place of in the room's state."""
    return next((auth.event_id for auth in auth_events if auth.is_state and auth.key == event.key), None)


class Placer:
    """Gives positions to new events, each after its auth events.

    Starts from what storage has: positions of the auth events, and for their chains the last number
    (``tips``) and the links out (``links``). Events placed are known to those that follow.
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
        implied: Reach = {position.chain: position.seq - 1}
        for chain, seq in {**cited, position.chain: position.seq - 1}.items():
            for link in self._links.get(chain, ()):
                if link.from_seq <= seq and link.to_seq > implied.get(link.to_chain, 0):
                    implied[link.to_chain] = link.to_seq
        return tuple(
            Link(position.seq, chain, seq)
            for chain, seq in sorted(cited.items())
            if seq > implied.get(chain, 0)
        )


def reach(positions: Iterable[Position]) -> Reading[Reach]:
    """The union of the auth chains of the events at ``positions``, with these events."""
    return (yield from _reaches([positions], {}))[0]


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
    links: dict[int, Sequence[Link]] = {}
    below = (yield from _reaches([positions], links))[0]
    above = _lowest_above(positions, links)
    return [
        Span(chain, above[chain], last)
        for chain, last in sorted(below.items())
        if above.get(chain, last + 1) <= last
    ]


def _reaches(
    state_sets: Sequence[Iterable[Position]], links: dict[int, Sequence[Link]]
) -> Reading[list[Reach]]:
    """For each set, what its events and all they rest on reach; adds the links read to ``links``."""
    reaches: list[Reach] = [{} for _ in state_sets]
    fresh = [(index, chain, seq) for index, positions in enumerate(state_sets) for chain, seq in positions]
    while fresh:
        advanced: dict[tuple[int, int], int] = {}
        for index, chain, seq in fresh:
            before = reaches[index].get(chain, 0)
            if seq > before:
                advanced.setdefault((index, chain), before)
                reaches[index][chain] = seq
        needed = tuple(sorted({chain for _, chain in advanced} - links.keys()))
        if needed:
            found = yield needed
            links.update((chain, found.get(chain, ())) for chain in needed)
        fresh = [
            (index, link.to_chain, link.to_seq)
            for (index, chain), before in advanced.items()
            for link in links[chain]
            if before < link.from_seq <= reaches[index][chain]
        ]
    return reaches


def _lowest_above(positions: Iterable[Position], links: Mapping[int, Sequence[Link]]) -> Reach:
    """For each chain, the first event that rests on, or is, one of those at ``positions``."""
    into: dict[int, list[tuple[int, Link]]] = {}
    for chain, out in links.items():
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
