"""Matrix endpoints at the ASGI boundary: route, authenticate, limit, read, decode, handle, encode.

Quart's own machinery costs some 250 µs a request; this path costs a fifth of that. What is not
routed here (health, metrics, what nobody serves) goes on to Quart.
"""

from __future__ import annotations

import time
from collections.abc import Awaitable, Callable, Iterable, Iterator, Mapping, MutableMapping
from itertools import count
from typing import Any

from structlog.contextvars import bind_contextvars

from palpo.api.audit import audited
from palpo.api.authentication import Authenticator
from palpo.api.bodies import SMALL, Bodies, Body, ClientGone
from palpo.api.call import AnyHandler, Call, Handlers, Reply
from palpo.api.client_addresses import Proxies
from palpo.api.codec import Codec, encode_response
from palpo.api.delegation import is_served
from palpo.api.errors import render
from palpo.api.limits import Limiter, origin
from palpo.api.observers import Exchange, Observer
from palpo.api.router import Router
from palpo.api.server_authentication import ServerAuthenticator
from palpo.api.services import Services
from palpo.api.shares import AtOnce, Full, Shares
from palpo.core.errors import LimitExceeded
from palpo.streams.fair_queue import behalf
from palpo.streams.large_answers import large_answers
from palpo.streams.turns import Turns
from palpo.wire.endpoint import Auth, Endpoint, Limit, NoBody, NoParams, Page, Stream

Scope = MutableMapping[str, Any]
Receive = Callable[[], Awaitable[MutableMapping[str, Any]]]
Send = Callable[[MutableMapping[str, Any]], Awaitable[None]]

CORS = [
    (b"access-control-allow-origin", b"*"),
    (b"access-control-allow-methods", b"GET, HEAD, POST, PUT, DELETE, OPTIONS"),
    (
        b"access-control-allow-headers",
        b"X-Requested-With, Content-Type, Authorization, Date, If-Match, If-None-Match",
    ),
    (b"access-control-expose-headers", b"Retry-After, ETag, Content-Disposition"),
]
JSON = Reply().content_type
JSON_HEADER = (b"content-type", JSON.encode())
FORWARDED = b"x-forwarded-for"
PIECE = 64 * 1024
"""Bytes of a response that are handed to the engine at once."""
LARGE = 256 * 1024
"""Bytes of a response that needs room of its own until it is read."""
BUSY_MS = 2000
"""When to come back for who has too much under way."""
SLOW_SECONDS = 1.0
"""A body that takes longer than this to read has its sender looked at again."""
UNROUTED: Endpoint[NoParams, NoBody, None] = Endpoint(
    operation_id="unrecognized", method="", paths=(), auth=Auth.NONE
)
PREFIXES = (b"/_", b"/.well-known/matrix/", b"/.well-known/o")
OWN_PREFIX = b"/_palpo/"
OWN_PAGES = (b"/_palpo/account", b"/_palpo/oauth2/", b"/_palpo/admin")
"""What is declared below that; health and metrics are Quart's, and not limited."""
LANDING_PAGE = b"/"


class Route:
    """An endpoint, its handler, and its codec."""

    __slots__ = ("codec", "endpoint", "for_servers", "handler", "reads_body", "written_by")

    def __init__(self, endpoint: Endpoint[Any, Any, Any], handler: AnyHandler) -> None:
        self.endpoint = endpoint
        self.handler = handler
        self.codec = Codec(endpoint)
        self.reads_body = endpoint.body is not Stream
        self.for_servers = endpoint.auth is Auth.SERVER
        self.written_by = Limit.FEDERATION_WRITTEN if self.for_servers else Limit.WRITTEN
        """What a call's body is charged to."""


