"""Order of events, and where a gap is."""

from __future__ import annotations

import random
from collections.abc import Sequence

from hypothesis import given
from hypothesis import strategies as st

from palpo.core.events import SignedEvent
from palpo.core.identifiers import RoomId, UserId
from palpo.core.missing import edges, history_of, in_order, resting_on

Graph = list[tuple[list[int], list[int]]]
"""Of each event the numbers of those before it, and of its auth events."""


def event(name: str, prev: Sequence[str] = (), auth: Sequence[str] = ()) -> SignedEvent:
    return SignedEvent(
        event_id=name,
        room_id=RoomId("!r:a"),
        type="m",
        sender=UserId("@a:a"),
        state_key=None,
        origin_server_ts=1,
        content={},
        depth=1,
        prev_events=tuple(prev),
        auth_events=tuple(auth),
        pdu={},
    )


@st.composite
def graphs(draw: st.DrawFn) -> list[SignedEvent]:
    """Events, each after those that it refers to."""
    made: list[SignedEvent] = []
    for number in range(draw(st.integers(1, 12))):
        numbers = st.lists(st.integers(0, number - 1), max_size=3, unique=True) if number else st.just([])
        prev, auth = draw(numbers), draw(numbers)
        made.append(event(f"${number}", [f"${n}" for n in prev], [f"${n}" for n in auth]))
    return made


@given(graphs(), st.randoms(use_true_random=False))
def test_what_is_referred_to_comes_first(events: list[SignedEvent], random_: random.Random) -> None:
    shuffled = list(events)
    random_.shuffle(shuffled)
    seen: set[str] = set()
    for item in in_order(shuffled):
        assert {*item.prev_events, *item.auth_events} <= seen
        seen.add(item.event_id)
    assert seen == {item.event_id for item in events}


def test_what_is_in_order_stays_so() -> None:
    events = [event("$1"), event("$2"), event("$3", ["$1"]), event("$4", ["$elsewhere"])]
    assert in_order([*events, events[0]]) == events


def test_what_comes_before_itself_is_left_out() -> None:
    """As IDs that are chosen can have it."""
    ring = [event("$1", ["$2"]), event("$2", ["$1"]), event("$3", auth=["$3"]), event("$4", ["$1"])]
    good = event("$5")
    assert in_order([*ring, good]) == [good]
    others = {item.event_id: item for item in ring}
    assert history_of(ring[0], others).keys() == {"$1", "$2"}


@given(graphs())
def test_history(events: list[SignedEvent]) -> None:
    others = {item.event_id: item for item in events}
    found = history_of(events[-1], others)
    reached, waiting = {events[-1].event_id}, [events[-1]]
    while waiting:
        for name in waiting.pop().prev_events:
            if name not in reached:
                reached.add(name)
                waiting.append(others[name])
    assert found.keys() == reached


def test_edges() -> None:
    events = {
        item.event_id: item
        for item in (event("$1", ["$a"]), event("$2", ["$1", "$b", "$c"]), event("$3", ["$2"]))
    }
    assert edges(events, {"$a", "$c"}) == {"$2": ("$b",)}
    assert edges(events, {"$a", "$b", "$c"}) == {}


def test_resting_on() -> None:
    events = [event("$1"), event("$2", ["$1"]), event("$3", auth=["$2"]), event("$4", ["$0"])]
    assert resting_on(events, {"$1"}) == {"$2", "$3"}
