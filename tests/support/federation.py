"""Servers to speak to, and a client that finds them by a DNS server of the test's own."""

from __future__ import annotations

import asyncio
import ssl
from collections.abc import AsyncIterator, Awaitable, Callable, Iterable, Mapping
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import orjson
from aiohttp import web

from palpo.core.server_names import ServerNameRules
from palpo.net.addresses import AddressPolicy
from palpo.net.connections import Connections, Times
from palpo.net.discovery import Discovery
from palpo.net.dns import Dns
from palpo.net.federation_client import FederationClient
from palpo.net.hosts import Hosts
from palpo.net.http2_connections import Http2Connections
from palpo.net.http_client import HttpClient
from palpo.net.resolvers import DnsResolver
from palpo.net.shares import Shares
from palpo.net.tls import HTTP_2, federation_tls
from palpo.net.well_known import WellKnown
from palpo.streams.caches import CacheBudget
from palpo.streams.clock import FakeClock
from tests.support.authority import Authority
from tests.support.dns_server import DnsServer, dns_server
from tests.support.web import Web
from tests.support.web import web as raw_web

LOOPBACK = "127.0.0.0/8"
PATH = "/_matrix/federation/v1/version"


@dataclass(slots=True, kw_only=True)
class Asked:
    """One request."""

    method: str
    uri: str
    """As it was sent."""
    headers: Mapping[str, str]
    body: bytes
    port: int
    """That it came from: equal ones are one connection."""


@dataclass(slots=True)
class Peer:
    """What is answered, and what was asked."""

    port: int = 0
    answer: Callable[[web.Request], Awaitable[web.StreamResponse]] | None = None
    """None: an empty object."""
    asked: list[Asked] = field(default_factory=list)
    at_once: int = 0
    most_at_once: int = 0

    async def handle(self, request: web.Request) -> web.StreamResponse:
        """Answer one request."""
        self.at_once += 1
        self.most_at_once = max(self.most_at_once, self.at_once)
        try:
            self.asked.append(
                Asked(
                    method=request.method,
                    uri=request.raw_path,
                    headers=request.headers,
                    body=await request.read(),
                    port=_port_of(request),
                )
            )
            return web.json_response({}) if self.answer is None else await self.answer(request)
        finally:
            self.at_once -= 1

    @property
    def connections(self) -> int:
        """How many connections brought requests."""
        return len({asked.port for asked in self.asked})


def _port_of(request: web.Request) -> int:
    assert request.transport is not None
    return int(request.transport.get_extra_info("peername")[1])


@asynccontextmanager
async def peer(
    tls: ssl.SSLContext, *, host: str = "127.0.0.1", port: int = 0, keep_alive_s: float = 60
) -> AsyncIterator[Peer]:
    """Run a server that speaks HTTP/1.1 over TLS."""
    running = Peer()
    app = web.Application(client_max_size=64 * 1024 * 1024)
    app.router.add_route("*", "/{rest:.*}", running.handle)
    runner = web.AppRunner(app, keepalive_timeout=keep_alive_s, shutdown_timeout=0.1)
    await runner.setup()
    try:
        await web.TCPSite(runner, host, port, ssl_context=tls).start()
        running.port = runner.addresses[0][1]
        yield running
    finally:
        await runner.cleanup()


@dataclass(slots=True, kw_only=True)
class World:
    """All that a client finds servers with."""

    client: FederationClient
    connections: Connections
    discovery: Discovery
    dns: DnsServer
    lookups: Dns
    policy: AddressPolicy
    authority: Authority
    clock: FakeClock
    site: Web
    """Where ``a.example`` has its well-known files."""
    signed: list[tuple[str, str, str, Any]]
    """What headers were made for."""

    def delegate(self, to: str) -> None:
        """Have ``a.example`` say that its server is ``to``."""
        self.site.page("/.well-known/matrix/server", orjson.dumps({"m.server": to}))


@asynccontextmanager
async def world(
    folder: Path,
    *,
    hosts: Mapping[str, str] | None = None,
    allow: Iterable[str] = (LOOPBACK,),
    rules: ServerNameRules | None = None,
    times: Times | None = None,
    caches: CacheBudget | None = None,
    http2: bool = False,
    **bounds: Any,
) -> AsyncIterator[World]:
    """A client; ``bounds`` are those of Connections, and ``at_once`` and ``each``."""
    authority, clock, signed = Authority(folder), FakeClock(), []
    caches = caches or CacheBudget()
    tls = federation_tls(authority.file)
    policy = AddressPolicy(allow=allow)
    shares = Shares(bounds.pop("at_once", 1000), bounds.pop("each", 1000))

    def sign(method: str, uri: str, destination: str, content: Any) -> Mapping[str, str]:
        signed.append((method, uri, destination, content))
        return {"Authorization": f"X-Matrix test {len(signed)}"}

    async with dns_server() as server, raw_web(tls=authority.serving("a.example")) as site:
        server.add("a.example", "A", "127.0.0.1")
        known = Hosts(hosts or {}, folder / "hosts")
        dns = Dns(known, clock, caches, servers=[("127.0.0.1", server.port)], timeout_s=5)
        http = HttpClient(policy, user_agent="test/1", tls=tls, resolver=DnsResolver(dns), schemes=("https",))
        discovery = Discovery(known, dns, WellKnown(http, clock, caches, port=site.port))
        connections = Connections(dns, policy, tls, user_agent="test/1", **bounds)
        two = federation_tls(authority.file, HTTP_2)
        client = FederationClient(
            discovery,
            Http2Connections(dns, policy, two, connections, user_agent="test/1") if http2 else connections,
            rules or ServerNameRules(),
            sign,
            times=times or Times(whole_s=30, connect_s=10, idle_s=20),
            shares=shares,
        )
        try:
            yield World(
                client=client,
                connections=connections,
                discovery=discovery,
                dns=server,
                lookups=dns,
                policy=policy,
                authority=authority,
                clock=clock,
                site=site,
                signed=signed,
            )
        finally:
            await client.close()
            await http.close()
            await asyncio.sleep(0)


def answering(
    body: bytes, status: int = 200, headers: dict[str, str] | None = None
) -> Callable[[web.Request], Awaitable[web.StreamResponse]]:
    """An answer for all requests."""

    async def answer(request: web.Request) -> web.StreamResponse:
        return web.Response(body=body, status=status, headers=headers)

    return answer


def name(running: Peer) -> str:
    """The name of a server that is ``a.example``, with its port."""
    return f"a.example:{running.port}"
