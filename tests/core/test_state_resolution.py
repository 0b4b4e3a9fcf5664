"""State resolution: scenarios of the specification and its proposals, and a literal reference."""

from __future__ import annotations

from collections.abc import Sequence
from hashlib import sha1
from itertools import permutations

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from palpo.core import state_tree
from palpo.core.auth_rules import auth_types_for
from palpo.core.driving import drive
from palpo.core.events import SignedEvent, StateKey
from palpo.core.power_levels import PowerLevels
from palpo.core.room_versions import StateResolution
from palpo.core.state_resolution import (
    MemoryRoom,
    NeedEvents,
    NeedState,
    NeedUnconflictedAncestors,
    Pause,
    Request,
    find_conflicts,
    resolve,
    resolve_states,
    split,
)
from palpo.core.state_resolution.memory import auth_chain, auth_difference, conflicted_subgraph
from palpo.core.state_resolution.ordering import is_power_event, mainline_order
from palpo.core.state_resolution.replay import is_allowed
from palpo.core.state_resolution.requests import STEP, Known
from tests.core.state_rooms import (
    ALICE,
    BOB,
    CHARLIE,
    CREATE,
    EVE,
    JOIN_RULES,
    POWER,
    TOPIC,
    Fork,
    Room,
    member,
)

MODERN = pytest.mark.parametrize("version", ["2", "6", "11", "12"])
EVERY = pytest.mark.parametrize("version", ["1", "2", "6", "11", "12"])
State = dict[StateKey, str]


def resolved(*forks: Fork, rejected: tuple[str, ...] = ()) -> State:
    """The resolution of the forks, which must not depend on their order."""
    room = forks[0].room
    results = [
        resolve_states(room.rules, [fork.state for fork in order], room.events, rejected)
        for order in permutations(forks)
    ]
    assert all(result == results[0] for result in results)
    return results[0]


class Recorder(MemoryRoom):
    """Keeps the requests it answers."""

    requests: list[Request]

    def answer(self, request: Request) -> object:
        self.requests.append(request)
        return super().answer(request)


def recorded(*forks: Fork) -> tuple[dict[StateKey, str | None], list[Request]]:
    room = forks[0].room
    agreed, conflicts = split([fork.state for fork in forks])
    recorder = Recorder(room.events, agreed)
    recorder.requests = []
    return drive(resolve(room.rules, conflicts), recorder.answer), recorder.requests


# Scenarios


@MODERN
def test_a_ban_beats_the_power_levels_that_the_banned_sets_meanwhile(version: str) -> None:
    main = Room(version).start()
    theirs = main.fork()
    theirs.power("$grab", BOB, {BOB: 50, EVE: 50}, ts=1)
    main.ban("$ban", ALICE, BOB, ts=9)
    state = resolved(main, theirs)
    assert state[member(BOB)] == "$ban"
    assert state[POWER] == "$power"


@MODERN
def test_a_join_does_not_evade_a_join_rule_set_meanwhile(version: str) -> None:
    main = Room(version).start()
    theirs = main.fork()
    main.join_rule("$closed", ALICE, "invite", ts=9)
    theirs.join(EVE)
    state = resolved(main, theirs)
    assert state[JOIN_RULES] == "$closed"
    assert member(EVE) not in state


@MODERN
def test_a_demoted_moderator_who_was_offline_loses_the_topic(version: str) -> None:
    main = Room(version).start()
    main.topic("$first", ALICE)
    theirs = main.fork()
    main.power("$demote", ALICE, {})
    theirs.topic("$late", BOB, ts=50)
    state = resolved(main, theirs)
    assert state[POWER] == "$demote"
    assert state[TOPIC] == "$first"


@MODERN
def test_a_topic_on_newer_power_levels_wins_over_a_later_clock(version: str) -> None:
    main = Room(version).start()
    theirs = main.fork()
    main.power("$newer", ALICE, {BOB: 60})
    main.topic("$on-newer", ALICE, ts=10)
    theirs.topic("$on-older", BOB, ts=99)
    assert resolved(main, theirs)[TOPIC] == "$on-newer"


@MODERN
def test_on_the_same_power_levels_the_later_clock_then_the_greater_id_wins(version: str) -> None:
    main = Room(version).start()
    one, other, third = main.fork(), main.fork(), main.fork()
    one.topic("$b", BOB, ts=10)
    other.topic("$a", ALICE, ts=10)
    third.topic("$c", ALICE, ts=9)
    assert resolved(one, other, third)[TOPIC] == "$b"


