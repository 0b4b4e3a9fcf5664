"""Where hosts and services are: the configuration, the hosts file, and then the DNS.

The DNS is asked with dnspython: it is kept well, speaks SRV, checks that an answer belongs to its question,
and repeats over TCP what was cut short. (The system's ``getaddrinfo`` knows no SRV and no TTL, and takes a
thread for each name.) It asks the servers of ``/etc/resolv.conf`` for names as they stand: no search list, so
that a server's name means the same everywhere.

Answers are kept for their TTL, within bounds; that there is none likewise, and failures for a moment.
"""

from __future__ import annotations

import asyncio
from collections.abc import Iterable, Sequence
from itertools import chain, islice, zip_longest
from pathlib import Path
from typing import Any, NamedTuple

import dns.asyncresolver
import dns.exception
import dns.name
import dns.nameserver
import dns.rdatatype
import dns.resolver

from palpo.core.server_names import is_ip_literal
from palpo.net.dns_sockets import DnsSockets
from palpo.net.hosts import Hosts, plain
from palpo.streams.caches import Cache, CacheBudget
from palpo.streams.clock import Clock
from palpo.streams.keyed_locks import KeyedLocks

RESOLV_CONF = Path("/etc/resolv.conf")

KEPT_S = (10, 3600)
"""Seconds for which an answer is kept, whatever its TTL: at least, at most."""
ABSENCE_KEPT_S = (10, 900)
"""The same of that there is no such service."""
NO_ADDRESS_KEPT_S = (1, 10)
"""The same of that a host has no address: one that is being started anew has one again in a moment, whatever
the TTL of that there was none (in Docker it is that of the root, a day)."""
FAILURE_KEPT_S = 10
GIVEN_UP_S = 2
"""Seconds after which it counts as a failure if whoever asks waits no longer."""
MAX_ADDRESSES = 4
"""Of a host, of both kinds together; further ones are not tried."""
MAX_SERVICES = 32
"""Records of a service, the best first."""
AT_ONCE = 500
"""Questions to the DNS at once."""
UDP_BYTES = 1232
"""Largest answer by UDP (dnsflagday.net): more than that comes by TCP."""


class HostError(OSError):
    """A name that led to no address. OSError, since that is what look-ups raise by custom."""


class HostUnknown(HostError):
    """There is no such host, or it has no address."""


class LookupFailed(HostError):
    """The DNS did not say whether there is: no answer in time, or one that is of no use."""


class Service(NamedTuple):
    """An SRV record (RFC 2782)."""

    priority: int
    weight: int
    port: int
    target: str
    """A host; ``.`` says that the service is decidedly not there."""


class _Kept(NamedTuple):
    until_s: float
    found: tuple[Any, ...] | None
    """None where the look-up failed."""
    problem: str = ""


