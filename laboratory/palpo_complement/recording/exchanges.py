"""Reads HTTP/1.1 along a relayed connection: which request got which response."""

from __future__ import annotations

import time
import zlib
from collections import deque
from collections.abc import Callable
from dataclasses import dataclass, field

import httptools

MAX_BODY = 32 << 20
"""A body above this is not kept, and so not checked."""
COMPRESSED = ("gzip", "deflate")


@dataclass(frozen=True, slots=True, kw_only=True)
class Exchange:
    """A request and its response.

    `target` is as it was sent, with the query. `body` is what came as JSON, uncompressed, or None for
    anything else; `asked` is the same of the request, where the reader keeps that. `ended` is Unix time, a
    moment before the client has the last byte.
    """

    method: str
    target: str
    status: int
    body: bytes | None
    ended: float
    asked: bytes | None = None


@dataclass(slots=True)
class _Message:
    """A request's or a response's content, as it comes. `whole` once it has come."""

    content_type: str = ""
    encoding: str = ""
    framed: bool = False
    whole: bool = False
    size: int = 0
    parts: list[bytes] = field(default_factory=list)

    def header(self, name: bytes, value: bytes) -> None:
        match name.lower():
            case b"content-type":
                self.content_type = value.decode("latin-1").lower()
            case b"content-encoding":
                self.encoding = value.decode("latin-1").strip().lower()
            case b"content-length" | b"transfer-encoding":
                self.framed = True

    def add(self, part: bytes) -> None:
        self.size += len(part)
        if self.size <= MAX_BODY and self.content_type.startswith("application/json"):
            self.parts.append(part)

    def body(self) -> bytes | None:
        if not self.content_type.startswith("application/json") or self.size > MAX_BODY:
            return None
        content = b"".join(self.parts)
        if self.encoding in COMPRESSED:
            try:
                return zlib.decompress(content, zlib.MAX_WBITS | 32)
            except zlib.error:
                return content
        return content if self.encoding in ("", "identity") else None


@dataclass(slots=True)
class _Request(_Message):
    method: str = ""
    target: bytes = b""


class _Requests:
    """Puts each request into the queue of those without a response, as soon as its head is there."""

    def __init__(self, waiting: deque[_Request], *, bodies: bool) -> None:
        self._waiting = waiting
        self._bodies = bodies
        self._request = _Request()
        self.parser = httptools.HttpRequestParser(self)

    def on_message_begin(self) -> None:
        self._request = _Request()

    def on_url(self, part: bytes) -> None:
        self._request.target += part

    def on_header(self, name: bytes, value: bytes) -> None:
        if self._bodies:
            self._request.header(name, value)

    def on_headers_complete(self) -> None:
        self._request.method = self.parser.get_method().decode()
        self._waiting.append(self._request)

    def on_body(self, part: bytes) -> None:
        self._request.add(part)

    def on_message_complete(self) -> None:
        self._request.whole = True


class HttpReader:
    """Reads along on one connection, and says of each response that it was sent in full.

    What cannot be read as HTTP/1.1 is looked at no further; it is passed on all the same. With `bodies`, what
    was asked is kept too.
    """

    def __init__(self, on_exchange: Callable[[Exchange], None], *, bodies: bool = False) -> None:
        self._on_exchange = on_exchange
        self._waiting: deque[_Request] = deque()
        self._requests = _Requests(self._waiting, bodies=bodies)
        self._responses = httptools.HttpResponseParser(self)
        self._response, self._status = _Message(), 0
        self._bodiless = False
        self._lost = False

    def request(self, data: bytes) -> None:
        self._feed(self._requests.parser, data)

    def response(self, data: bytes) -> None:
        self._feed(self._responses, data)
        if self._bodiless:
            # The parser cannot know of the HEAD, and waits for the body that would follow a GET.
            self._bodiless = False
            self._responses = httptools.HttpResponseParser(self)

    def response_ended(self) -> None:
        """The server sends no more: that is the end of a body of unknown length."""
        if self._status and not self._response.framed:
            self._answered()

    def _feed(self, parser: httptools.HttpRequestParser | httptools.HttpResponseParser, data: bytes) -> None:
        if self._lost:
            return
        try:
            parser.feed_data(data)
        except (httptools.HttpParserError, httptools.HttpParserUpgrade):
            self._lost = True

    def on_message_begin(self) -> None:
        self._response, self._status = _Message(), 0

    def on_header(self, name: bytes, value: bytes) -> None:
        self._response.header(name, value)

    def on_headers_complete(self) -> None:
        self._status = self._responses.get_status_code()
        if self._waiting and self._waiting[0].method == "HEAD":
            self._bodiless = True
            self._answered()

    def on_body(self, part: bytes) -> None:
        self._response.add(part)

    def on_message_complete(self) -> None:
        self._answered()

    def _answered(self) -> None:
        response, status = self._response, self._status
        self._response, self._status = _Message(), 0
        # "100 Continue" and the like come before the response, and an answer to half a request has none.
        if status < 200 or not self._waiting:
            return
        request = self._waiting.popleft()
        self._on_exchange(
            Exchange(
                method=request.method,
                target=request.target.decode("latin-1"),
                status=status,
                body=None if request.method == "HEAD" else response.body(),
                ended=time.time(),
                asked=request.body() if request.whole else None,
            )
        )