@MODERN
def test_of_two_moderators_who_ban_each_other_the_more_powerful_stays(version: str) -> None:
    main = Room(version).start()
    main.power("$two", ALICE, {BOB: 50, CHARLIE: 60})
    one, other = main.fork(), main.fork()
    one.ban("$up", CHARLIE, BOB, ts=90)
    other.power("$down", BOB, {BOB: 50, CHARLIE: 60, EVE: 50}, ts=80)
    state = resolved(one, other)
    assert state[member(BOB)] == "$up"
    assert state[POWER] == "$two"


@MODERN
def test_power_events_rest_on_their_auth_events_first(version: str) -> None:
    """A promotion and what the promoted does with it lie on one fork, a kick on the other."""
    main = Room(version).start()
    one, other = main.fork(), main.fork()
    one.power("$promote", ALICE, {BOB: 50, CHARLIE: 40}, ts=500)
    one.join_rule("$closed", BOB, "invite", ts=2)
    other.send("$kick", BOB, member(CHARLIE), {"membership": "leave"}, ts=300)
    state = resolved(one, other)
    assert (state[POWER], state[JOIN_RULES], state[member(CHARLIE)]) == ("$promote", "$closed", "$kick")


@MODERN
def test_topics_without_any_power_levels(version: str) -> None:
    room = Room(version)
    main = Fork(room, {}, 0)
    main.send("$create", ALICE, CREATE, {"creator": ALICE})
    main.join(ALICE)
    one, other = main.fork(), main.fork()
    one.topic("$one", ALICE, ts=5)
    other.topic("$other", ALICE, ts=4)
    assert resolved(one, other)[TOPIC] == "$one"


def test_problem_a_events_are_judged_by_their_own_history() -> None:
    """MSC4297: both join rules are refused because their sender has left by now; 2.1 keeps the newer."""
    for version, expected in (("11", None), ("12", "$newer")):
        main = Room(version).start()
        stale = main.state[JOIN_RULES]
        main.join_rule("$newer", ALICE, "invite")
        main.send("$left", ALICE, member(ALICE), {"membership": "leave"})
        partial = main.fork()
        partial.state[JOIN_RULES] = stale
        assert resolved(main, partial).get(JOIN_RULES) == expected


def test_problem_b_events_between_the_conflicted_are_replayed() -> None:
    """MSC4297: Bob's promotion is in every auth chain, yet Charlie's does not hold without it."""
    for version, expected in (("11", "$none"), ("12", "$charlie")):
        main = Room(version).start()
        main.power("$none", ALICE, {})
        main.power("$bob", ALICE, {BOB: 50})
        main.power("$charlie", BOB, {BOB: 50, CHARLIE: 50})
        main.join(EVE)
        partial = main.fork()
        partial.state[POWER] = "$none"
        assert resolved(main, partial)[POWER] == expected


@MODERN
def test_events_only_in_the_auth_difference_can_enter_the_state(version: str) -> None:
    main = Room(version).start()
    main.join(EVE)
    partial = main.fork()
    partial.send("$eves", EVE, ("org.example", EVE), {}, check=False)
    for fork in (main, partial):
        del fork.state[member(EVE)]
    state = resolved(main, partial)
    assert state[member(EVE)] == f"$join-{EVE}"
    assert ("org.example", EVE) not in state


@MODERN
def test_rejected_auth_events_are_not_used(version: str) -> None:
    main = Room(version).start()
    main.power("$open", ALICE, {}, ts=5)
    main.send("$open-topics", ALICE, POWER, {"users": main.room.users({}), "state_default": 0})
    main.join_rule("$closed", ALICE, "invite")
    one, other = main.fork(), main.fork()
    one.topic("$one", ALICE, ts=50)
    other.send("$sneak", EVE, member(EVE), {"membership": "join"}, check=False)
    other.topic("$eves", EVE, ts=60)
    del other.state[member(EVE)]
    assert resolved(one, other)[TOPIC] == "$eves"
    assert resolved(one, other, rejected=("$sneak",))[TOPIC] == "$one"