class Dns:
    """Looks hosts and services up. Many who want the same ask once."""

    def __init__(
        self,
        hosts: Hosts,
        clock: Clock,
        caches: CacheBudget,
        *,
        timeout_s: float = 5.0,
        servers: Sequence[tuple[str, int]] = (),
    ) -> None:
        """``timeout_s`` is for one name; ``servers`` (address and port) replace those of the system."""
        self._hosts = hosts
        self._clock = clock
        self._timeout_s = timeout_s
        self._cache: Cache[tuple[str, str], _Kept] = caches.cache("dns", share=0.05)
        self._locks = KeyedLocks()
        self._turns = asyncio.Semaphore(AT_ONCE)
        self._resolvers = _Resolvers(servers)
        self._sockets = DnsSockets()

    async def addresses(self, host: str) -> tuple[str, ...]:
        """Addresses of ``host``, IPv6 and IPv4 in turn, at most MAX_ADDRESSES; an address is its own.

        Raises HostUnknown, LookupFailed.
        """
        if is_ip_literal(host):
            return (host,)
        if known := self._hosts.addresses(host):
            return known[:MAX_ADDRESSES]
        found = await asyncio.gather(
            self._look_up(host, "AAAA"), self._look_up(host, "A"), return_exceptions=True
        )
        for other in found:
            if isinstance(other, BaseException) and not isinstance(other, LookupFailed):
                raise other
        lists = [list(one) for one in found if isinstance(one, tuple)]
        mixed = [item for item in chain.from_iterable(zip_longest(*lists)) if item is not None]
        if mixed:
            return tuple(mixed[:MAX_ADDRESSES])
        for failure in found:
            if isinstance(failure, LookupFailed):
                raise failure
        raise HostUnknown(f"{host} has no address")

    async def services(self, name: str) -> tuple[Service, ...]:
        """The records of a service, ``_matrix-fed._tcp.example.org``, by priority; raises LookupFailed."""
        return await self._look_up(name, "SRV")

    async def _look_up(self, name: str, kind: str) -> tuple[Any, ...]:
        key = (plain(name), kind)
        kept = self._fresh(key)
        if kept is None:
            async with self._locks.hold(key):
                kept = self._fresh(key) or await self._ask(key)
        if kept.found is None:
            raise LookupFailed(f"{name}: {kept.problem}")
        return kept.found

    def _fresh(self, key: tuple[str, str]) -> _Kept | None:
        kept = self._cache.touch(key)
        return kept if kept is not None and kept.until_s > self._clock.elapsed_s() else None

    async def _ask(self, key: tuple[str, str]) -> _Kept:
        async with self._turns:
            began_s = self._clock.elapsed_s()
            try:
                return self._keep(key, *await self._answer(*key))
            except asyncio.CancelledError:
                if self._clock.elapsed_s() - began_s >= GIVEN_UP_S:
                    self._keep(key, None, FAILURE_KEPT_S, "no answer in time")
                raise

    def _keep(
        self, key: tuple[str, str], found: tuple[Any, ...] | None, kept_s: float, problem: str
    ) -> _Kept:
        kept = _Kept(self._clock.elapsed_s() + kept_s, found, problem)
        self._cache.keep({key: kept})
        return kept

    async def _answer(self, name: str, kind: str) -> tuple[tuple[Any, ...] | None, float, str]:
        """What the DNS says: records or None, for how many seconds, and what went wrong."""
        if not name:  # The root of all names: no host, whatever it has.
            return (), ABSENCE_KEPT_S[1], ""
        try:
            answer = await self._resolvers.current().resolve(
                name + ".",
                kind,
                raise_on_no_answer=False,
                search=False,
                lifetime=self._timeout_s,
                backend=self._sockets,
            )
        except dns.resolver.NXDOMAIN as error:
            return (), _within(_absence_ttl(error), _absence(kind)), ""
        except (dns.name.LabelTooLong, dns.name.NameTooLong, dns.name.EmptyLabel):
            return (), ABSENCE_KEPT_S[1], ""
        except (dns.exception.DNSException, OSError) as error:
            return None, FAILURE_KEPT_S, str(error)[:200] or type(error).__name__
        ttl = answer.chaining_result.minimum_ttl
        if answer.rrset is None:
            return (), _within(ttl, _absence(kind)), ""
        return _records(kind, answer.rrset), _within(ttl, KEPT_S), ""


class _Resolvers:
    """A resolver for the name servers that the system has now."""

    def __init__(self, servers: Sequence[tuple[str, int]]) -> None:
        self._fixed = tuple(servers)
        self._made: dns.asyncresolver.Resolver | None = None
        self._version: int | None = None

    def current(self) -> dns.asyncresolver.Resolver:
        """The resolver; another once RESOLV_CONF has changed."""
        version = 0 if self._fixed else _version(RESOLV_CONF)
        if self._made is None or version != self._version:
            self._made, self._version = self._make(), version
        return self._made

    def _make(self) -> dns.asyncresolver.Resolver:
        made = dns.asyncresolver.Resolver(configure=False)
        made.nameservers = [dns.nameserver.Do53Nameserver(*server) for server in self._fixed]
        if not self._fixed:
            try:
                made.read_resolv_conf(str(RESOLV_CONF))
            except dns.resolver.NoResolverConfiguration:
                made.nameservers = ["127.0.0.1"]
        made.use_edns(0, 0, UDP_BYTES)
        return made


def _version(file: Path) -> int:
    try:
        return file.stat().st_mtime_ns
    except OSError:
        return 0


def _records(kind: str, found: Iterable[Any]) -> tuple[Any, ...]:
    if kind == "SRV":
        return tuple(sorted(map(_service, found), key=lambda service: service.priority)[:MAX_SERVICES])
    return tuple(islice((record.address for record in found), MAX_ADDRESSES))


def _service(record: Any) -> Service:
    target = record.target.to_text()
    return Service(record.priority, record.weight, record.port, target if target == "." else plain(target))


def _absence(kind: str) -> tuple[int, int]:
    return ABSENCE_KEPT_S if kind == "SRV" else NO_ADDRESS_KEPT_S


def _absence_ttl(error: Any) -> int:
    """For how long a name that is not there may be taken not to be (RFC 2308)."""
    try:
        ttl: int = min(response.resolve_chaining().minimum_ttl for response in error.responses().values())
    except (dns.exception.DNSException, ValueError):
        return 0
    return ttl


def _within(ttl: int, bounds: tuple[int, int]) -> float:
    return min(max(ttl, bounds[0]), bounds[1])
