"""How other homeservers are found and spoken to."""

from __future__ import annotations

from collections.abc import AsyncIterator, Mapping
from contextlib import asynccontextmanager
from dataclasses import dataclass

from palpo.config.model import Config
from palpo.core.canonical_json import Canonical
from palpo.core.identifiers import ServerName
from palpo.core.server_names import ServerNameRules
from palpo.core.signing import SigningKey
from palpo.core.x_matrix import SignedRequest, authorization
from palpo.net.addresses import AddressPolicy
from palpo.net.connections import Connections, Times
from palpo.net.discovery import Discovery
from palpo.net.dns import Dns
from palpo.net.federation_check import FederationCheck
from palpo.net.federation_client import FederationClient, Sign
from palpo.net.hosts import Hosts
from palpo.net.http2_connections import Http2Connections
from palpo.net.http_client import HttpClient
from palpo.net.resolvers import DnsResolver
from palpo.net.shares import Shares
from palpo.net.tls import HTTP_2, federation_tls
from palpo.net.well_known import WellKnown
from palpo.streams.caches import CacheBudget
from palpo.streams.clock import Clock


def build_federation_client(
    config: Config,
    policy: AddressPolicy,
    rules: ServerNameRules,
    key: SigningKey,
    clock: Clock,
    caches: CacheBudget,
    *,
    user_agent: str,
) -> FederationClient:
    """Whoever asks other homeservers."""
    options, parts = config.federation, _parts(config, policy, clock, caches, user_agent)
    return FederationClient(
        parts.discovery,
        _by_http2(config, parts, user_agent) if options.http2 else parts.connections,
        rules,
        _signing(ServerName(config.server_name), key),
        shares=Shares(options.requests, options.requests_per_server),
        times=_times(config),
    )


@asynccontextmanager
async def federation_check(
    config: Config, key: SigningKey | None, clock: Clock, *, user_agent: str
) -> AsyncIterator[FederationCheck]:
    """Whoever looks whether others can be reached; its connections are closed in the end."""
    parts = _parts(config, build_policy(config), clock, CacheBudget(), user_agent)
    try:
        yield FederationCheck(
            build_rules(config),
            parts.discovery,
            parts.dns,
            parts.policy,
            parts.connections,
            clock,
            _times(config),
            None if key is None else _signing(ServerName(config.server_name), key),
        )
    finally:
        await parts.connections.close()
        await parts.discovery.close()


@dataclass(frozen=True, slots=True)
class _Parts:
    policy: AddressPolicy
    dns: Dns
    discovery: Discovery
    connections: Connections


def _parts(
    config: Config, policy: AddressPolicy, clock: Clock, caches: CacheBudget, user_agent: str
) -> _Parts:
    options = config.federation
    tls = federation_tls(options.ca_file)
    hosts = Hosts(options.hosts, options.hosts_file)
    dns = Dns(hosts, clock, caches, timeout_s=options.lookup_seconds)
    http = HttpClient(policy, user_agent=user_agent, tls=tls, resolver=DnsResolver(dns), schemes=("https",))
    connections = Connections(
        dns,
        policy,
        tls,
        user_agent=user_agent,
        per_destination=options.requests_per_server,
        keep_alive_s=options.keep_alive_seconds,
    )
    return _Parts(policy, dns, Discovery(hosts, dns, WellKnown(http, clock, caches)), connections)


def _by_http2(config: Config, parts: _Parts, user_agent: str) -> Http2Connections:
    options = config.federation
    return Http2Connections(
        parts.dns,
        parts.policy,
        federation_tls(options.ca_file, HTTP_2),
        parts.connections,
        user_agent=user_agent,
        keep_alive_s=options.keep_alive_seconds,
    )


def _times(config: Config) -> Times:
    options = config.federation
    return Times(
        whole_s=options.request_seconds, connect_s=options.connect_seconds, idle_s=options.idle_seconds
    )


def build_policy(config: Config) -> AddressPolicy:
    """Where others may make the server connect to."""
    return AddressPolicy(config.network.allow, config.network.deny)


def build_rules(config: Config) -> ServerNameRules:
    """Which servers are spoken to."""
    options = config.federation
    return ServerNameRules(options.allow, options.deny, enabled=options.enabled)


def _signing(server_name: ServerName, key: SigningKey) -> Sign:
    def sign(method: str, uri: str, destination: str, body: Canonical | None) -> Mapping[str, str]:
        request = SignedRequest(
            method=method, uri=uri, origin=server_name, destination=destination, content=body
        )
        return {"Authorization": authorization(request, key)}

    return sign
