"""Matrix endpoints at the ASGI boundary: route, decode, authenticate, limit, handle, encode.

Quart's own machinery costs some 250 µs a request; this path costs a fifth of that. What is not
routed here (pages, well-known files of other programs) goes on to Quart.
"""

from __future__ import annotations

import time
from collections.abc import AsyncIterator, Awaitable, Callable, Iterable, Mapping, MutableMapping
from itertools import count
from typing import Any

from structlog.contextvars import bind_contextvars

from palpo.api.authentication import Authenticator
from palpo.api.call import AnyHandler, Call, Handlers, Reply
from palpo.api.codec import Codec, encode
from palpo.api.errors import render
from palpo.api.limits import Limiter, origin
from palpo.api.observers import Exchange, Observer
from palpo.api.router import Router
from palpo.api.services import Services
from palpo.core.errors import TooLarge
from palpo.streams.fair_queue import behalf
from palpo.wire.endpoint import Endpoint, Stream

Scope = MutableMapping[str, Any]
Receive = Callable[[], Awaitable[MutableMapping[str, Any]]]
Send = Callable[[MutableMapping[str, Any]], Awaitable[None]]

CORS = [
    (b"access-control-allow-origin", b"*"),
    (b"access-control-allow-methods", b"GET, HEAD, POST, PUT, DELETE, OPTIONS"),
    (b"access-control-allow-headers", b"X-Requested-With, Content-Type, Authorization, Date"),
    (b"access-control-expose-headers", b"Retry-After, ETag, Content-Disposition"),
]
PREFIXES = (b"/_", b"/.well-known/matrix/")
OPERATORS_PREFIX = b"/_palpo/"


class ClientGone(Exception):
    """The client hung up before its request was read."""


class Route:
    """An endpoint, its handler, and its codec."""

    __slots__ = ("codec", "endpoint", "handler")

    def __init__(self, endpoint: Endpoint[Any, Any, Any], handler: AnyHandler) -> None:
        self.endpoint = endpoint
        self.handler = handler
        self.codec = Codec(endpoint)


class Dispatcher:
    """Serves every declared endpoint."""

    def __init__(
        self,
        services: Services,
        handlers: Iterable[Handlers],
        *,
        authenticator: Authenticator,
        limiter: Limiter,
        observers: Iterable[Observer],
        request_prefix: str,
    ) -> None:
        self._services = services
        self._authenticator = authenticator
        self._limiter = limiter
        self.observers = list(observers)
        self._ids = (f"{request_prefix}-{number}" for number in count(1))
        self._trusted = frozenset(services.config.http.trusted_proxies)
        self.router: Router[Route] = Router()
        for module in handlers:
            for endpoint, handler in module.table:
                route = Route(endpoint, handler)
                for path in endpoint.paths:
                    self.router.add(endpoint.method, path, route)

    @staticmethod
    def takes(scope: Scope) -> bool:
        """Whether a request is the dispatcher's, by its path."""
        raw_path: bytes = scope["raw_path"]
        return raw_path.startswith(PREFIXES) and not raw_path.startswith(OPERATORS_PREFIX)

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
        route: Route | None = None
        call: Call | None = None
        try:
            route, path = self.router.match("GET" if method == "HEAD" else method, raw_path)
            call = await self._read(route, scope, receive, request_id)
            reply = await self._handle(route, call, path)
        except ClientGone:
            return
        except Exception as error:  # noqa: BLE001 - this is the renderer
            reply = render(error)
        await _send(send, reply, request_id, head=method == "HEAD")
        exchange = Exchange(
            method=method,
            raw_path=raw_path.decode("latin-1"),
            query=scope["query_string"].decode("latin-1"),
            endpoint=route.endpoint if route else None,
            status=reply.status,
            seconds=time.perf_counter() - started,
            ended=time.time(),
            request_id=request_id,
            user_id=call.caller.user_id if call and call.caller else None,
            address=call.client_address if call else self._client_address(scope, _headers(scope)),
            content_type=reply.content_type,
            body=reply.body if isinstance(reply.body, bytes) else None,
        )
        for observer in self.observers:
            observer(exchange)

    async def _read(self, route: Route, scope: Scope, receive: Receive, request_id: str) -> Call:
        endpoint = route.endpoint
        headers = _headers(scope)
        stream = _chunks(receive, headers, endpoint.max_body)
        body = b""
        if endpoint.body is not Stream and scope["method"] not in ("GET", "HEAD"):
            body = b"".join([chunk async for chunk in stream])
        return Call(
            services=self._services,
            endpoint=endpoint,
            request_id=request_id,
            caller=None,
            client_address=self._client_address(scope, headers),
            headers=headers,
            raw_path=scope["raw_path"].decode("latin-1"),
            query=scope["query_string"].decode("latin-1"),
            body=body,
            stream=stream,
        )

    async def _handle(self, route: Route, call: Call, path: dict[str, str]) -> Reply:
        endpoint = route.endpoint
        call.caller = await self._authenticator.authenticate(call)
        who = call.caller.user_id if call.caller else origin(call.client_address)
        behalf.set(who)
        if call.caller is None or call.caller.rate_limited:
            self._limiter.charge(endpoint.limit, who)
        params = route.codec.params(path, call.query)
        result = await route.handler(call, params, route.codec.body(call.body))
        return result if isinstance(result, Reply) else Reply(body=encode(result))

    def _client_address(self, scope: Scope, headers: Mapping[str, str]) -> str:
        peer = scope.get("client")
        address = str(peer[0]) if peer else ""
        if address in self._trusted:
            return headers.get("x-forwarded-for", address).rsplit(",", 1)[-1].strip()
        return address


def _headers(scope: Scope) -> dict[str, str]:
    return {name.decode("latin-1").lower(): value.decode("latin-1") for name, value in scope["headers"]}


async def _chunks(receive: Receive, headers: Mapping[str, str], limit: int) -> AsyncIterator[bytes]:
    """The body, piece by piece; raises TooLarge as soon as it is over ``limit`` bytes."""
    declared = headers.get("content-length", "")
    if declared.isdecimal() and int(declared[:20]) > limit:
        raise TooLarge(f"The body is over {limit} bytes")
    size = 0
    more = True
    while more:
        message = await receive()
        if message["type"] == "http.disconnect":
            raise ClientGone
        chunk: bytes = message.get("body", b"")
        size += len(chunk)
        if size > limit:
            raise TooLarge(f"The body is over {limit} bytes")
        if chunk:
            yield chunk
        more = message.get("more_body", False)


async def _send(send: Send, reply: Reply, request_id: str, *, head: bool) -> None:
    headers = [
        (b"content-type", reply.content_type.encode("latin-1", "replace")),
        *CORS,
        (b"x-request-id", request_id.encode()),
        *(
            (name.lower().encode(), value.encode("latin-1", "replace"))
            for name, value in reply.headers.items()
        ),
    ]
    body = reply.body
    if isinstance(body, bytes):
        headers.append((b"content-length", str(len(body)).encode()))
        await send({"type": "http.response.start", "status": reply.status, "headers": headers})
        await send({"type": "http.response.body", "body": b"" if head else body})
        return
    await send({"type": "http.response.start", "status": reply.status, "headers": headers})
    if not head:
        async for chunk in body:
            await send({"type": "http.response.body", "body": chunk, "more_body": True})
    await send({"type": "http.response.body", "body": b""})