class Dispatcher:
    """Serves every declared endpoint."""

    def __init__(
        self,
        services: Services,
        handlers: Iterable[Handlers],
        *,
        authenticator: Authenticator,
        servers: ServerAuthenticator,
        limiter: Limiter,
        observers: Iterable[Observer],
        request_prefix: str,
    ) -> None:
        self._services = services
        self._authenticator = authenticator
        self._servers = servers
        self._limiter = limiter
        self.observers = list(observers)
        self.refused_page: Callable[[Call, Exception], Awaitable[Reply]] | None = None
        """Says it to browsers that wanted a page."""
        self._ids = (f"{request_prefix}-{number}" for number in count(1))
        http = services.server.config.http
        self._proxies = Proxies(http.trusted_proxies)
        self._bodies = Bodies(http)
        self._unread = Shares(http.response_bytes, http.response_bytes_per_user)
        self._large_answers = large_answers()
        self._of_users = AtOnce(http.max_requests_per_user)
        self._of_addresses = AtOnce(http.max_requests_per_address)
        self.router: Router[Route] = Router()
        for module in handlers:
            for endpoint, handler in module.table:
                if is_served(endpoint, services.server.config):
                    self.serve(endpoint, handler)

    def serve(self, endpoint: Endpoint[Any, Any, Any], handler: AnyHandler) -> None:
        """Serve an endpoint at each of its paths; raises ValueError where something does already."""
        route = Route(endpoint, audited(endpoint, handler))
        for path in endpoint.paths:
            self.router.add(endpoint.method, path, route)

    @staticmethod
    def takes(scope: Scope) -> bool:
        """Whether a request is the dispatcher's, by its path."""
        raw_path: bytes = scope["raw_path"]
        if raw_path.startswith(OWN_PREFIX):
            return raw_path.startswith(OWN_PAGES)
        if raw_path.startswith(PREFIXES):
            return True
        return raw_path == LANDING_PAGE

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Answer one HTTP request."""
        started = time.perf_counter()
        request_id = next(self._ids)
        bind_contextvars(id=request_id)  # For whatever is logged on the way.
        method: str = scope["method"]
        raw_path: bytes = scope["raw_path"]
        if method == "OPTIONS":
            await _send(send, Reply(body=b"{}"), request_id, head=False)
            return
        head = method == "HEAD"
        route: Route | None = None
        headers = _headers(scope)
        body = Body(receive, headers, self._bodies.seconds)
        call = self._call(scope, headers, body, request_id)
        try:
            try:
                route, path = self.router.match("GET" if head else method, raw_path)
                call.endpoint = route.endpoint
                body.bound(route.endpoint.max_body)
                reply = await self._handle(route, call, path, body)
            except ClientGone:
                raise
            except Exception as error:  # noqa: BLE001 - this is the renderer
                reply = await self._refusal(route, call, error)
                await body.drain()
        except ClientGone:
            return
        status = await self._send(send, reply, call, head=head)
        exchange = Exchange(
            method=method,
            raw_path=raw_path.decode("latin-1"),
            endpoint=route.endpoint if route else None,
            status=status,
            seconds=time.perf_counter() - started,
            request_id=request_id,
            user_id=call.caller.user_id if call.caller else None,
            address=call.client_address,
        )
        for observer in self.observers:
            observer(exchange)

    async def _refusal(self, route: Route | None, call: Call, error: Exception) -> Reply:
        """What is said of a request that failed before its handler had it, or in it."""
        if self.refused_page is None or route is None or route.endpoint.response is not Page:
            return render(error)
        return await self.refused_page(call, error)

    def _call(self, scope: Scope, headers: Mapping[str, str], body: Body, request_id: str) -> Call:
        return Call(
            services=self._services,
            endpoint=UNROUTED,
            request_id=request_id,
            caller=None,
            client_address=self._client_address(scope),
            headers=headers,
            header_lines=scope["headers"],
            raw_path=scope["raw_path"].decode("latin-1"),
            query=scope["query_string"].decode("latin-1"),
            body=b"",
            incoming=body,
            method=scope["method"],
            limiter=self._limiter,
        )

    async def _handle(self, route: Route, call: Call, path: dict[str, str], body: Body) -> Reply:
        """Find out who calls and charge them, and only then read what they send."""
        if route.for_servers:
            return await self._handle_server(route, call, path, body)
        caller = call.caller = await self._authenticator.authenticate(call)
        if caller is None:
            body.bound(min(SMALL, route.endpoint.max_body))
            under_way = self._of_addresses
            who = origin(call.client_address)
        else:
            under_way = self._of_users
            who = caller.user_id
        behalf.set(who)
        if caller is not None and not caller.rate_limited:
            return await self._carry_out(route, call, path, body, who)
        try:
            under_way.enter(who)
        except Full:
            raise LimitExceeded("Too many requests at once", retry_after_ms=BUSY_MS) from None
        try:
            self._limiter.admit(route.endpoint.limit, who, call.own_limit)
            return await self._carry_out(route, call, path, body, who)
        finally:
            under_way.leave(who)

    async def _handle_server(self, route: Route, call: Call, path: dict[str, str], body: Body) -> Reply:
        """The same for a server: what it has signed has to be read before that can be checked."""
        self._servers.admit(call)
        who = origin(call.client_address)
        behalf.set(who)
        try:
            self._of_addresses.enter(who)
        except Full:
            raise LimitExceeded("Too many requests at once", retry_after_ms=BUSY_MS) from None
        try:
            return await self._carry_out(route, call, path, body, who)
        finally:
            self._of_addresses.leave(who)

    async def _carry_out(self, route: Route, call: Call, path: dict[str, str], body: Body, who: str) -> Reply:
        held = 0
        if route.reads_body and call.method not in ("GET", "HEAD"):
            begun = time.monotonic()
            call.body, held = await self._bodies.read(body, route.endpoint.max_body, who)
            if time.monotonic() - begun > SLOW_SECONDS:
                # Whoever took so long may have been logged out meanwhile.
                call.caller = await self._authenticator.authenticate(call)
        try:
            if route.for_servers:
                call.server = await self._servers.authenticate(call)
                behalf.set(call.server)
                self._limiter.admit(route.endpoint.limit, call.server)
            charged_to = call.charged_to
            if charged_to is not None and call.body:
                self._limiter.charge(route.written_by, charged_to, len(call.body))
            params = route.codec.params(path, call.query)
            if call.server is not None:
                await self._servers.authorize(call.server, params)
            content = route.codec.body(call.body)
            if route.endpoint.large_answer:
                async with self._large_answers.turn():
                    reply = _reply(await route.handler(call, params, content))
            else:
                reply = _reply(await route.handler(call, params, content))
        finally:
            self._bodies.give_back(who, held)
        if charged_to is not None and isinstance(reply.body, bytes):
            self._limiter.debit(Limit.READ, charged_to, len(reply.body))
        return reply

    def _client_address(self, scope: Scope) -> str:
        peer = scope.get("client")
        address = None if peer is None else peer[0]
        if not self._proxies.trusts(address):
            return self._proxies.plain(address)
        forwarded = [value.decode("latin-1") for name, value in scope["headers"] if name.lower() == FORWARDED]
        return self._proxies.client(address, forwarded)

    async def _send(self, send: Send, reply: Reply, call: Call, *, head: bool) -> int:
        """Send a reply, a large one as room permits; the status that was sent."""
        if head or not isinstance(reply.body, bytes) or len(reply.body) <= LARGE:
            await _send(send, reply, call.request_id, head=head)
            return reply.status
        who = call.caller.user_id if call.caller else origin(call.client_address)
        size = len(reply.body)
        try:
            await self._unread.take(who, size)
        except Full:
            error = LimitExceeded("Too many responses wait to be read", retry_after_ms=BUSY_MS)
            reply = render(error)
            await _send(send, reply, call.request_id, head=False)
            return reply.status
        try:
            await _send(send, reply, call.request_id, head=False)
        finally:
            self._unread.give_back(who, size)
        return reply.status


def _reply(result: Any) -> Reply:
    return result if isinstance(result, Reply) else Reply(body=encode_response(result))


def _headers(scope: Scope) -> dict[str, str]:
    return {name.decode("latin-1").lower(): value.decode("latin-1") for name, value in scope["headers"]}


async def _send(send: Send, reply: Reply, request_id: str, *, head: bool) -> None:
    headers = [*CORS, (b"x-request-id", request_id.encode())]
    if reply.headers or reply.cookies or reply.content_type != JSON:
        for name, value in {"content-type": reply.content_type, **reply.headers}.items():
            headers.append((name.lower().encode(), value.encode("latin-1", "replace")))
        headers.extend((b"set-cookie", line.encode("latin-1", "replace")) for line in reply.cookies)
    else:
        headers.append(JSON_HEADER)
    body = reply.body
    if isinstance(body, bytes):
        headers.append((b"content-length", str(len(body)).encode()))
        await send({"type": "http.response.start", "status": reply.status, "headers": headers})
        if head or len(body) <= PIECE:
            await send({"type": "http.response.body", "body": b"" if head else body})
            return
        async for piece in Turns().over(_pieces(body)):
            await send({"type": "http.response.body", "body": piece, "more_body": True})
        await send({"type": "http.response.body", "body": b""})
        return
    await send({"type": "http.response.start", "status": reply.status, "headers": headers})
    if not head:
        turns = Turns()
        async for chunk in body:
            async for piece in turns.over(_pieces(chunk)):
                await send({"type": "http.response.body", "body": piece, "more_body": True})
    await send({"type": "http.response.body", "body": b""})


def _pieces(body: bytes) -> Iterator[bytes]:
    """``body`` in parts of 64 KiB: what is handed to the engine is kept until the client takes it."""
    if len(body) <= PIECE:
        yield body
        return
    view = memoryview(body)
    for start in range(0, len(body), PIECE):
        yield bytes(view[start : start + PIECE])
