"""HTTP requests to addresses that others chose: bounded in time, size, redirects and reach.

A host name is resolved once a connection, and each address is put to the policy at the moment at which
a socket is about to be opened to it: no second look-up can answer otherwise, and literal addresses and
redirects come the same way. Cookies, proxies of the environment and automatic decompression are off.
"""

from __future__ import annotations

import asyncio
import socket
import ssl
from collections.abc import AsyncIterator, Collection, Mapping
from concurrent.futures import ThreadPoolExecutor
from contextlib import asynccontextmanager
from functools import partial
from pathlib import Path
from typing import Any

import aiohttp
from aiohttp.abc import AbstractResolver, ResolveResult
from aiohttp.typedefs import LooseHeaders
from yarl import URL

from palpo.net.addresses import AddressPolicy

CHUNK = 64 * 1024
LOOKUPS = 32
"""Names that are looked up at once."""
REDIRECTS = frozenset({301, 302, 303, 307, 308})


class HttpError(Exception):
    """A request that brought no usable response."""


class BadUrl(HttpError):
    """The URL, or one that it redirects to, is not one to request."""


class Unreachable(HttpError):
    """No connection, none that is permitted, or it broke."""


class TimedOut(HttpError):
    """The time that was given ran out."""


class ResponseTooLarge(HttpError):
    """The response is over the size that was given."""


class TooManyRedirects(HttpError):
    """The last redirect that was permitted led to another."""


class AddressRefused(OSError):
    """The policy does not permit the address; the next one, if any, is tried."""


class _Resolver(AbstractResolver):
    """Looks names up in threads of its own: those whose servers never answer hold up nothing else."""

    def __init__(self) -> None:
        self._threads = ThreadPoolExecutor(LOOKUPS, "palpo-dns")

    async def resolve(
        self, host: str, port: int = 0, family: socket.AddressFamily = socket.AF_UNSPEC
    ) -> list[ResolveResult]:
        """The addresses of a host; raises OSError, and ValueError for what is no host name."""
        look_up = partial(socket.getaddrinfo, host, port, family, socket.SOCK_STREAM)
        found = await asyncio.get_running_loop().run_in_executor(self._threads, look_up)
        return [
            ResolveResult(
                hostname=host,
                host=str(address[0]),
                port=int(address[1]),
                family=kind,
                proto=protocol,
                flags=socket.AI_NUMERICHOST | socket.AI_NUMERICSERV,
            )
            for kind, _, protocol, _, address in found
        ]

    async def close(self) -> None:
        """Wait for no look-up any more."""
        self._threads.shutdown(wait=False, cancel_futures=True)


class HttpResponse:
    """A response whose body has not been read."""

    def __init__(self, response: aiohttp.ClientResponse) -> None:
        self._response = response
        self.status = response.status
        self.headers: Mapping[str, str] = response.headers
        """By name, in any case."""
        self.url = str(response.url)
        """Where it came from, after redirects."""

    @property
    def content_type(self) -> str:
        """The media type in lower case, without parameters; empty where there is none."""
        return self.headers.get("Content-Type", "").partition(";")[0].strip().lower()

    async def chunks(self, limit: int) -> AsyncIterator[bytes]:
        """The body, piece by piece; raises ResponseTooLarge as soon as it is over ``limit`` bytes."""
        declared = self._response.content_length
        if declared is not None and declared > limit:
            raise ResponseTooLarge(f"over {limit} bytes")
        size = 0
        try:
            async for chunk in self._response.content.iter_chunked(CHUNK):
                size += len(chunk)
                if size > limit:
                    raise ResponseTooLarge(f"over {limit} bytes")
                yield chunk
        except TimeoutError as error:
            raise TimedOut(_shown(self.url)) from error
        except aiohttp.ClientError as error:
            raise Unreachable(str(error)) from error

    async def read(self, limit: int) -> bytes:
        """The whole body; raises ResponseTooLarge where it is over ``limit`` bytes."""
        return b"".join([chunk async for chunk in self.chunks(limit)])

    async def read_start(self, limit: int) -> bytes:
        """The first ``limit`` bytes of the body, or all of a shorter one."""
        try:
            return await self._response.content.readexactly(limit)
        except asyncio.IncompleteReadError as error:
            return error.partial
        except TimeoutError as error:
            raise TimedOut(_shown(self.url)) from error
        except aiohttp.ClientError as error:
            raise Unreachable(str(error)) from error