@MODERN
def test_what_lies_below_the_unconflicted_state_is_not_replayed(version: str) -> None:
    main = Room(version).start()
    old = main.state[member(BOB)]
    main.send("$renamed", BOB, member(BOB), {"membership": "join", "displayname": "B"})
    one, other = main.fork(), main.fork()
    one.topic("$one", ALICE, ts=9)
    cited = ["$power", old] if version == "12" else ["$create", "$power", old]
    other.topic("$other", BOB, ts=8, auth=cited)
    changes, requests = recorded(one, other)
    assert changes == {TOPIC: "$one"}
    assert NeedUnconflictedAncestors(candidates=frozenset({old})) in requests


@MODERN
def test_only_what_is_in_conflict_and_what_bears_on_it_is_asked_for(version: str) -> None:
    main = Room(version).start()
    for number in range(50):
        main.join(f"@user{number}:example.org")
    one, other = main.fork(), main.fork()
    one.topic("$one", ALICE)
    other.topic("$other", BOB)
    changes, requests = recorded(one, other)
    assert changes == {TOPIC: "$other"}
    asked = [name for r in requests if isinstance(r, NeedEvents) for name in r.event_ids]
    assert len(asked) == len(set(asked)) < 10
    assert not any(isinstance(r, NeedState) and TOPIC in r.keys for r in requests)
    assert not any(isinstance(r, NeedUnconflictedAncestors) for r in requests)


@MODERN
def test_events_that_are_not_known_are_passed_over(version: str) -> None:
    main = Room(version).start()
    one, other = main.fork(), main.fork()
    one.topic("$one", ALICE)
    other.state[TOPIC] = "$unknown"
    assert resolved(one, other)[TOPIC] == "$one"


def test_states_that_agree_need_nothing() -> None:
    main = Room("12").start()
    assert resolved(main, main.fork()) == main.state
    changes, requests = recorded(main)
    assert (changes, requests) == ({}, [])


# Room version 1


def test_v1_takes_power_levels_by_depth_until_the_first_that_is_refused() -> None:
    main = Room("1").start()
    forks = [main.fork() for _ in range(3)]
    for depth, fork in zip((10, 20, 30), forks, strict=True):
        fork.depth = depth
    forks[0].power("$first", ALICE, {BOB: 50, CHARLIE: 50})
    forks[1].power("$second", ALICE, {BOB: 50, EVE: 50})
    forks[2].power("$third", ALICE, {BOB: 50})
    assert resolved(*forks)[POWER] == "$third"
    forks[1].state, forks[1].depth = dict(main.state), 20
    forks[1].power("$refused", BOB, {BOB: 50})
    assert resolved(*forks)[POWER] == "$first"


def test_v1_settles_join_rules_before_members_and_members_before_the_rest() -> None:
    main = Room("1").start()
    one, other = main.fork(), main.fork()
    one.join_rule("$invite", ALICE, "invite")
    one.send("$leave", CHARLIE, member(CHARLIE), {"membership": "leave"})
    one.topic("$ones", ALICE)
    other.join_rule("$public2", BOB, "public")
    other.ban("$ban", BOB, CHARLIE)
    other.topic("$others", BOB)
    other.topic("$deeper", BOB)
    state = resolved(one, other)
    assert state[TOPIC] == "$deeper"
    assert {state[JOIN_RULES], state[member(CHARLIE)]} <= {"$invite", "$public2", "$leave", "$ban"}


def test_v1_breaks_ties_by_the_digest_of_the_event_id() -> None:
    main = Room("1").start()
    one, other = main.fork(), main.fork()
    one.topic("$a:example.org", ALICE)
    other.topic("$b:example.org", ALICE)
    winner = min("$a:example.org", "$b:example.org", key=lambda name: sha1(name.encode()).digest())
    assert resolved(one, other)[TOPIC] == winner


def test_v1_leaves_out_what_is_not_allowed_and_keeps_what_only_one_state_has() -> None:
    main = Room("1").start()
    one, other = main.fork(), main.fork()
    one.topic("$one", EVE, check=False)
    other.topic("$other", EVE, check=False)
    one.send("$name", ALICE, ("m.room.name", ""), {"name": "n"})
    one.state["x", ""], other.state["x", ""] = "$unknown", "$unknown too"
    state = resolved(one, other)
    assert TOPIC not in state
    assert state["m.room.name", ""] == "$name"
    assert ("x", "") not in state


# Trees


