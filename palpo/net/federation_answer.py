"""What another homeserver answers: streamed, unzipped, and bounded both ways."""

from __future__ import annotations

import asyncio
import zlib
from collections.abc import AsyncIterator, Iterator, Mapping
from typing import Any

import aiohttp

from palpo.core.errors import NotJson
from palpo.core.json_parts import PARTS, decode_parts
from palpo.net.answers import Answer
from palpo.net.federation_errors import (
    AnswerTooLarge,
    BadAnswer,
    FederationError,
    ServerError,
    ServerTimedOut,
    ServerUnreachable,
)
from palpo.streams.turns import Turns

CHUNK = 64 * 1024
GZIP = zlib.MAX_WBITS | 16
GZIP_HEAD = 1024
"""Bytes that gzip may add to what cannot be made smaller."""
IN_A_THREAD = 128 * 1024
"""Bytes of JSON above which it is decoded in a thread."""
MAX_ERROR = 64 * 1024
"""Bytes of an error that are read."""
MAX_MESSAGE = 1000
MAX_ERRCODE = 100
"""Characters of an error that are kept."""
MAX_RETRY_S = 24 * 3600


class FederationAnswer:
    """An answer with a status of success, whose body has not been read."""

    def __init__(self, server: str, response: Answer, limit: int) -> None:
        self._server = server
        self._response = response
        self._limit = limit
        self.status = response.status
        self.headers: Mapping[str, str] = response.headers
        """By name, in any case."""

    @property
    def content_type(self) -> str:
        """The media type with its parameters, as it was sent; empty where there is none."""
        return self.headers.get("Content-Type", "")

    async def chunks(self) -> AsyncIterator[bytes]:
        """The body, piece by piece; raises AnswerTooLarge as soon as it is over the limit."""
        turns, size = Turns(), 0
        unzip = self._unzip()
        async for chunk in self._sent():
            for piece in (chunk,) if unzip is None else unzip.pieces(chunk):
                size += len(piece)
                if size > self._limit:
                    raise self._too_large()
                yield piece
                await turns.breathe()
        if unzip is not None and not unzip.whole:
            raise BadAnswer(self._server, "its gzip ends too early")

    async def read(self) -> bytes:
        """The whole body; raises FederationError."""
        return b"".join([piece async for piece in self.chunks()])

    async def value(self, levels: int = PARTS) -> Any:
        """The body as JSON, so many levels deep without parts that cannot be read; raises FederationError."""
        data = await self.read()
        try:
            if len(data) > IN_A_THREAD:
                return await asyncio.to_thread(decode_parts, data, levels=levels)
            return decode_parts(data, levels=levels)
        except NotJson as error:
            raise BadAnswer(self._server, f"not JSON: {error}"[:200]) from error

    async def json(self, levels: int = PARTS) -> dict[str, Any]:
        """The same, where it is an object."""
        value = await self.value(levels)
        if not isinstance(value, dict):
            raise BadAnswer(self._server, "not a JSON object")
        return value

    def _unzip(self) -> Unzip | None:
        encoding = self.headers.get("Content-Encoding", "").strip().lower()
        if encoding in ("", "identity"):
            return None
        if encoding not in ("gzip", "x-gzip"):
            raise BadAnswer(self._server, f"it is encoded as {encoding[:50]!r}")
        return Unzip(self._server)

    async def _sent(self) -> AsyncIterator[bytes]:
        """The body as it comes over the network."""
        most = self._limit + GZIP_HEAD
        declared = self._response.content_length
        if declared is not None and declared > most:
            raise self._too_large()
        size = 0
        try:
            async for chunk in self._response.content.iter_chunked(CHUNK):
                size += len(chunk)
                if size > most:
                    raise self._too_large()
                yield chunk
        except TimeoutError as error:
            raise ServerTimedOut(self._server, "it fell silent") from error
        except (aiohttp.ClientError, OSError) as error:
            raise ServerUnreachable(self._server, str(error)) from error

    def _too_large(self) -> FederationError:
        return AnswerTooLarge(self._server, f"over {self._limit} bytes")


class Unzip:
    """Unzips a stream in pieces of bounded size, however small they were made."""

    def __init__(self, server: str) -> None:
        self._server = server
        self._stream = zlib.decompressobj(GZIP)

    @property
    def whole(self) -> bool:
        """Whether the end was reached."""
        return self._stream.eof

    def pieces(self, data: bytes) -> Iterator[bytes]:
        """What ``data``, the next bytes, unzip to; raises BadAnswer."""
        while data or not self._stream.eof:
            if self._stream.eof:
                raise BadAnswer(self._server, "something follows its gzip")
            try:
                piece = self._stream.decompress(data, CHUNK)
            except zlib.error as error:
                raise BadAnswer(self._server, f"not gzip: {error}") from error
            data = self._stream.unconsumed_tail or self._stream.unused_data
            if piece:
                yield piece
            elif not data:
                return


async def error_of(server: str, response: Answer) -> ServerError:
    """What an answer without success says; what cannot be read of it is left out."""
    answer = FederationAnswer(server, response, MAX_ERROR)
    try:
        body = await answer.json()
    except BadAnswer:
        body = {}
    message, errcode = body.get("error"), body.get("errcode")
    return ServerError(
        server,
        message[:MAX_MESSAGE] if isinstance(message, str) else f"status {response.status}",
        status=response.status,
        errcode=errcode[:MAX_ERRCODE] if isinstance(errcode, str) else "",
        retry_after_ms=_retry_after_ms(body, response.headers),
    )


def _retry_after_ms(body: dict[str, Any], headers: Mapping[str, str]) -> int | None:
    """When to come back, by the header in seconds (spec: "Rate limiting") or the body's member."""
    header, member = headers.get("Retry-After", ""), body.get("retry_after_ms")
    if header.isascii() and header.isdigit():
        return min(int(header[:10]), MAX_RETRY_S) * 1000
    if isinstance(member, int) and not isinstance(member, bool) and member >= 0:
        return min(member, MAX_RETRY_S * 1000)
    return None