class HttpClient:
    """Keeps connections; ``close`` it in the end."""

    def __init__(
        self,
        policy: AddressPolicy,
        *,
        user_agent: str,
        tls: ssl.SSLContext | None = None,
        resolver: AbstractResolver | None = None,
        schemes: Collection[str] = ("http", "https"),
        connections: int = 200,
        connections_per_host: int = 16,
    ) -> None:
        """``tls`` replaces the system's trust in certificate authorities, ``resolver`` its look-ups.

        ``schemes`` are those of URLs that may be requested, at first and by redirects.
        """
        self._policy = policy
        self._user_agent = user_agent
        self._tls = tls
        self._resolver = resolver
        self._schemes = schemes
        self._connections = connections
        self._connections_per_host = connections_per_host
        self._session: aiohttp.ClientSession | None = None
        self._others: list[HttpClient] = []

    def trusting(self, ca_file: Path | None) -> HttpClient:
        """A client that is like this one, but trusts those in a PEM file alone; None: this one.

        It is closed with this one. Raises OSError and ssl.SSLError for a file that cannot be used.
        """
        if ca_file is None:
            return self
        made = HttpClient(
            self._policy,
            user_agent=self._user_agent,
            tls=ssl.create_default_context(cafile=ca_file),
            schemes=self._schemes,
        )
        self._others.append(made)
        return made

    @asynccontextmanager
    async def request(
        self,
        method: str,
        url: str,
        *,
        headers: Mapping[str, str] | None = None,
        body: bytes | None = None,
        timeout_s: float,
        redirects: int = 0,
        server_hostname: str | None = None,
    ) -> AsyncIterator[HttpResponse]:
        """Send a request; the response, of any status, within ``timeout_s`` for all of it.

        Follows up to ``redirects`` redirects, as GET without ``headers`` that carry credentials.
        ``server_hostname`` is the name that the certificate must have, where it is not the URL's.
        Raises HttpError.
        """
        options: dict[str, Any] = {"headers": headers, "data": body, "server_hostname": server_hostname}
        try:
            async with asyncio.timeout(timeout_s):
                response = await self._follow(method, self._checked(None, url), options, redirects)
                async with response:
                    yield HttpResponse(response)
        except TimeoutError as error:
            raise TimedOut(_shown(url)) from error

    async def close(self) -> None:
        """Close every connection."""
        for other in self._others:
            await other.close()
        if self._session is not None:
            await self._session.close()
        if self._resolver is not None:
            await self._resolver.close()

    async def _follow(
        self, method: str, url: URL, options: dict[str, Any], redirects: int
    ) -> aiohttp.ClientResponse:
        response = await self._send(method, url, options)
        if not redirects:
            return response
        headers = _without_credentials(options["headers"] or {})
        for _ in range(redirects):
            location = response.headers.get("Location")
            if response.status not in REDIRECTS or location is None:
                return response
            response.close()
            url = self._checked(url, location)
            response = await self._send("GET", url, {"headers": headers})
        if response.status in REDIRECTS:
            response.close()
            raise TooManyRedirects(_shown(str(url)))
        return response

    async def _send(self, method: str, url: URL, options: dict[str, Any]) -> aiohttp.ClientResponse:
        try:
            return await self._open().request(method, url, allow_redirects=False, **options)
        except aiohttp.InvalidURL as error:
            raise BadUrl(_shown(str(url))) from error
        except TimeoutError:
            raise
        except (aiohttp.ClientError, OSError, ValueError) as error:
            raise Unreachable(f"{url.host}: {_reason(error)}") from error

    def _checked(self, base: URL | None, text: str) -> URL:
        """A URL to request, without credentials in it, relative to ``base``; raises BadUrl."""
        try:
            url = URL(text) if base is None else base.join(URL(text))
        except ValueError as error:
            raise BadUrl(_shown(text)) from error
        if url.scheme not in self._schemes or not url.host or url.user or url.password:
            raise BadUrl(_shown(text))
        return url.with_fragment(None)

    def _open(self) -> aiohttp.ClientSession:
        if self._session is None:
            self._resolver = self._resolver or _Resolver()
            connector = aiohttp.TCPConnector(
                socket_factory=SocketFactory(self._policy),
                ssl=self._tls or True,
                resolver=self._resolver,
                use_dns_cache=False,
                limit=self._connections,
                limit_per_host=self._connections_per_host,
            )
            default_headers: LooseHeaders = {"User-Agent": self._user_agent, "Accept-Encoding": "identity"}
            self._session = aiohttp.ClientSession(
                connector=connector,
                headers=default_headers,
                cookie_jar=aiohttp.DummyCookieJar(),
                auto_decompress=False,
                trust_env=False,
                timeout=aiohttp.ClientTimeout(total=None, sock_connect=10),
            )
        return self._session


class SocketFactory:
    """Opens sockets for the addresses that a policy permits."""

    def __init__(self, policy: AddressPolicy) -> None:
        self._policy = policy

    def __call__(self, info: Any) -> socket.socket:
        """A socket for one address of a host; raises AddressRefused."""
        family, kind, protocol, _, address = info
        if not self._policy.permits(str(address[0])):
            raise AddressRefused(f"{address[0]} is not an address to connect to")
        return socket.socket(family=family, type=kind, proto=protocol)


def _reason(error: Exception) -> str:
    """Why there is no connection, in the words of whoever found out."""
    match error:
        case aiohttp.ClientConnectorCertificateError():
            return str(error.certificate_error)
        case aiohttp.ClientConnectorError():
            return str(error.os_error)
        case _:
            return str(error)


def _without_credentials(headers: Mapping[str, str]) -> dict[str, str]:
    dropped = ("authorization", "cookie", "content-type")
    return {name: value for name, value in headers.items() if name.lower() not in dropped}


def _shown(url: str) -> str:
    """As much of a URL as an error may repeat: neither credentials nor a query, which may have tokens."""
    head, mark, rest = url.partition("?")[0].partition("://")
    host, slash, path = rest.partition("/")
    return f"{head}{mark}{host.rpartition('@')[2]}{slash}{path}"[:200]
