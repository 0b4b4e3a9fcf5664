"""HTTP/2 to one destination: many requests on one connection (RFC 9113), by the library that listeners use.

Errors are aiohttp's, as of HTTP/1.1. An answer is read as it is wanted: what is not wanted yet waits at the
other side, but for what one stream may have under way.
"""

from __future__ import annotations

import asyncio
from collections import deque
from collections.abc import AsyncIterator, Mapping, Sequence
from contextlib import asynccontextmanager, suppress
from typing import cast

import aiohttp
from h2.config import H2Configuration
from h2.connection import H2Connection
from h2.errors import ErrorCodes
from h2.events import (
    ConnectionTerminated,
    DataReceived,
    Event,
    RemoteSettingsChanged,
    ResponseReceived,
    StreamEnded,
    StreamReset,
    WindowUpdated,
)
from h2.exceptions import H2Error
from h2.settings import SettingCodes, Settings
from multidict import CIMultiDict, CIMultiDictProxy

STREAM_WINDOW = 1024 * 1024
"""Bytes of one answer that may be under way, or wait here."""
CONNECTION_WINDOW = 16 * STREAM_WINDOW
SETTINGS = {
    SettingCodes.ENABLE_PUSH: 0,
    SettingCodes.INITIAL_WINDOW_SIZE: STREAM_WINDOW,
    SettingCodes.MAX_CONCURRENT_STREAMS: 1,
    SettingCodes.MAX_HEADER_LIST_SIZE: 64 * 1024,
}
MAX_UNSENT = 1024 * 1024
"""Bytes that the other side does not take, though it has us answer its pings and settings."""
MAX_REQUESTS = 500
"""Of one connection: many servers end theirs after 1,000, and some answer nothing then that is under way."""
PIECE = 16 * 1024
"""Bytes of a body that are sent in one frame."""


class NotProcessed(Exception):
    """The other side has said that it did nothing about a request: another connection may bring it."""


class Http2Answer:
    """An answer whose body has not been read."""

    def __init__(self, stream: _Stream, headers: Sequence[tuple[bytes, bytes]]) -> None:
        lines = [(name.decode("latin-1"), value.decode("latin-1")) for name, value in headers]
        self.headers: Mapping[str, str] = CIMultiDictProxy(CIMultiDict(lines))
        # The library lets none through without a status of three digits, or so.
        self.status = int(self.headers.get(":status", "0"))
        self.content = stream
        length = self.headers.get("Content-Length", "")
        self.content_length = int(length) if length.isascii() and length.isdigit() else None


class _Stream:
    """One request, and what comes of it."""

    def __init__(self, connection: Http2Connection, idle_s: float) -> None:
        self._connection = connection
        self._idle_s = idle_s
        self.stream_id = 0
        self.headers: Sequence[tuple[bytes, bytes]] | None = None
        self.error: Exception | None = None
        self.ended = False
        """Whether the answer is whole."""
        self.sent = False
        """Whether the request is."""
        self._pieces: deque[tuple[bytes, int]] = deque()
        """What has come of the body, each with what it takes of the windows."""
        self._changed = asyncio.Event()

    def put(self, data: bytes, taken: int) -> None:
        """Some of the body has come."""
        self._pieces.append((data, taken))
        self._changed.set()

    def wake(self) -> None:
        """Something else has come."""
        self._changed.set()

    def fail(self, error: Exception) -> None:
        """No more will come."""
        if not self.ended and self.error is None:
            self.error = error
        self.wake()

    def drop(self) -> int:
        """What nobody has read is not wanted; what it takes of the windows."""
        taken = sum(taken for _, taken in self._pieces)
        self._pieces.clear()
        return taken

    async def answered(self) -> Sequence[tuple[bytes, bytes]]:
        """The head of the answer."""
        while self.headers is None:
            await self.wait()
        return self.headers

    async def iter_chunked(self, size: int) -> AsyncIterator[bytes]:
        """The body in pieces of up to ``size`` bytes."""
        while True:
            while self._pieces:
                data, taken = self._pieces.popleft()
                self._connection.has_read(self.stream_id, taken)
                for at in range(0, len(data), size):
                    yield data[at : at + size]
            if self.ended:
                return
            await self.wait()

    async def wait(self) -> None:
        """Wait until something has come; raises what has gone wrong."""
        self.check()
        self._changed.clear()
        await self.until(self._changed)
        self.check()

    def check(self) -> None:
        """Raise what has gone wrong."""
        if self.error is not None:
            raise self.error

    async def until(self, event: asyncio.Event) -> None:
        """Wait for something; raises ServerTimeoutError where it takes too long."""
        try:
            async with asyncio.timeout(self._idle_s) as timer:
                await event.wait()
        except TimeoutError as error:
            if not timer.expired():
                raise
            raise aiohttp.ServerTimeoutError("nothing has come for a while") from error


