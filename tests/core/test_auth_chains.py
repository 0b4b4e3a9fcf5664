"""The index of auth chains against walks over whole graphs."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from typing import TypeVar
from unittest.mock import patch

from hypothesis import given, settings
from hypothesis import strategies as st

from palpo.core import auth_chains
from palpo.core.auth_chains import BLOCK, Block, Link, Placement, Placer, Position, Span
from palpo.core.driving import drive
from tests.core.state_rooms import ALICE, BOB, Room

Graph = dict[str, tuple[str, ...]]
T = TypeVar("T")


class Reader:
    """Runs reading operations on what they ask for and no more; counts the links read."""

    def __init__(self, links: Mapping[int, Sequence[Link]]) -> None:
        self.links = links
        self.read = 0

    def run(self, operation: auth_chains.Reading[T]) -> T:
        return drive(operation, self.answer)

    def answer(self, needed: Iterable[Block]) -> dict[int, list[Link]]:
        answer: dict[int, list[Link]] = {}
        for chain, first in needed:
            found = [
                link
                for link in self.links.get(chain, ())
                if first <= link.from_seq < first + auth_chains.BLOCK
            ]
            self.read += len(found)
            answer.setdefault(chain, []).extend(found)
        return answer


class Index:
    """What storage would hold, filled one event or several at a time."""

    def __init__(self) -> None:
        self.positions: dict[str, Position] = {}
        self.links: dict[int, list[Link]] = {}
        self.taken: set[Position] = set()

    def placer(self) -> Placer:
        tips: dict[int, int] = {}
        for chain, seq in self.positions.values():
            tips[chain] = max(seq, tips.get(chain, 0))
        return Placer(positions=self.positions, tips=tips, links=self.links, next_chain=len(tips) + 1)

    def add(self, event_id: str, placement: Placement) -> None:
        assert placement.position not in self.taken
        self.taken.add(placement.position)
        self.positions[event_id] = placement.position
        if placement.links:
            self.links.setdefault(placement.position.chain, []).extend(placement.links)

    def at(self, event_ids: Iterable[str]) -> list[Position]:
        return [self.positions[event_id] for event_id in event_ids]

    def names(self, spans: list[Span]) -> set[str]:
        found = {
            name: (chain, seq)
            for name, (chain, seq) in self.positions.items()
            if any(span.chain == chain and span.first <= seq <= span.last for span in spans)
        }
        assert len(found) == sum(span.last - span.first + 1 for span in spans)
        return set(found)


def closure(graph: Graph, event_ids: Iterable[str]) -> set[str]:
    chain: set[str] = set()
    waiting = list(event_ids)
    while waiting:
        event_id = waiting.pop()
        if event_id not in chain:
            chain.add(event_id)
            waiting += graph[event_id]
    return chain


@st.composite
def graphs(draw: st.DrawFn) -> tuple[Graph, dict[str, str | None]]:
    """Random acyclic graphs, and for some events one that they replace."""
    graph: Graph = {}
    replaces: dict[str, str | None] = {}
    for number in range(draw(st.integers(1, 25))):
        cited = draw(st.lists(st.sampled_from(sorted(graph)), max_size=4, unique=True)) if graph else []
        graph[f"${number}"] = tuple(cited)
        replaces[f"${number}"] = draw(st.sampled_from([None, *cited]))
    return graph, replaces


@settings(max_examples=300)
@given(graphs(), st.data())
def test_agrees_with_walks_over_the_graph(
    made: tuple[Graph, dict[str, str | None]], data: st.DataObject
) -> None:
    with patch.object(auth_chains, "BLOCK", data.draw(st.sampled_from([1, 2, 3, 64]))):
        compare(*made, data)


def compare(graph: Graph, replaces: dict[str, str | None], data: st.DataObject) -> None:
    index = Index()
    placer = index.placer()
    for event_id, cited in graph.items():
        if data.draw(st.booleans()):
            placer = index.placer()
        index.add(event_id, placer.place(event_id, cited, replaces=replaces[event_id]))
    some = st.sets(st.sampled_from(sorted(graph)), max_size=4)
    state_sets = data.draw(st.lists(some, min_size=1, max_size=3))
    chains = [closure(graph, state_set) for state_set in state_sets]
    spans = Reader(index.links).run(auth_chains.auth_difference([index.at(s) for s in state_sets]))
    assert spans == drive(
        auth_chains.auth_difference([index.at(s) for s in state_sets]), lambda blocks: index.links
    )
    assert index.names(spans) == set[str]().union(*chains) - chains[0].intersection(*chains)
    reach = Reader(index.links).run(auth_chains.reach(index.at(state_sets[0])))
    assert index.names([Span(chain, 1, last) for chain, last in reach.items()]) == chains[0]
    ends = state_sets[0]
    spans = Reader(index.links).run(auth_chains.conflicted_subgraph(index.at(ends)))
    assert index.names(spans) == {name for name in chains[0] if closure(graph, [name]) & ends}


def test_an_event_continues_the_chain_of_what_it_replaces() -> None:
    placer = Placer(positions={}, tips={}, links={}, next_chain=7)
    assert placer.place("$a", [], replaces=None) == Placement(Position(7, 1), ())
    assert placer.place("$b", ["$a"], replaces="$a") == Placement(Position(7, 2), ())
    fork = placer.place("$c", ["$a"], replaces="$a")
    assert fork == Placement(Position(8, 1), (Link(1, 7, 1),))
    assert placer.place("$d", ["$b", "$c"], replaces="$b") == Placement(Position(7, 3), (Link(3, 8, 1),))
    assert placer.next_chain == 9


def test_what_a_link_says_already_is_left_out() -> None:
    placer = Placer(positions={}, tips={}, links={}, next_chain=1)
    placer.place("$create", [], replaces=None)
    placer.place("$power", ["$create"], replaces=None)
    member = placer.place("$member", ["$create", "$power"], replaces=None)
    assert member.links == (Link(1, 2, 1),)
    assert placer.place("$rename", ["$create", "$power", "$member"], replaces="$member").links == ()


def test_unknown_auth_events_are_left_out_and_places_are_kept() -> None:
    placer = Placer(positions={}, tips={}, links={}, next_chain=1)
    first = placer.place("$a", ["$unknown"], replaces="$unknown")
    assert first == Placement(Position(1, 1), ())
    assert placer.place("$a", ["$unknown"], replaces=None) == first


def test_replaced_finds_the_auth_event_with_the_same_key() -> None:
    main = Room("11").start()
    events = main.room.events
    renamed = main.send("$renamed", BOB, ("m.room.member", BOB), {"membership": "join"})
    cited = [events[name] for name in renamed.auth_events]
    assert auth_chains.replaced(renamed, cited) == f"$join-{BOB}"
    assert auth_chains.replaced(events["$power"], [events["$create"]]) is None


def test_the_difference_costs_the_same_in_an_old_room() -> None:
    """Thousands of joins, renames and power levels later, as many links are read for a conflict."""
    costs = []
    for age in (10, 1000):
        main = Room("11").start()
        for number in range(age):
            user = f"@user{number}:example.org"
            main.join(user)
            main.send(f"$renamed{number}", user, ("m.room.member", user), {"membership": "join"})
            main.power(f"$power{number}", ALICE, {BOB: 50})
        events = main.room.events
        one, other = main.fork(), main.fork()
        one.topic("$one", ALICE)
        other.ban("$ban", BOB, "@user3:example.org")
        index = Index()
        placer = index.placer()
        for event in events.values():
            same_key = auth_chains.replaced(event, [events[name] for name in event.auth_events])
            index.add(event.event_id, placer.place(event.event_id, event.auth_events, replaces=same_key))
        assert sum(map(len, index.links.values())) < 2 * len(events)
        operation = auth_chains.auth_difference([index.at(["$one"]), index.at(["$ban"])])
        reader = Reader(index.links)
        assert index.names(reader.run(operation)) == {
            "$one",
            "$ban",
            "$public",
            f"$join-{BOB}",
            "$join-@user3:example.org",
            "$renamed3",
        }
        costs.append(reader.read)
    assert costs[0] == costs[1] < 20


def test_a_restless_room_costs_no_more_when_it_is_old() -> None:
    """Someone renames himself and sets power levels by turns: two chains with links at every step."""
    costs = []
    for age in (100, 700):
        main = Room("11").start()
        for number in range(age):
            main.send(f"$renamed{number}", ALICE, ("m.room.member", ALICE), {"membership": "join"})
            main.power(f"$power{number}", ALICE, {BOB: 50})
        one, other = main.fork(), main.fork()
        one.power("$one", ALICE, {BOB: 60})
        other.topic("$other", BOB)
        events, index = main.room.events, Index()
        placer = index.placer()
        for event in events.values():
            same_key = auth_chains.replaced(event, [events[name] for name in event.auth_events])
            index.add(event.event_id, placer.place(event.event_id, event.auth_events, replaces=same_key))
        reader = Reader(index.links)
        ends = ["$one", "$other", f"$renamed{age - 5}"]
        graph = {name: event.auth_events for name, event in events.items()}
        expected = {name for name in closure(graph, ends) if closure(graph, [name]) & set(ends)}
        assert index.names(reader.run(auth_chains.conflicted_subgraph(index.at(ends)))) == expected
        operation = auth_chains.auth_difference([index.at(["$one"]), index.at(["$other"])])
        assert index.names(reader.run(operation)) == {"$one", "$other", f"$join-{BOB}"}
        costs.append(reader.read)
    assert max(costs) < 6 * BLOCK < 500
