"""Finding servers: the steps of the spec, fed from a dict."""

import random
from collections import Counter
from typing import Any

import pytest

from palpo.core.driving import drive
from palpo.core.errors import InvalidParam
from palpo.core.identifiers import ServerName
from palpo.core.server_names import split_server_name
from palpo.net.discovery import (
    Delegated,
    Destination,
    Place,
    Question,
    Records,
    Route,
    Services,
    find,
    in_order,
)
from palpo.net.dns import Service
from palpo.net.well_known import Delegation


class World:
    """What there is to find."""

    def __init__(self) -> None:
        self.places: dict[str, str] = {}
        self.delegations: dict[str, str] = {}
        self.services: dict[str, list[Service]] = {}
        self.failing: set[str] = set()
        self.asked: list[Question] = []

    def answer(self, question: Question) -> Any:
        self.asked.append(question)
        match question:
            case Place(host):
                return split_server_name(self.places[host]) if host in self.places else None
            case Delegated(host):
                named = self.delegations.get(host)
                return Delegation(ServerName(named) if named else None, "" if named else "status 404")
            case Services(name):
                if name in self.failing:
                    return Records(problem="no answer")
                return Records(tuple(self.services.get(name, ())))

    def route(self, name: str) -> Route:
        return drive(find(name), self.answer)

    def found(self, name: str) -> list[tuple[str, int, str, str]]:
        return [(d.host, d.port, d.tls_name, d.http_host) for d in self.route(name).destinations]


@pytest.fixture
def world() -> World:
    return World()


@pytest.mark.parametrize(
    ("name", "found"),
    [
        ("192.0.2.1", ("192.0.2.1", 8448, "192.0.2.1", "192.0.2.1")),
        ("192.0.2.1:80", ("192.0.2.1", 80, "192.0.2.1", "192.0.2.1:80")),
        ("[2001:db8::1]", ("2001:db8::1", 8448, "2001:db8::1", "[2001:db8::1]")),
        ("[2001:db8::1]:80", ("2001:db8::1", 80, "2001:db8::1", "[2001:db8::1]:80")),
        ("a.example:80", ("a.example", 80, "a.example", "a.example:80")),
    ],
)
def test_what_the_name_itself_tells(world: World, name: str, found: tuple[str, int, str, str]) -> None:
    """Steps 1, 2, 3.1 and 3.2: nothing else is asked, and the same holds of a name that is delegated to."""
    world.delegations["a.example"] = "wrong.example"
    assert world.found(name) == [found]
    assert world.asked == []
    world.delegations["delegating.example"] = name
    assert world.found("delegating.example") == [found]
    assert world.asked == [Place("delegating.example"), Delegated("delegating.example")]


@pytest.mark.parametrize("delegating", [True, False])
def test_service_records(world: World, delegating: bool) -> None:
    """Steps 3.3 and 4: the certificate and Host are of the name, never of the record's target."""
    name = "a.example"
    if delegating:
        world.delegations["a.example"] = name = "b.example"
    world.services[f"_matrix-fed._tcp.{name}"] = [
        Service(1, 0, 443, "t.example"),
        Service(2, 0, 9, "u.example"),
    ]
    world.services[f"_matrix._tcp.{name}"] = [Service(1, 0, 1, "old.example")]
    assert world.found("a.example") == [("t.example", 443, name, name), ("u.example", 9, name, name)]
    assert Services(f"_matrix._tcp.{name}") not in world.asked


@pytest.mark.parametrize("delegating", [True, False])
def test_deprecated_service_records(world: World, delegating: bool) -> None:
    """Steps 3.4 and 5."""
    name = "a.example"
    if delegating:
        world.delegations["a.example"] = name = "b.example"
    world.services[f"_matrix._tcp.{name}"] = [Service(1, 0, 443, "t.example")]
    assert world.found("a.example") == [("t.example", 443, name, name)]


@pytest.mark.parametrize("delegating", [True, False])
@pytest.mark.parametrize("failing", [True, False])
def test_the_host_itself(world: World, delegating: bool, failing: bool) -> None:
    """Steps 3.5 and 6, also where it cannot be said whether there are records."""
    name = "a.example"
    if delegating:
        world.delegations["a.example"] = name = "b.example"
    if failing:
        world.failing |= {f"_matrix-fed._tcp.{name}", f"_matrix._tcp.{name}"}
    assert world.found("a.example") == [(name, 8448, name, name)]


