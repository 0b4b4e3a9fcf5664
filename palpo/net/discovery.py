"""How another homeserver is found by its name (spec: server-server API, "Resolving server names").

    1    an IP address                    it, at the port or 8448
    2    a host with a port               the host, at the port
    3    /.well-known/matrix/server at the host, which names another server:
    3.1      an IP address                it, at the port or 8448
    3.2      a host with a port           the host, at the port
    3.3      SRV _matrix-fed._tcp         each target at its port
    3.4      SRV _matrix._tcp             likewise (deprecated)
    3.5      none of these                the host, at 8448
    4, 5, 6  no such answer               as 3.3 to 3.5, of the first host

Whoever is found has to prove that it is the server that was named, or that this one names: ``tls_name`` is
never the target of an SRV record. ``find`` reads nothing: it yields what it needs to know and is sent the
answer (``core.driving``). Addresses are looked up, and put to the address policy, only where a connection is
made.
"""

from __future__ import annotations

import random
from collections.abc import Generator, Sequence
from dataclasses import dataclass
from typing import Any

from palpo.core.driving import drive_async
from palpo.core.server_names import HostAndPort, is_ip_literal, split_server_name
from palpo.net.dns import Dns, LookupFailed, Service
from palpo.net.hosts import Hosts
from palpo.net.well_known import Delegation, WellKnown

PORT = 8448
SERVICES = ("_matrix-fed._tcp", "_matrix._tcp")
MAX_DESTINATIONS = 8
"""That are tried for one server."""


@dataclass(frozen=True, slots=True)
class Destination:
    """Where to connect to, and as whom to speak to it."""

    host: str
    """A name or an address, without brackets."""
    port: int
    tls_name: str
    """The name, or address, that the certificate has to be for."""
    http_host: str
    """What is sent as Host."""


@dataclass(frozen=True, slots=True)
class Step:
    """Something that was looked at on the way, and what came of it: for people."""

    what: str
    outcome: str


@dataclass(frozen=True, slots=True)
class Route:
    """Where a server may be, the best first, and how that was found out."""

    destinations: tuple[Destination, ...]
    """None where the server says that it is nowhere."""
    steps: tuple[Step, ...]


@dataclass(frozen=True, slots=True)
class Place:
    """Asks what the configuration says of a host: the answer is HostAndPort, or None."""

    host: str


@dataclass(frozen=True, slots=True)
class Delegated:
    """Asks for what a host delegates to: the answer is a Delegation."""

    host: str


@dataclass(frozen=True, slots=True)
class Services:
    """Asks for SRV records: the answer is a Records."""

    name: str


@dataclass(frozen=True, slots=True)
class Records:
    """SRV records in the order in which they are to be tried; ``problem`` where they could not be had."""

    found: tuple[Service, ...] = ()
    problem: str = ""


Question = Place | Delegated | Services
Finding = Generator[Question, Any, tuple[Destination, ...]]


def find(server_name: str) -> Generator[Question, Any, Route]:
    """Where the server ``server_name`` may be; raises InvalidParam for what is no server name."""
    steps: list[Step] = []
    destinations = yield from _named(server_name, steps)
    return Route(destinations[:MAX_DESTINATIONS], tuple(steps))


def _named(server_name: str, steps: list[Step]) -> Finding:
    """Steps 1 and 2, and the others where these do not tell."""
    direct = _direct(server_name, steps)
    if direct is not None:
        return (direct,)
    placed = yield from _placed(server_name, steps)
    if placed:
        return placed
    delegation: Delegation = yield Delegated(server_name)
    outcome = " ".join(filter(None, (delegation.server or "nothing:", delegation.note)))
    steps.append(Step(f"well-known of {server_name}", outcome))
    if delegation.server is None:
        return (yield from _by_services(server_name, steps))
    direct = _direct(delegation.server, steps)
    if direct is not None:
        return (direct,)
    placed = yield from _placed(delegation.server, steps)
    return placed or (yield from _by_services(delegation.server, steps))


def _placed(host: str, steps: list[Step]) -> Finding:
    """The destination that the configuration has for a host; none where it has none with a port."""
    place: HostAndPort | None = yield Place(host)
    if place is None or place.port is None:
        return ()
    steps.append(Step(f"federation.hosts of {host}", f"{place.host} at port {place.port}"))
    return (Destination(place.host, place.port, host, host),)


def _direct(server_name: str, steps: list[Step]) -> Destination | None:
    """The destination that a name itself tells: an IP address, or a host with a port."""
    host, port = split_server_name(server_name)
    if not is_ip_literal(host) and port is None:
        return None
    destination = Destination(host, PORT if port is None else port, host, server_name)
    kind = "an IP address" if is_ip_literal(host) else "a host and its port"
    steps.append(Step(f"{server_name} is {kind}", f"{host} at port {destination.port}"))
    return destination


def _by_services(host: str, steps: list[Step]) -> Finding:
    """By SRV records of ``host``, or the host itself."""
    for service in SERVICES:
        name = f"{service}.{host}"
        records: Records = yield Services(name)
        steps.append(Step(f"SRV {name}", _told(records)))
        if [record.target for record in records.found] == ["."]:
            return ()  # The service is decidedly not there (RFC 2782).
        usable = [record for record in records.found if record.target != "." and record.port]
        if usable:
            return tuple(Destination(record.target, record.port, host, host) for record in usable)
    steps.append(Step(f"{host} itself", f"port {PORT}"))
    return (Destination(host, PORT, host, host),)


def _told(records: Records) -> str:
    if records.problem:
        return f"nothing: {records.problem}"
    shown = [f"{record.target} at port {record.port}" for record in records.found[:MAX_DESTINATIONS]]
    return ", ".join(shown) or "nothing"


def in_order(services: Sequence[Service], chance: random.Random) -> tuple[Service, ...]:
    """SRV records in the order in which to try them: by priority, and by chance and weight within one.

    RFC 2782, "The format of the SRV RR".
    """
    ordered: list[Service] = []
    for priority in sorted({service.priority for service in services}):
        ordered += _by_weight([one for one in services if one.priority == priority], chance)
    return tuple(ordered)


def _by_weight(services: list[Service], chance: random.Random) -> list[Service]:
    left = sorted(services, key=lambda service: service.weight)
    ordered = []
    while left:
        mark = chance.randint(0, sum(service.weight for service in left))
        for number, service in enumerate(left):
            mark -= service.weight
            if mark <= 0:
                ordered.append(left.pop(number))
                break
    return ordered


class Discovery:
    """Finds servers. What it asks is kept by those it asks, so a route known before costs microseconds."""

    def __init__(
        self, hosts: Hosts, dns: Dns, well_known: WellKnown, *, chance: random.Random | None = None
    ) -> None:
        self._hosts = hosts
        self._dns = dns
        self._well_known = well_known
        self._chance = chance or random.Random()

    async def route(self, server_name: str) -> Route:
        """Where a server may be; raises InvalidParam for what is no server name."""
        return await drive_async(find(server_name), self._answer)

    async def close(self) -> None:
        """Close the connections by which well-known files are fetched."""
        await self._well_known.close()

    async def _answer(self, question: Question) -> HostAndPort | Delegation | Records | None:
        match question:
            case Place(host):
                return self._hosts.place(host)
            case Delegated(host):
                return await self._well_known.delegation(host)
            case Services(name):
                return await self._records(name)

    async def _records(self, name: str) -> Records:
        try:
            return Records(in_order(await self._dns.services(name), self._chance))
        except LookupFailed as error:
            return Records(problem=str(error))
