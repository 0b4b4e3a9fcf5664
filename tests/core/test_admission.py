"""Histories with forks, admitted event by event in every order that servers could send them in."""

from __future__ import annotations

import itertools
from typing import Any

import pytest

from palpo.core.admission import Missing, Verdict
from palpo.core.auth_rules import auth_types_for
from palpo.core.events import SignedEvent, StateKey
from palpo.core.records.events import EventStatus
from palpo.core.room_versions import room_version
from palpo.core.state_resolution import resolve_states
from tests.core.state_rooms import ALICE, BOB, CREATE, EVE, JOIN_RULES, POWER, TOPIC, member
from tests.support.pure_servers import Server, State

ACCEPTED, SOFT_FAILED, REJECTED = EventStatus.ACCEPTED, EventStatus.SOFT_FAILED, EventStatus.REJECTED


class History:
    """Makes events; who sends one says what it has seen before (``after``)."""

    def __init__(self, version: str = "11") -> None:
        self.rules = room_version(version)
        self.room_id = "!create" if self.rules.create_event_is_room_id else "!room:example.org"
        self.made: dict[str, SignedEvent] = {}
        self.seen: dict[str, Server] = {}

    def send(
        self,
        name: str,
        sender: str,
        key: StateKey | str,
        content: dict[str, Any],
        *after: str,
        auth: tuple[str, ...] | None = None,
        ts: int | None = None,
    ) -> SignedEvent:
        """An event of a type, or that sets a piece of state, after others."""
        type_, state_key = (key, None) if isinstance(key, str) else key
        keys = auth_types_for(self.rules, type=type_, sender=sender, state_key=state_key, content=content)
        state = self._state(after)
        cited = tuple(state[wanted] for wanted in dict.fromkeys(keys) if wanted in state)
        event = SignedEvent(
            event_id=name,
            room_id=self.room_id,
            type=type_,
            sender=sender,
            state_key=state_key,
            content=content,
            depth=len(self.made) + 1,
            origin_server_ts=len(self.made) if ts is None else ts,
            prev_events=after,
            auth_events=cited if auth is None else auth,
            pdu={},
        )
        self.made[name] = event
        return event

    def _state(self, after: tuple[str, ...]) -> State:
        """The state before an event after these, as a server that has all that led there sees it."""
        if not after:
            return {}
        server = Server(self.rules.id)
        wanted = self._before(after)
        for name, event in self.made.items():
            if name in wanted:
                server.receive(event)
        roots = {server.verdicts[name].after for name in after}
        sets = [server.states[root] for root in roots]
        return sets[0] if len(sets) == 1 else resolve_states(self.rules, sets, server.events)

    def _before(self, names: tuple[str, ...]) -> set[str]:
        found: set[str] = set()
        waiting = list(names)
        while waiting:
            name = waiting.pop()
            if name not in found:
                found.add(name)
                waiting += self.made[name].prev_events
        return found

    def start(self) -> None:
        """Alice makes a public room in which Bob has power level 50."""
        users = {BOB: 50} if self.rules.privileged_creators else {ALICE: 100, BOB: 50}
        self.send("$create", ALICE, CREATE, {"creator": ALICE, "room_version": self.rules.id})
        self.send("$alice", ALICE, member(ALICE), {"membership": "join"}, "$create")
        self.send("$power", ALICE, POWER, {"users": users}, "$alice")
        self.send("$public", ALICE, JOIN_RULES, {"join_rule": "public"}, "$power")
        self.send("$bob", BOB, member(BOB), {"membership": "join"}, "$public")
        self.send("$eve", EVE, member(EVE), {"membership": "join"}, "$bob")


VERSIONS = pytest.mark.parametrize("version", ["1", "2", "6", "11", "12"])


def begun(version: str = "11") -> tuple[History, Server]:
    history, server = History(version), Server(version)
    history.start()
    for event in history.made.values():
        assert server.status(event) is ACCEPTED
    return history, server


@VERSIONS
def test_a_history_without_forks(version: str) -> None:
    history, server = begun(version)
    assert server.head.extremities == {"$eve"}
    assert server.status(history.send("$hi", EVE, "m.room.message", {}, "$eve")) is ACCEPTED
    assert server.head.extremities == {"$hi"}
    assert server.state[member(EVE)] == "$eve"
    assert server.verdicts["$hi"].before == server.verdicts["$hi"].after == server.head.root