def test_a_delegation_is_followed_once(world: World) -> None:
    world.delegations |= {"a.example": "b.example", "b.example": "a.example"}
    assert world.found("a.example") == [("b.example", 8448, "b.example", "b.example")]


def test_srv_with_target_dot_says_that_the_server_is_nowhere(world: World) -> None:
    world.services["_matrix-fed._tcp.a.example"] = [Service(0, 0, 0, ".")]
    world.services["_matrix._tcp.a.example"] = [Service(0, 0, 1, "old.example")]
    assert world.found("a.example") == []


def test_srv_records_of_no_use_are_passed_over(world: World) -> None:
    world.services["_matrix-fed._tcp.a.example"] = [Service(0, 0, 1, "."), Service(1, 0, 1, "t.example")]
    assert world.found("a.example") == [("t.example", 1, "a.example", "a.example")]
    world.services["_matrix-fed._tcp.a.example"] = [Service(0, 0, 0, "t.example"), Service(0, 0, 1, ".")]
    assert world.found("a.example") == [("a.example", 8448, "a.example", "a.example")]


def test_destinations_are_bounded(world: World) -> None:
    records = [Service(number, 0, 1, f"t{number}.example") for number in range(32)]
    world.services["_matrix-fed._tcp.a.example"] = records
    route = world.route("a.example")
    assert [d.host for d in route.destinations] == [f"t{number}.example" for number in range(8)]
    assert len(route.steps[-1].outcome) < 500


def test_places_of_the_configuration(world: World) -> None:
    world.places |= {"hs2": "127.0.1.2:8448", "hs3": "[::1]:1", "hs4": "127.0.1.4"}
    assert world.found("hs2") == [("127.0.1.2", 8448, "hs2", "hs2")]
    assert world.found("hs3") == [("::1", 1, "hs3", "hs3")]
    assert not any(isinstance(question, Delegated | Services) for question in world.asked)
    assert world.found("hs4") == [("hs4", 8448, "hs4", "hs4")]
    assert world.found("hs2:80") == [("hs2", 80, "hs2", "hs2:80")]
    world.delegations["a.example"] = "hs2"
    assert world.found("a.example") == [("127.0.1.2", 8448, "hs2", "hs2")]


def test_the_steps_are_told(world: World) -> None:
    world.delegations["a.example"] = "b.example"
    world.failing.add("_matrix-fed._tcp.b.example")
    told = [(step.what, step.outcome) for step in world.route("a.example").steps]
    assert told == [
        ("well-known of a.example", "b.example"),
        ("SRV _matrix-fed._tcp.b.example", "nothing: no answer"),
        ("SRV _matrix._tcp.b.example", "nothing"),
        ("b.example itself", "port 8448"),
    ]
    told = [(step.what, step.outcome) for step in world.route("c.example").steps]
    assert told[0] == ("well-known of c.example", "nothing: status 404")
    assert world.route("192.0.2.1").steps[0].outcome == "192.0.2.1 at port 8448"


@pytest.mark.parametrize("name", ["", "a b", "a/b", "http://a.example", "a.example:x"])
def test_what_is_no_server_name(world: World, name: str) -> None:
    with pytest.raises(InvalidParam):
        world.route(name)


def test_priorities_come_before_weights() -> None:
    services = [Service(2, 100, 1, "c"), Service(1, 0, 1, "a"), Service(1, 0, 1, "b")]
    ordered = in_order(services, random.Random(1))
    assert [service.priority for service in ordered] == [1, 1, 2]
    assert set(ordered) == set(services)


def test_weights_are_chances() -> None:
    services = [Service(1, 10, 1, "a"), Service(1, 30, 1, "b"), Service(1, 0, 1, "c")]
    chance = random.Random(1)
    firsts = Counter(in_order(services, chance)[0].target for _ in range(4000))
    assert 0.6 < firsts["b"] / 4000 < 0.85
    assert 0.15 < firsts["a"] / 4000 < 0.35
    assert 0 < firsts["c"] / 4000 < 0.1


def test_destinations_tell_servers_apart() -> None:
    one = Destination("t.example", 443, "a.example", "a.example")
    assert one != Destination("t.example", 443, "b.example", "b.example")