class Http2Connection(asyncio.Protocol):
    """A connection on which HTTP/2 was agreed."""

    def __init__(self, *, keep_alive_s: float) -> None:
        self._h2 = H2Connection(H2Configuration(client_side=True, header_encoding=None))
        self._keep_alive_s = keep_alive_s
        self._transport: asyncio.Transport | None = None
        self._streams: dict[int, _Stream] = {}
        self._usable = True
        self._requests = 0
        self._answers = 0
        self._timer: asyncio.TimerHandle | None = None
        self._room = asyncio.Event()
        """That there may be room for another stream, or for more of a body."""

    @property
    def is_usable(self) -> bool:
        """Whether another request may be sent on it."""
        return self._usable and self.is_open

    @property
    def has_answered(self) -> bool:
        """Whether any request has been answered on it."""
        return self._answers > 0

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        # uvloop's are of no class of asyncio's.
        self._transport = cast(asyncio.Transport, transport)

    def begin(self) -> None:
        """Say what is wanted of the other side; HTTP/2 has been agreed."""
        # What is set one by one is not sent: it waits to be acknowledged first.
        self._h2.local_settings = Settings(initial_values=dict(SETTINGS))
        self._h2.initiate_connection()
        self._h2.increment_flow_control_window(CONNECTION_WINDOW)
        self._flush()
        self._rest()

    def close(self) -> None:
        """Close it; requests that go on are over."""
        self._usable = False
        self._stop_timer()
        if self._transport is not None:
            self._transport.close()

    def data_received(self, data: bytes) -> None:
        try:
            for event in self._h2.receive_data(data):
                self._on(event)
        except H2Error as error:
            self._broken(aiohttp.ClientConnectionError(f"HTTP/2: {error}"[:200]))
            self.close()
        self._flush()

    def connection_lost(self, exc: Exception | None) -> None:
        self._usable = False
        self._broken(aiohttp.ServerDisconnectedError())

    @asynccontextmanager
    async def request(
        self, head: Sequence[tuple[str, str]], body: bytes | None, idle_s: float
    ) -> AsyncIterator[Http2Answer]:
        """An answer to a request with the lines of ``head``. Raises NotProcessed, and aiohttp's errors."""
        stream = _Stream(self, idle_s)
        await self._begin(stream, head, body)
        try:
            await self._send(stream, body or b"")
            yield Http2Answer(stream, await stream.answered())
        finally:
            self._end(stream)

    def has_read(self, stream_id: int, taken: int) -> None:
        """Some of a body was taken: the other side may send as much again."""
        if taken and self.is_open:
            self._h2.acknowledge_received_data(taken, stream_id)
            self._flush()

    async def _begin(self, stream: _Stream, head: Sequence[tuple[str, str]], body: bytes | None) -> None:
        while self.is_usable and len(self._streams) >= self._h2.remote_settings.max_concurrent_streams:
            self._room.clear()
            await stream.until(self._room)
        if not self.is_usable:
            raise NotProcessed
        lines = list(head) if body is None else [*head, ("content-length", str(len(body)))]
        try:
            stream.stream_id = self._h2.get_next_available_stream_id()
            self._h2.send_headers(stream.stream_id, lines, end_stream=not body)
        except H2Error as error:
            self.close()
            raise NotProcessed from error
        self._requests += 1
        if self._requests >= MAX_REQUESTS:
            self._usable = False
        stream.sent = not body
        self._streams[stream.stream_id] = stream
        self._stop_timer()
        self._flush()

    async def _send(self, stream: _Stream, body: bytes) -> None:
        """Send a body as fast as the other side takes it, or until it has answered without it."""
        at = 0
        while at < len(body) and not stream.ended:
            stream.check()
            room = min(
                self._h2.local_flow_control_window(stream.stream_id), self._h2.max_outbound_frame_size, PIECE
            )
            if room <= 0:
                self._room.clear()
                await stream.until(self._room)
                continue
            piece = body[at : at + room]
            at += len(piece)
            stream.sent = at == len(body)
            self._h2.send_data(stream.stream_id, piece, end_stream=stream.sent)
            self._flush()

    def _on(self, event: Event) -> None:
        match event:
            case ResponseReceived():
                if (stream := self._streams.get(event.stream_id or 0)) is not None:
                    stream.headers = event.headers
                    self._answers += 1
                    stream.wake()
            case DataReceived():
                self._on_data(event.stream_id or 0, event.data or b"", event.flow_controlled_length or 0)
            case StreamEnded():
                if (stream := self._streams.get(event.stream_id or 0)) is not None:
                    stream.ended = True
                    stream.wake()
                    self._room.set()
            case StreamReset():
                if (stream := self._streams.get(event.stream_id or 0)) is not None:
                    refused = event.error_code == ErrorCodes.REFUSED_STREAM
                    stream.fail(NotProcessed() if refused else aiohttp.ClientConnectionError("it was reset"))
                    self._room.set()
            case ConnectionTerminated():
                self._going_away(event.last_stream_id or 0)
            case WindowUpdated() | RemoteSettingsChanged():
                self._room.set()
            case _:
                pass

    def _on_data(self, stream_id: int, data: bytes, taken: int) -> None:
        stream = self._streams.get(stream_id)
        if stream is not None:
            stream.put(data, taken)
        elif taken:
            self._h2.acknowledge_received_data(taken, stream_id)

    def _going_away(self, last: int) -> None:
        """No more streams are taken; those after ``last`` never were."""
        self._usable = False
        for stream_id, stream in self._streams.items():
            if stream_id > last:
                stream.fail(NotProcessed())
        self._room.set()
        if not self._streams:
            self.close()

    def _broken(self, error: Exception) -> None:
        for stream in self._streams.values():
            stream.fail(error)
        self._room.set()

    def _end(self, stream: _Stream) -> None:
        """Nobody wants the rest of an answer."""
        self._streams.pop(stream.stream_id, None)
        self.has_read(stream.stream_id, stream.drop())
        if self.is_open and not (stream.ended and stream.sent):
            # What comes of it meanwhile, the library takes.
            with suppress(H2Error):
                self._h2.reset_stream(stream.stream_id, ErrorCodes.CANCEL)
            self._flush()
        self._room.set()
        if self._streams:
            return
        if self._usable:
            self._rest()
        else:
            self.close()

    @property
    def is_open(self) -> bool:
        """Whether what is said is heard."""
        return self._transport is not None and not self._transport.is_closing()

    def _rest(self) -> None:
        """Close the connection if it is not used for a while."""
        self._stop_timer()
        self._timer = asyncio.get_running_loop().call_later(self._keep_alive_s, self.close)

    def _stop_timer(self) -> None:
        if self._timer is not None:
            self._timer.cancel()
            self._timer = None

    def _flush(self) -> None:
        data = self._h2.data_to_send()
        if data and self._transport is not None and self.is_open:
            self._transport.write(data)
            if self._transport.get_write_buffer_size() > MAX_UNSENT:
                self._broken(aiohttp.ClientConnectionError("it takes nothing that is sent"))
                self.close()