@EVERY
def test_conflicts_of_trees_are_those_of_mappings(version: str) -> None:
    main = Room(version).start()
    for number in range(40):
        main.join(f"@user{number}:example.org")
    forks = [main.fork() for _ in range(3)]
    forks[0].topic("$topic", ALICE)
    forks[1].ban("$ban", ALICE, CHARLIE)
    forks[1].topic("$topic1", ALICE)
    forks[2].ban("$ban2", ALICE, "@user7:example.org")
    updates = [state_tree.build(fork.state) for fork in forks]
    nodes = {name: node for update in updates for name, node in update.new_nodes.items()}
    roots = [update.root for update in updates]
    agreed, conflicts = split([fork.state for fork in forks])
    assert drive(find_conflicts([*roots, roots[0]]), lambda names: nodes) == conflicts
    assert drive(find_conflicts(roots[:1]), lambda names: nodes) == ({},)
    changes = drive(resolve(main.room.rules, conflicts), MemoryRoom(main.room.events, agreed).answer)
    expected = state_tree.build(resolved(*forks)).root
    assert {drive(state_tree.update(root, changes), lambda names: nodes).root for root in roots} == {expected}


# A literal reference: whole state maps and whole auth chains, each definition as it is written


def reference(room: Room, state_sets: Sequence[State]) -> State:
    events, revised = room.events, room.rules.state_resolution is StateResolution.V2_1
    unconflicted = {
        key: name for key, name in state_sets[0].items() if all(s.get(key) == name for s in state_sets)
    }
    conflicted = {name for s in state_sets for key, name in s.items() if key not in unconflicted}
    full = conflicted | auth_difference(events, [list(s.values()) for s in state_sets])
    if revised:
        full |= conflicted_subgraph(events, conflicted)
    power = {name for name in full if is_power_event(events[name])}
    power |= full & auth_chain(events, power)
    start = {} if revised else {key: events[name] for key, name in unconflicted.items()}
    partial = replay(room, start, reference_power_order(room, power))
    rest = [events[name] for name in full - power]
    final = replay(room, partial, reference_mainline(room, partial.get(POWER), rest))
    return {key: event.event_id for key, event in final.items()} | unconflicted


def replay(
    room: Room, start: dict[StateKey, SignedEvent], order: list[SignedEvent]
) -> dict[StateKey, SignedEvent]:
    state = dict(start)
    for event in order:
        keys = auth_types_for(
            room.rules, type=event.type, sender=event.sender, state_key=event.state_key, content=event.content
        )
        auth = {room.events[name].key: room.events[name] for name in event.auth_events}
        auth_state = {key: state.get(key, auth.get(key)) for key in keys}
        auth_state[CREATE] = room.events["$create"]
        if is_allowed(room.rules, event, {key: found for key, found in auth_state.items() if found}):
            state[event.key] = event
    return state


def power_levels_below(room: Room, event: SignedEvent) -> SignedEvent | None:
    return next((room.events[a] for a in event.auth_events if room.events[a].type == POWER[0]), None)


def reference_power_order(room: Room, names: set[str]) -> list[SignedEvent]:
    def rank(name: str) -> tuple[int, int, str]:
        event = room.events[name]
        create = room.events["$create"] if room.rules.create_event_is_room_id else None
        create = create or next((room.events[a] for a in event.auth_events if a == "$create"), None)
        levels = PowerLevels.from_state(room.rules, create, power_levels_below(room, event))
        return -levels.user(event.sender), event.origin_server_ts, name

    left, order = set(names), []
    while left:
        free = [n for n in left if not (auth_chain(room.events, [n]) - {n}) & left]
        order.append(min(free, key=rank))
        left.remove(order[-1])
    return [room.events[name] for name in order]


def reference_mainline(room: Room, tip: SignedEvent | None, events: list[SignedEvent]) -> list[SignedEvent]:
    line: list[str] = []
    while tip is not None:
        line.append(tip.event_id)
        tip = power_levels_below(room, tip)

    def position(event: SignedEvent) -> float:
        below = power_levels_below(room, event)
        while below is not None and below.event_id not in line:
            below = power_levels_below(room, below)
        return float("inf") if below is None else line.index(below.event_id)

    return sorted(events, key=lambda e: (-position(e), e.origin_server_ts, e.event_id))


