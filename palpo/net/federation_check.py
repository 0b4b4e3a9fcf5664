"""Whether another homeserver can be reached, step by step: for operators, who read what is found.

The steps are those of a request: how the name leads to hosts (``discovery``), and at each of their addresses
whether the address policy permits it, whether there is a connection to who proves to be the server, what
version it says that it is, and whether its keys count. The first that gives all of that is sent a signed
request too: whether it takes our signature says whether it can reach this server for its keys.
"""

from __future__ import annotations

from collections.abc import AsyncIterator, Iterator
from dataclasses import dataclass, replace
from datetime import UTC, datetime
from typing import Any

from palpo.core.errors import InvalidParam, MatrixError
from palpo.core.identifiers import ServerName
from palpo.core.server_keys import MAX_ANSWER, KeyAnswer, parse_answer
from palpo.core.server_names import ServerNameRules
from palpo.net.addresses import AddressPolicy
from palpo.net.connections import Connections, Times
from palpo.net.discovery import Destination, Discovery, Route
from palpo.net.dns import Dns, HostError
from palpo.net.federation_client import FederationClient, Sign
from palpo.net.federation_errors import FederationError, ServerError
from palpo.net.shares import Shares
from palpo.streams.clock import Clock

VERSION = "/_matrix/federation/v1/version"
KEYS = "/_matrix/key/v2/server"
PROFILE = "/_matrix/federation/v1/query/profile"
LOCALPART = "palpo-federation-check"
"""Of the user whose profile the signed request asks for."""
NOWHERE = Route((), ())
MAX_WORD = 100
"""Characters of what it says that it is."""
MAX_SHOWN = 8
"""Keys that are shown."""


@dataclass(frozen=True, slots=True)
class Finding:
    """One thing that was found."""

    text: str
    good: bool | None = None
    """None where it is neither good nor bad."""
    depth: int = 0
    """0: of the server, 1: of a host, 2: of an address, 3: of who answers there."""


class FederationCheck:
    """Looks; what it asks with is made for it, and closed by whoever made it."""

    def __init__(
        self,
        rules: ServerNameRules,
        discovery: Discovery,
        dns: Dns,
        policy: AddressPolicy,
        connections: Connections,
        clock: Clock,
        times: Times,
        sign: Sign | None,
    ) -> None:
        """Without ``sign`` no signed request is sent."""
        self._rules = rules
        self._discovery = discovery
        self._dns = dns
        self._policy = policy
        self._connections = connections
        self._clock = clock
        self._times = times
        self._sign = sign

    async def look(self, server: str) -> AsyncIterator[Finding]:
        """What is found, as it is found. The last finding says whether the server can be reached."""
        reached = False
        refusal = self._refusal(server)
        route = NOWHERE if refusal else await self._discovery.route(server)
        for finding in (refusal,) if refusal else _way(route):
            yield finding
        for destination in route.destinations:
            yield Finding(_told_of(destination), depth=1)
            async for found in self._at_host(server, destination):
                reached = reached or all(finding.good is not False for finding in found)
                for finding in found:
                    yield finding
        yield Finding(f"{server} {'can' if reached else 'cannot'} be reached", reached)

    def _refusal(self, server: str) -> Finding | None:
        """Why a server is not looked for."""
        try:
            if self._rules.permits(server):
                return None
        except InvalidParam:
            return Finding(f"{server} is no server name, such as example.org", False)
        return Finding("left alone by the configuration: federation.enabled, allow or deny", False)

    async def _at_host(self, server: str, destination: Destination) -> AsyncIterator[tuple[Finding, ...]]:
        """What is found at each of a host's addresses."""
        try:
            addresses = await self._dns.addresses(destination.host)
        except HostError as error:
            yield (Finding(f"no address: {error}", False, 2),)
            return
        for address in addresses:
            if self._policy.permits(address):
                yield await self._at_address(server, replace(destination, host=address))
            else:
                text = f"{address}: not connected to, by network.allow and network.deny"
                yield (Finding(text, False, 2),)

    async def _at_address(self, server: str, destination: Destination) -> tuple[Finding, ...]:
        client, address = self._client(destination), destination.host
        try:
            version = _version(await client.json(server, "GET", VERSION, signed=False))
        except FederationError as error:
            return (Finding(f"{address}: {error.message}", False, 2),)
        answering = Finding(f"{address}: answers, as {version}", True, 2)
        return (answering, await self._keys(client, server), await self._signed(client, server))

    async def _keys(self, client: FederationClient, server: str) -> Finding:
        try:
            async with client.request(server, "GET", KEYS, signed=False, limit=MAX_ANSWER) as answer:
                keys = parse_answer(await answer.read(), ServerName(server), now_ms=self._clock.now_ms())
        except (FederationError, MatrixError) as error:
            return Finding(f"its keys cannot be had: {error.message}", False, 3)
        return Finding(_told_of_keys(keys), True, 3)

    async def _signed(self, client: FederationClient, server: str) -> Finding:
        """Whether our signature is taken."""
        if self._sign is None:
            return Finding("no signed request: this server has no key before its first start", None, 3)
        try:
            await client.json(server, "GET", PROFILE, query=(("user_id", f"@{LOCALPART}:{server}"),))
        except ServerError as error:
            return _told_of_refusal(error)
        except FederationError as error:
            return Finding(f"a signed request fails: {error.message}", False, 3)
        return Finding("takes our signature", True, 3)

    def _client(self, destination: Destination) -> FederationClient:
        """Asks at this destination, wherever the name leads."""
        return FederationClient(
            _Only(destination),
            self._connections,
            self._rules,
            self._sign or _unsigned,
            shares=Shares(1, 1),
            times=self._times,
        )


class _Only:
    """Finds all servers at one destination."""

    def __init__(self, destination: Destination) -> None:
        self._found = Route((destination,), ())

    async def route(self, server_name: str) -> Route:
        return self._found

    async def close(self) -> None:
        """There is nothing to close."""


def _way(route: Route) -> Iterator[Finding]:
    """How the name leads to hosts."""
    for step in route.steps:
        yield Finding(f"{step.what}: {step.outcome}")
    if not route.destinations:
        yield Finding("its SRV record says that it is nowhere", False)


def _unsigned(method: str, uri: str, destination: str, content: Any) -> dict[str, str]:
    return {}


def _told_of(destination: Destination) -> str:
    host, port, name = destination.host, destination.port, destination.tls_name
    return f"{host} at port {port}, where the certificate has to be for {name}"


def _version(answer: dict[str, Any]) -> str:
    """The name and version of the software (spec: ``GET /_matrix/federation/v1/version``)."""
    said = answer.get("server")
    words = [said.get("name"), said.get("version")] if isinstance(said, dict) else []
    return " ".join(word[:MAX_WORD] for word in words if isinstance(word, str)) or "something without a name"


def _told_of_keys(answer: KeyAnswer) -> str:
    shown = ", ".join(f"{key.key_id}{' (old)' if key.retired else ''}" for key in answer.keys[:MAX_SHOWN])
    until = datetime.fromtimestamp(answer.valid_until_ts / 1000, UTC)
    return f"signs with {shown}, good until {until:%Y-%m-%d %H:%M} UTC"


def _told_of_refusal(error: ServerError) -> Finding:
    """What it says to a signed request for the profile of a user who is not there."""
    if error.status == 401:
        text = f"does not take our signature, for which it has to reach this server: {error.message}"
        return Finding(text, False, 3)
    if error.status in (400, 404):
        return Finding("takes our signature", True, 3)
    return Finding(f"answers a signed request with status {error.status}: {error.message}", None, 3)
