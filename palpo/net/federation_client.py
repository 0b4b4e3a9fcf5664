"""Requests to other homeservers, by their names (spec: server-server API, "Request Authentication").

A server is found (``discovery``), and its destinations are tried in order until there is a connection to one
of them; once something was sent, no other is tried. Answers are bounded by the limit and the times that each
call gives. Errors are ``federation_errors``.
"""

from __future__ import annotations

import asyncio
import re
from collections.abc import AsyncIterator, Callable, Iterable, Mapping
from contextlib import AsyncExitStack, asynccontextmanager
from typing import Any, Protocol
from urllib.parse import quote, urlencode

import aiohttp

from palpo.core.canonical_json import Canonical, encode_lax
from palpo.core.errors import InvalidParam
from palpo.core.json_parts import PARTS
from palpo.core.server_names import ServerNameRules
from palpo.net.answers import Answer, Sender
from palpo.net.connections import NotConnected, Outgoing, Times
from palpo.net.discovery import Route
from palpo.net.federation_answer import FederationAnswer, error_of
from palpo.net.federation_errors import (
    BadAnswer,
    FederationError,
    ServerError,
    ServerNotFound,
    ServerNotPermitted,
    ServerTimedOut,
    ServerUnreachable,
)
from palpo.net.shares import Shares

Sign = Callable[[str, str, str, Canonical | None], Mapping[str, str]]
"""Gives the headers that prove who sends a request: of its method, URI, destination (the server's name), and
its body, which is None where there is none."""

JSON_BYTES = 1024 * 1024
"""Of an answer that is JSON, unless the call gives another limit."""

PATIENCE = 3
"""Times ``connect_s``, after which no further destination of a server is tried."""

_PATH = re.compile(r"/[A-Za-z0-9._~!$&'()*+,;=:@%/-]*")
"""A path that is encoded already: no query, fragment or white space."""


class Finder(Protocol):
    """Finds servers, as ``Discovery`` does."""

    async def route(self, server_name: str) -> Route: ...

    async def close(self) -> None: ...


class FederationClient:
    """Asks other homeservers; ``close`` it in the end."""

    def __init__(
        self,
        discovery: Finder,
        connections: Sender,
        rules: ServerNameRules,
        sign: Sign,
        *,
        shares: Shares,
        times: Times | None = None,
    ) -> None:
        """``shares`` says how many requests go on at once, ``times`` is for calls that give none."""
        self._discovery = discovery
        self._connections = connections
        self._rules = rules
        self._sign = sign
        self._times = times or Times()
        self._shares = shares

    @asynccontextmanager
    async def request(
        self,
        server: str,
        method: str,
        path: str,
        *,
        query: Iterable[tuple[str, str]] = (),
        content: Any = None,
        signed: bool = True,
        slash: bool = False,
        limit: int,
        times: Times | None = None,
    ) -> AsyncIterator[FederationAnswer]:
        """An answer with a status of success, of which up to ``limit`` bytes can be read, unzipped.

        ``path`` is percent-encoded already; ``content`` is a JSON value, or Canonical where many are sent the
        same. ``slash`` asks once more with a slash at the path's end where the server does not know the path
        without it, as old ones do. Raises FederationError, and BadJson for content without canonical form.
        """
        times = times or self._times
        body = (
            content if content is None or isinstance(content, Canonical) else Canonical(encode_lax(content))
        )
        attempts = (path, f"{path}/") if slash else (path,)
        try:
            async with (
                asyncio.timeout(times.whole_s) as timer,
                self._shares.hold(server),
                AsyncExitStack() as stack,
            ):
                route = await self._route(server)
                for number, attempt in enumerate(attempts, 1):
                    uri = make_uri(attempt, query)
                    outgoing = self._outgoing(server, method, uri, body, signed, times)
                    response = await self._sent(stack, server, route, outgoing)
                    if 200 <= response.status < 300:
                        yield FederationAnswer(server, response, limit)
                        return
                    error = await error_of(server, response)
                    if number == len(attempts) or not _wants_slash(error):
                        raise error
        except TimeoutError as error:
            if not timer.expired():
                raise
            raise ServerTimedOut(server, f"no whole answer within {times.whole_s:g} s") from error

    async def json(
        self,
        server: str,
        method: str,
        path: str,
        *,
        limit: int = JSON_BYTES,
        levels: int = PARTS,
        **options: Any,
    ) -> dict[str, Any]:
        """The JSON object that a server answers; the other options are those of ``request``.

        Parts of it that cannot be read are left out, so many ``levels`` deep.
        """
        async with self.request(server, method, path, limit=limit, **options) as answer:
            return await answer.json(levels)

    async def close(self) -> None:
        """Close every connection."""
        await self._connections.close()
        await self._discovery.close()

    def _outgoing(
        self, server: str, method: str, uri: str, body: Canonical | None, signed: bool, times: Times
    ) -> Outgoing:
        headers = dict(self._sign(method, uri, server, body)) if signed else {}
        if body is not None:
            headers["Content-Type"] = "application/json"
        return Outgoing(method=method, uri=uri, headers=headers, body=body, times=times)

    async def _sent(self, stack: AsyncExitStack, server: str, route: Route, outgoing: Outgoing) -> Answer:
        """Any answer, of the first of the server's destinations that there is a connection to."""
        failures: list[NotConnected] = []
        times, now_s = outgoing.times, asyncio.get_running_loop().time
        enough_s = now_s() + PATIENCE * times.connect_s
        for destination in route.destinations:
            try:
                return await stack.enter_async_context(self._connections.request(destination, outgoing))
            except NotConnected as error:
                failures.append(error)
                if now_s() > enough_s:
                    break
            except aiohttp.ServerTimeoutError as error:
                raise ServerTimedOut(server, f"no answer within {times.idle_s:g} s") from error
            except aiohttp.ClientResponseError as error:
                raise BadAnswer(server, error.message[:200]) from error
            except (aiohttp.ClientError, OSError) as error:
                raise ServerUnreachable(server, str(error) or type(error).__name__) from error
        raise _not_connected(server, failures)

    async def _route(self, server: str) -> Route:
        """Where a server may be; raises ServerNotFound."""
        try:
            if not self._rules.permits(server):
                raise ServerNotPermitted(server, "the configuration leaves it alone")
            return await self._discovery.route(server)
        except InvalidParam as error:
            raise ServerNotFound(server, "not a server name") from error


def make_uri(path: str, query: Iterable[tuple[str, str]] = ()) -> str:
    """What is requested and signed; raises ValueError where ``path`` is not encoded."""
    if _PATH.fullmatch(path) is None:
        raise ValueError(f"not an encoded path: {path!r}")
    text = urlencode(list(query), quote_via=quote, safe="")
    return f"{path}?{text}" if text else path


def _wants_slash(error: ServerError) -> bool:
    """Whether a server does not know the path as it is (Synapse up to 0.99.3)."""
    return error.status == 400 and error.errcode == "M_UNRECOGNIZED"


def _not_connected(server: str, failures: list[NotConnected]) -> FederationError:
    if not failures:
        return ServerNotFound(server, "it says that it is nowhere")
    told = "; ".join(dict.fromkeys(str(failure) for failure in failures))
    unknown = all(failure.unknown for failure in failures)
    return ServerNotFound(server, told) if unknown else ServerUnreachable(server, told)