USERS = [ALICE, BOB, CHARLIE, EVE]
ACTIONS = ["topic", "join", "leave", "kick", "ban", "power", "rule", "fork"]
STEPS = st.lists(
    st.tuples(
        st.integers(0, 2),
        st.sampled_from(ACTIONS),
        st.sampled_from(USERS),
        st.sampled_from(USERS),
        st.integers(0, 9),
    ),
    max_size=14,
)


def act(fork: Fork, number: int, action: str, actor: str, target: str, ts: int) -> None:
    name, room = f"$step{number}", fork.room
    contents: dict[str, tuple[StateKey, dict[str, object]]] = {
        "topic": (TOPIC, {}),
        "join": (member(actor), {"membership": "join"}),
        "leave": (member(actor), {"membership": "leave"}),
        "kick": (member(target), {"membership": "leave"}),
        "ban": (member(target), {"membership": "ban"}),
        "power": (POWER, {"users": room.users({BOB: 50, target: 10 * ts} if target != ALICE else {BOB: 50})}),
        "rule": (JOIN_RULES, {"join_rule": "invite" if ts % 2 else "public"}),
    }
    key, content = contents[action]
    fork.try_send(name, actor, key, content, ts)


@settings(max_examples=250)
@given(st.sampled_from(["2", "11", "12"]), STEPS, st.booleans())
def test_agrees_with_the_reference(version: str, steps: list[tuple], stale: bool) -> None:
    main = Room(version).start()
    forks = [main.fork() for _ in range(3)]
    for number, (which, action, actor, target, ts) in enumerate(steps):
        if action == "fork":
            forks[which] = forks[ts % 3].fork()
        else:
            act(forks[which], number, action, actor, target, ts)
    if stale:
        forks[0].state[POWER] = "$power"
    expected = reference(main.room, [fork.state for fork in forks])
    assert resolved(*forks) == expected


@settings(max_examples=100)
@given(STEPS)
def test_v1_does_not_depend_on_order(steps: list[tuple]) -> None:
    main = Room("1").start()
    forks = [main.fork() for _ in range(3)]
    for number, (which, action, actor, target, ts) in enumerate(steps):
        if action != "fork":
            act(forks[which], number, action, actor, target, ts)
    agreed, _ = split([fork.state for fork in forks])
    assert agreed.items() <= resolved(*forks).items()


# Mainline


def test_mainline_positions_off_and_far_down_the_mainline() -> None:
    main = Room("11").start()
    strays, side = main.fork(), main.fork()
    for number in range(6):
        main.power(f"$main{number}", ALICE, {BOB: 50, CHARLIE: number})
    for number in range(3):
        side.power(f"$side{number}", ALICE, {BOB: 50, EVE: number})
    del strays.state[POWER]
    strays.power("$stray", ALICE, {}, ts=1)
    strays.power("$stray2", ALICE, {}, ts=1)
    events = [
        strays.topic("$off", ALICE, ts=90),
        strays.topic("$nothing", ALICE, auth=["$create", f"$join-{ALICE}"], ts=91),
        side.topic("$oldest", ALICE, ts=80),
        main.topic("$newest", ALICE, ts=1),
        main.topic("$middle", ALICE, auth=["$main2"], ts=99),
    ]
    room = MemoryRoom(main.room.events, {})
    order = drive(mainline_order(Known(), main.room.events["$main5"], events), room.answer)
    assert [event.event_id for event in order] == ["$off", "$nothing", "$oldest", "$middle", "$newest"]
    assert order == reference_mainline(main.room, main.room.events["$main5"], events)
    order = drive(mainline_order(Known(), main.room.events["$main0"], events), room.answer)
    assert order == reference_mainline(main.room, main.room.events["$main0"], events)


@EVERY
def test_a_large_conflict_is_resolved_with_pauses(version: str) -> None:
    one = Room(version).start()
    room, other = one.room, one.fork()
    for number in range(2 * STEP):
        for name, fork in (("one", one), ("other", other)):
            fork.send(f"${name}-{number}", ALICE, (f"test.{number}", ""), {"name": name})
    agreed, conflicts = split([one.state, other.state])
    memory, asked = MemoryRoom(room.events, agreed), list[Request]()

    def answer(request: Request) -> object:
        asked.append(request)
        return memory.answer(request)

    assert len(drive(resolve(room.rules, conflicts), answer)) == 2 * STEP
    assert sum(isinstance(request, Pause) for request in asked) >= 2
