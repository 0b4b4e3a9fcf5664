"""Media of other servers: of the server itself, of where it redirects to, or by the ways of before.

Spec: server-server API, "Content Repository"; MSC3916.
"""

from __future__ import annotations

from collections.abc import AsyncIterator
from contextlib import AsyncExitStack, asynccontextmanager
from email.message import Message
from urllib.parse import quote

import structlog

from palpo.core.errors import BadRequest, MatrixError, NotFound
from palpo.core.multipart import Multipart, Part, boundary_of
from palpo.media.remote import RemoteContent
from palpo.net.connections import Times
from palpo.net.federation_answer import FederationAnswer
from palpo.net.federation_client import FederationClient
from palpo.net.federation_errors import AnswerTooLarge, FederationError, ServerError
from palpo.net.http_client import HttpClient, HttpError

log = structlog.get_logger("palpo.federation")

WHOLE_S = 600.0
"""Seconds that a download may take, as long as it goes on."""
IDLE_S = 30.0
MAX_REDIRECTS = 5
MAX_METADATA = 64 * 1024
"""Bytes of the part before the content."""
DOWNLOAD = "/_matrix/federation/v1/media/download/{}"
LEGACY = "/_matrix/media/v3/download/{}/{}"


class DownloadFailed(MatrixError):
    """The other server cannot be reached, or what it sends is not media."""

    status = 502


class MediaOverFederation:
    """Downloads them; ``limit`` is the bytes that media may have."""

    def __init__(self, client: FederationClient, http: HttpClient, *, limit: int) -> None:
        self._client = client
        self._http = http
        self._limit = limit

    @asynccontextmanager
    async def fetch(
        self, server_name: str, media_id: str, *, timeout_ms: int
    ) -> AsyncIterator[RemoteContent]:
        """See ``RemoteMedia``."""
        async with AsyncExitStack() as stack:
            try:
                answer = await self._asked(stack, server_name, media_id, timeout_ms)
                yield await self._content(stack, answer)
            except FederationError as error:
                raise _failure(error) from error
            except HttpError as error:
                raise DownloadFailed("The content is not where the other server says") from error

    async def _asked(
        self, stack: AsyncExitStack, server: str, media_id: str, timeout_ms: int
    ) -> FederationAnswer:
        """The answer of the endpoint for servers, or where there is none, of the one for everybody."""
        times = Times(whole_s=WHOLE_S, idle_s=IDLE_S + timeout_ms / 1000)
        limit = self._limit + MAX_METADATA
        wait = ("timeout_ms", str(timeout_ms))
        quoted = quote(media_id, safe="")
        try:
            request = self._client.request(
                server, "GET", DOWNLOAD.format(quoted), query=[wait], limit=limit, times=times
            )
            return await stack.enter_async_context(request)
        except ServerError as error:
            if not 400 <= error.status < 500 or error.errcode not in ("M_UNRECOGNIZED", ""):
                raise
        legacy = self._client.request(
            server,
            "GET",
            LEGACY.format(quote(server, safe=""), quoted),
            query=[wait, ("allow_remote", "false")],
            signed=False,
            limit=limit,
            times=times,
        )
        return await stack.enter_async_context(legacy)

    async def _content(self, stack: AsyncExitStack, answer: FederationAnswer) -> RemoteContent:
        if not answer.content_type.lower().lstrip().startswith("multipart/mixed"):
            return _described(
                answer.content_type, answer.headers.get("Content-Disposition", ""), answer.chunks()
            )
        pieces = _pieces(answer)
        part = await _second_part(pieces)
        location = part.headers.get("location")
        if location is not None:
            return await self._redirected(stack, location)
        headers = part.headers
        return _described(
            headers.get("content-type", ""), headers.get("content-disposition", ""), _bytes(pieces)
        )

    async def _redirected(self, stack: AsyncExitStack, location: str) -> RemoteContent:
        """What is where the other server says: no credentials go there, and its address has to be allowed."""
        request = self._http.request("GET", location, timeout_s=WHOLE_S, redirects=MAX_REDIRECTS)
        response = await stack.enter_async_context(request)
        if response.status != 200:
            raise NotFound("The content is not where its server says")
        headers = response.headers
        return _described(
            headers.get("Content-Type", ""),
            headers.get("Content-Disposition", ""),
            response.chunks(self._limit + 1),
        )


async def _pieces(answer: FederationAnswer) -> AsyncIterator[Part | bytes]:
    try:
        parser = Multipart(boundary_of(answer.content_type))
        async for chunk in answer.chunks():
            for piece in parser.feed(chunk):
                yield piece
    except BadRequest as error:
        raise DownloadFailed(f"The other server's answer is malformed: {error.message}") from error
    except FederationError as error:
        raise _failure(error) from error
    if not parser.done:
        raise DownloadFailed("The other server's answer ends too early")


async def _second_part(pieces: AsyncIterator[Part | bytes]) -> Part:
    """The part with the content: the one after what is said of it."""
    parts, size = 0, 0
    async for piece in pieces:
        if isinstance(piece, bytes):
            size += len(piece)
            if size > MAX_METADATA:
                break
        else:
            parts += 1
            if parts == 2:
                return piece
    raise DownloadFailed("The other server's answer has no content")


async def _bytes(pieces: AsyncIterator[Part | bytes]) -> AsyncIterator[bytes]:
    """The content of the part that has begun."""
    more = True
    async for piece in pieces:
        if isinstance(piece, Part):
            more = False
        elif more:
            yield piece


def _described(content_type: str, disposition: str, chunks: AsyncIterator[bytes]) -> RemoteContent:
    message = Message()
    message["Content-Disposition"] = disposition or "inline"
    return RemoteContent(content_type=content_type, filename=message.get_filename(), chunks=chunks)


def _failure(error: FederationError) -> MatrixError:
    log.info("remote_media_failed", error=str(error)[:300])
    if isinstance(error, ServerError):
        if error.errcode == "M_NOT_YET_UPLOADED":
            return MatrixError(
                "The content has not been uploaded yet", status=504, errcode="M_NOT_YET_UPLOADED"
            )
        if 400 <= error.status < 500:
            return NotFound("The other server does not have it")
    if isinstance(error, AnswerTooLarge):
        return MatrixError("The content is too large", status=502, errcode="M_TOO_LARGE")
    return DownloadFailed("The other server cannot be asked")
