"""``/.well-known/matrix/server`` of others: where they say that their homeserver is.

Answers are kept for as long as they say, at most 48 hours. What is none, of whatever kind, is asked for again
after a minute, and after each further failure in twice the time, up to an hour. A server that had an answer
and fails to repeat it keeps the old one meanwhile, within its 48 hours: a web server that is down for a
moment moves no homeserver.

Spec: server-server API, "Resolving server names" and "Well-known URIs".
"""

from __future__ import annotations

import asyncio
import re
from collections.abc import Mapping
from email.utils import parsedate_to_datetime
from typing import NamedTuple

from palpo.core.errors import InvalidParam, NotJson
from palpo.core.identifiers import ServerName, parse_server_name
from palpo.core.json_parts import decode_parts
from palpo.net.http_client import HttpClient, HttpError
from palpo.streams.caches import Cache, CacheBudget
from palpo.streams.clock import Clock
from palpo.streams.keyed_locks import KeyedLocks

MAX_BYTES = 50 * 1024
"""Of an answer (spec)."""
MAX_REDIRECTS = 5
TIMEOUT_S = 7.0
"""For an answer, redirects included."""
GIVEN_UP_S = 3.0
"""Seconds after which it counts as a failure if whoever asks waits no longer."""
DEFAULT_S = 24 * 3600
LEAST_S = 300
MOST_S = 48 * 3600
"""Seconds for which an answer is kept: where it does not say, and at least and at most."""
FIRST_PAUSE_S = 60
LONGEST_PAUSE_S = 3600
MAX_FAILURES = 16
"""Beyond which they are not counted."""

_MAX_AGE = re.compile(r'(?:^|[\s,])max-age\s*=\s*"?(\d{1,10})(?!\d)')
_NOT_KEPT = re.compile(r"(?:^|[\s,])(?:no-store|no-cache)(?:$|[\s,=])")


class Delegation(NamedTuple):
    """What a host says of where its homeserver is."""

    server: ServerName | None
    """None: nothing of use."""
    note: str = ""
    """Why, or since when."""


class _Kept(NamedTuple):
    delegation: Delegation
    until_s: float
    fetched_s: float
    """When the last answer that was one came."""
    failures: int = 0


class Unusable(Exception):
    """An answer of no use, or none; ``passing``: there may be another time."""

    def __init__(self, message: str, *, passing: bool) -> None:
        super().__init__(message)
        self.passing = passing


class WellKnown:
    """Asks, and remembers. Many who want the same ask once."""

    def __init__(self, http: HttpClient, clock: Clock, caches: CacheBudget, *, port: int = 443) -> None:
        """``http`` is to look hosts up as federation does, and to follow redirects to ``https`` alone."""
        self._http = http
        self._clock = clock
        self._port = port
        self._cache: Cache[str, _Kept] = caches.cache("well_known", share=0.05)
        self._locks = KeyedLocks()

    async def delegation(self, host: str) -> Delegation:
        """What ``host``, a name, says."""
        key = host.lower()
        kept = self._fresh(key)
        if kept is None:
            async with self._locks.hold(key):
                kept = self._fresh(key) or await self._renew(key)
        return kept.delegation

    async def close(self) -> None:
        """Close every connection."""
        await self._http.close()

    def url(self, host: str) -> str:
        """Where a host says it."""
        port = "" if self._port == 443 else f":{self._port}"
        return f"https://{host}{port}/.well-known/matrix/server"

    def _fresh(self, host: str) -> _Kept | None:
        kept = self._cache.touch(host)
        return kept if kept is not None and kept.until_s > self._clock.elapsed_s() else None

    async def _renew(self, host: str) -> _Kept:
        began_s = self._clock.elapsed_s()
        try:
            server, lifetime_s = await self._fetch(host)
        except Unusable as problem:
            return self._failed(host, problem)
        except asyncio.CancelledError:
            if self._clock.elapsed_s() - began_s >= GIVEN_UP_S:
                self._failed(host, Unusable("no answer in time", passing=True))
            raise
        now_s = self._clock.elapsed_s()
        kept = _Kept(Delegation(server), now_s + lifetime_s, now_s)
        self._cache.keep({host: kept})
        return kept

    def _failed(self, host: str, problem: Unusable) -> _Kept:
        kept = self._after(problem, self._cache.touch(host))
        self._cache.keep({host: kept})
        return kept

    def _after(self, problem: Unusable, last: _Kept | None) -> _Kept:
        """What holds after a failure."""
        now_s = self._clock.elapsed_s()
        failures = 0 if last is None else last.failures
        until_s = now_s + min(FIRST_PAUSE_S * 2**failures, LONGEST_PAUSE_S)
        failures = min(failures + 1, MAX_FAILURES)
        if last is not None and last.delegation.server is not None and problem.passing:
            end_s = last.fetched_s + MOST_S
            if now_s < end_s:
                old = Delegation(last.delegation.server, f"an earlier answer; now: {problem}")
                return _Kept(old, min(until_s, end_s), last.fetched_s, failures)
        return _Kept(Delegation(None, str(problem)), until_s, now_s, failures)

    async def _fetch(self, host: str) -> tuple[ServerName, float]:
        """The answer, and for how many seconds it is good; raises Unusable."""
        try:
            async with self._http.request(
                "GET", self.url(host), timeout_s=TIMEOUT_S, redirects=MAX_REDIRECTS
            ) as response:
                if response.status != 200:
                    passing = response.status >= 500 or response.status == 429
                    raise Unusable(f"status {response.status}", passing=passing)
                server = parse_delegation(await response.read(MAX_BYTES))
                return server, lifetime_s(response.headers, self._clock.now_ms() / 1000)
        except HttpError as error:
            raise Unusable(f"{type(error).__name__}: {error}"[:200], passing=True) from error


def parse_delegation(body: bytes) -> ServerName:
    """The server's name in an answer; raises Unusable."""
    try:
        return parse_server_name(decode_parts(body, levels=1)["m.server"])
    except (NotJson, KeyError, TypeError, InvalidParam) as error:
        raise Unusable("not JSON with a server's name as m.server", passing=False) from error


def lifetime_s(headers: Mapping[str, str], now_s: float) -> float:
    """For how many seconds an answer with these headers is good (RFC 9111), within the bounds.

    ``now_s`` are seconds since the Unix epoch.
    """
    return min(max(_said_s(headers, now_s), LEAST_S), MOST_S)


def _said_s(headers: Mapping[str, str], now_s: float) -> float:
    control = headers.get("Cache-Control", "").lower()
    if _NOT_KEPT.search(control):
        return 0
    if found := _MAX_AGE.search(control):
        return int(found[1])
    if "Expires" not in headers:
        return DEFAULT_S
    try:
        return parsedate_to_datetime(headers["Expires"]).timestamp() - now_s
    except (ValueError, TypeError, OverflowError):
        return 0  # As RFC 9111 §5.3 has it: what is no date is past.