@VERSIONS
def test_what_the_state_before_it_forbids_is_rejected(version: str) -> None:
    history, server = begun(version)
    head = server.head
    topic = history.send("$topic", EVE, TOPIC, {"topic": "mine"}, "$eve")
    verdict = server.receive(topic)
    assert isinstance(verdict, Verdict)
    assert verdict.status is REJECTED
    assert verdict.after == verdict.before == head.root
    assert server.head == head


@VERSIONS
def test_what_rests_on_a_rejected_event_is_rejected(version: str) -> None:
    history, server = begun(version)
    users = {EVE: 100} if history.rules.privileged_creators else {ALICE: 100, EVE: 100}
    server.receive(history.send("$coup", EVE, POWER, {"users": users}, "$eve"))
    cited = tuple(name for name in history.made["$eve"].auth_events if name in ("$create",))
    event = history.send("$topic", EVE, TOPIC, {}, "$eve", auth=(*cited, "$coup", "$eve"))
    verdict = server.receive(event)
    assert isinstance(verdict, Verdict)
    assert verdict.status is REJECTED
    assert "$coup was rejected" in (verdict.refusal.reason if verdict.refusal else "")


def test_an_event_is_not_rejected_for_what_is_not_known() -> None:
    history, server = begun()
    history.send("$unknown", BOB, "m.room.message", {}, "$eve")
    later = history.send("$later", BOB, "m.room.message", {}, "$unknown")
    assert server.receive(later) == Missing(prev_events=("$unknown",))
    foreign = history.send("$foreign", BOB, "m.room.message", {}, "$eve", auth=("$create", "$x", "$bob"))
    assert server.receive(foreign) == Missing(auth_events=("$x",))
    assert server.status(history.made["$unknown"]) is ACCEPTED
    assert server.status(later) is ACCEPTED


@VERSIONS
def test_who_was_banned_meanwhile_soft_fails(version: str) -> None:
    history, server = begun(version)
    ban = history.send("$ban", ALICE, member(EVE), {"membership": "ban"}, "$eve")
    late = history.send("$late", EVE, "m.room.message", {"body": "still here"}, "$eve")
    assert server.status(ban) is ACCEPTED
    assert server.status(late) is SOFT_FAILED
    assert server.head.extremities == {"$ban"}
    reply = history.send("$reply", BOB, "m.room.message", {}, "$late", "$ban")
    assert server.status(reply) is ACCEPTED
    assert server.head.extremities == {"$reply"}
    assert server.state[member(EVE)] == "$ban"


@VERSIONS
def test_an_event_of_the_past_is_not_held_to_the_present(version: str) -> None:
    history, server = begun(version)
    server.receive(history.send("$ban", ALICE, member(EVE), {"membership": "ban"}, "$eve"))
    head = server.head
    early = history.send("$early", EVE, "m.room.message", {}, "$eve")
    verdict = server.receive(early, past=True)
    assert isinstance(verdict, Verdict)
    assert verdict.status is ACCEPTED
    assert server.head == head


@VERSIONS
def test_forks_come_to_the_same_in_every_order(version: str) -> None:
    """Two forks of two events each and their merge; the topic of who has more power wins."""
    history, _ = begun(version)
    history.send("$a1", ALICE, TOPIC, {"topic": "a"}, "$eve", ts=100)
    history.send("$a2", ALICE, "m.room.message", {}, "$a1", ts=101)
    history.send("$b1", BOB, TOPIC, {"topic": "b"}, "$eve", ts=200)
    history.send("$b2", BOB, member("@new:example.org"), {"membership": "invite"}, "$b1", ts=201)
    history.send("$merge", ALICE, "m.room.message", {}, "$a2", "$b2")
    ends = set()
    for order in itertools.permutations(["$a1", "$a2", "$b1", "$b2", "$merge"]):
        if order.index("$a1") < order.index("$a2") < 4 > order.index("$b2") > order.index("$b1") and order[
            -1
        ] == ("$merge"):
            server = Server(version)
            for name in list(history.made)[:6]:
                server.receive(history.made[name])
            for name in order:
                assert server.status(history.made[name]) is ACCEPTED, (order, name)
            assert server.head.extremities == {"$merge"}
            ends.add(server.head.root)
    assert len(ends) == 1


@VERSIONS
def test_two_extremities_until_they_are_merged(version: str) -> None:
    history, server = begun(version)
    for name, sender in (("$left", ALICE), ("$right", BOB)):
        assert server.status(history.send(name, sender, "m.room.message", {}, "$eve")) is ACCEPTED
    assert server.head.extremities == {"$left", "$right"}
    half = history.send("$half", BOB, "m.room.message", {}, "$left")
    assert server.status(half) is ACCEPTED
    assert server.head.extremities == {"$half", "$right"}
