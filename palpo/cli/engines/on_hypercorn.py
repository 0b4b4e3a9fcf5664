"""Hypercorn: HTTP/1.1 by h11 and HTTP/2 by h2, for listeners with TLS.

What is added to its protocols, and why (Hypercorn 0.18):

- After an early answer it waits for ever to hand on the rest of the body, or closes without announcing it;
  on HTTP/2, data for a stream that has its answer end the whole connection. ``Inbox`` takes the place of its
  queue, and the rest is dropped.
- It sends ``100 Continue`` before the application has looked at the head: here when the body is asked for.
- A client that takes no more of its response is waited for without end.
- It writes the head of a response and its body one by one.
- It restarts a task for each request to see whether the connection is idle: here one task looks at all.
- It answers what is not HTTP without a body, and a target that it cannot decode ends the connection.
"""

from __future__ import annotations

import asyncio
import contextlib
import socket
import ssl
from collections import deque
from collections.abc import Awaitable, Callable, Sequence
from typing import Any
from urllib.parse import unquote, urlsplit

import h2.connection
import h2.events
import h2.exceptions
import h11
import structlog
from h2.errors import ErrorCodes
from h2.settings import SettingCodes
from hypercorn.asyncio.task_group import TaskGroup
from hypercorn.asyncio.tcp_server import MAX_RECV, TCPServer
from hypercorn.asyncio.worker_context import WorkerContext
from hypercorn.config import Config
from hypercorn.events import Closed, RawData, Updated
from hypercorn.protocol import ProtocolWrapper
from hypercorn.protocol.events import Body, EndBody, Response
from hypercorn.protocol.h2 import H2Protocol
from hypercorn.protocol.h11 import H2ProtocolAssumedError, H11Protocol
from priority import MissingStreamError  # type: ignore[attr-defined]

from palpo.cli.engines.connections import (
    LINGER_BYTES,
    LINGER_PAUSE_SECONDS,
    LINGER_SECONDS,
    MAX_HEAD_BYTES,
    Connections,
    Cork,
    Timing,
    listening_options,
    refusal,
)
from palpo.config.sections.listeners import HttpConfig

STREAM_WINDOW = 128 * 1024
CONNECTION_WINDOW = 1024 * 1024
"""How much of bodies a client sends on HTTP/2 before it has to wait for word that it was taken."""
INBOX_BYTES = STREAM_WINDOW
"""How much of a body waits for the application; what comes then is not read from the network."""
MAX_STREAMS = 100
MAX_RUNNING = 2 * MAX_STREAMS
"""Requests of one connection that are being answered: streams that were reset are among them."""
log = structlog.get_logger("palpo.http")


class Inbox:
    """What the application receives of one request."""

    def __init__(self, on_wanted: Callable[[], Awaitable[None]]) -> None:
        self._on_wanted = on_wanted
        self._messages: deque[dict[str, Any]] = deque()
        self._size = 0
        self._changed = asyncio.Event()
        self._gone = False

    async def put(self, message: dict[str, Any]) -> None:
        """Hand a message on, waiting for room; once nobody reads any more, it is dropped."""
        if message["type"] == "http.disconnect":
            self.close()
            return
        while self._size >= INBOX_BYTES and not self._gone:
            await self._change()
        if not self._gone:
            self._messages.append(message)
            self._size += len(message["body"])
            self._changed.set()

    async def get(self) -> dict[str, Any]:
        """The next message: the application's ``receive``."""
        if not self._messages and not self._gone:
            await self._on_wanted()
        while not self._messages:
            if self._gone:
                return {"type": "http.disconnect"}
            await self._change()
        self._changed.set()
        message = self._messages.popleft()
        self._size -= len(message["body"])
        return message

    async def _change(self) -> None:
        self._changed.clear()
        await self._changed.wait()

    def close(self) -> None:
        """Nothing more comes, and nobody waits for room."""
        self._gone = True
        self._changed.set()


class Requests(TaskGroup):
    """The tasks of one connection."""

    def __init__(self, loop: asyncio.AbstractEventLoop) -> None:
        super().__init__(loop)
        self.running = 0
        self.gone = False
        """Whether nobody is there any more who could be answered."""
        self.protocol: Http1 | Http2 | None = None

    async def spawn_app(
        self, app: Any, config: Config, scope: Any, send: Callable[[Any], Awaitable[None]]
    ) -> Callable[[Any], Awaitable[None]]:
        """Answer a request; what is returned takes the pieces of its body."""
        wanted = self.protocol.body_wanted if isinstance(self.protocol, Http1) else _nothing
        inbox = Inbox(wanted)
        self.running += 1
        self.spawn(self._answer, app, scope, inbox, send)
        return inbox.put

    async def _answer(
        self, app: Any, scope: Any, inbox: Inbox, send: Callable[[Any], Awaitable[None]]
    ) -> None:
        try:
            await app.app(scope, inbox.get, send)
        except Exception:
            log.exception("unhandled_exception")
        finally:
            self.running -= 1
            inbox.close()
            with contextlib.suppress(ConnectionError):
                await send(None)


async def _nothing() -> None:
    """On HTTP/2 there is no 100 Continue to be sent."""


class Http1(H11Protocol):
    """HTTP/1.1 on a connection."""

    timing: Timing

    @property
    def answering(self) -> bool:
        """Whether a request has no answer yet."""
        return self.stream is not None

    @property
    def in_head(self) -> bool:
        """Whether a part of a head has arrived."""
        return self.stream is None and bool(self.connection.trailing_data[0])

    @property
    def unread(self) -> bool:
        """Whether there is more of a request to come, so that a close would lose the answer to it."""
        return self.connection.their_state in (h11.SEND_BODY, h11.ERROR)

    async def handle(self, event: Any) -> None:
        if isinstance(event, RawData) and self.stream is None and not self.connection.trailing_data[0]:
            # RFC 9112, 2.2: empty lines before a request.
            event = RawData(data=event.data.lstrip(b"\r\n"))
            if not event.data:
                return
        await super().handle(event)

    async def stream_send(self, event: Any) -> None:
        early = self.connection.their_state is h11.SEND_BODY
        if early and isinstance(event, Response) and event.status_code >= 200:
            event.headers.append((b"connection", b"close"))
        await super().stream_send(event)

    async def body_wanted(self) -> None:
        """The application asks for the body: tell a client that waits to be told."""
        if self.connection.they_are_waiting_for_100_continue:
            await self._send_h11_event(h11.InformationalResponse(status_code=100, headers=[]))

    async def _handle_events(self) -> None:
        while True:
            try:
                event = self.connection.next_event()
            except h11.RemoteProtocolError as error:
                if self.connection.our_state in (h11.IDLE, h11.SEND_RESPONSE):
                    await self._send_error_response(error.error_status_hint)
                await self.send(Closed())
                return
            if isinstance(event, h11.Request):
                if isinstance(self.task_group, Requests) and self.task_group.gone:
                    return  # It came with others, before the connection was lost.
                await self.send(Updated(idle=False))
                await self._check_protocol(event)
                try:
                    request = _acceptable(event)
                except h11.RemoteProtocolError as error:
                    await self._send_error_response(error.error_status_hint)
                    await self.send(Closed())
                    return
                await self._create_stream(request)
            elif event is h11.PAUSED:
                await self.can_read.clear()
                await self.can_read.wait()
            elif event is h11.NEED_DATA or isinstance(event, h11.ConnectionClosed) or self.stream is None:
                return
            elif isinstance(event, h11.Data):
                await self.stream.handle(Body(stream_id=1, data=event.data))
            elif isinstance(event, h11.EndOfMessage):
                await self.stream.handle(EndBody(stream_id=1))

    async def _check_protocol(self, event: h11.Request) -> None:
        if event.method == b"PRI" and event.target == b"*" and event.http_version == b"2.0":
            raise H2ProtocolAssumedError(b"PRI * HTTP/2.0\r\n\r\n" + self.connection.trailing_data[0])

    async def _send_error_response(self, status_code: int) -> None:
        headers, body = refusal(431 if status_code == 431 else 400)
        await self._send_h11_event(h11.Response(status_code=status_code, headers=headers))
        await self._send_h11_event(h11.Data(data=body))
        await self._send_h11_event(h11.EndOfMessage())


class Http2(H2Protocol):
    """HTTP/2 on a connection."""

    def __init__(self, *values: Any, send_seconds: float) -> None:
        super().__init__(*values)
        self._send_seconds = send_seconds
        self._dropped: dict[int, tuple[int, float]] = {}
        """Bytes of what is dropped, and since when, by stream."""
        self.connection.local_settings[SettingCodes.INITIAL_WINDOW_SIZE] = STREAM_WINDOW
        self.connection.local_settings.acknowledge()

    async def initiate(self, *upgrade: Any) -> None:
        await super().initiate(*upgrade)
        self.connection.increment_flow_control_window(CONNECTION_WINDOW)
        await self._flush()

    @property
    def answering(self) -> bool:
        """Whether a request has no answer yet."""
        return bool(self.streams)

    @property
    def in_head(self) -> bool:
        """Heads come whole, or the connection has had none."""
        return False

    @property
    def unread(self) -> bool:
        """Whether a close would lose what was sent last."""
        return False

    async def stream_send(self, event: Any) -> None:
        if not isinstance(event, (Body, EndBody)):
            await super().stream_send(event)
            return
        try:
            async with asyncio.timeout(self._send_seconds):
                await super().stream_send(event)
        except TimeoutError:
            await self._reset(event.stream_id, ErrorCodes.CANCEL)

    async def _handle_events(self, events: list[h2.events.Event]) -> None:
        for event in events:
            stream_id = getattr(event, "stream_id", None)
            if isinstance(event, h2.events.DataReceived) and stream_id not in self.streams:
                await self._drop(event)
                continue
            if isinstance(event, (h2.events.StreamEnded, h2.events.StreamReset)):
                self._dropped.pop(event.stream_id, None)
            await super()._handle_events([event])

    async def _drop(self, event: h2.events.DataReceived) -> None:
        """The rest of a body whose request has its answer: read for a while, so that the client sees that."""
        now = asyncio.get_running_loop().time()
        dropped, since = self._dropped.get(event.stream_id, (0, now))
        dropped += event.flow_controlled_length
        self._dropped[event.stream_id] = dropped, since
        with contextlib.suppress(h2.exceptions.ProtocolError):
            self.connection.acknowledge_received_data(event.flow_controlled_length, event.stream_id)
            if dropped > LINGER_BYTES or now - since > LINGER_SECONDS:
                del self._dropped[event.stream_id]
                self.connection.reset_stream(event.stream_id, ErrorCodes.NO_ERROR)
        await self._flush()

    async def _create_stream(self, request: h2.events.RequestReceived) -> None:
        pseudo = {name: value for name, value in request.headers if name.startswith(b":")}
        target = _origin_form(pseudo.get(b":path", b""))
        if target is None or pseudo.get(b":method") == b"CONNECT":
            await self._refuse(request.stream_id, ErrorCodes.PROTOCOL_ERROR)
        elif isinstance(self.task_group, Requests) and self.task_group.running >= MAX_RUNNING:
            await self._refuse(request.stream_id, ErrorCodes.ENHANCE_YOUR_CALM)
        else:
            await super()._create_stream(request)

    async def _refuse(self, stream_id: int, code: ErrorCodes) -> None:
        with contextlib.suppress(h2.exceptions.ProtocolError):
            self.connection.reset_stream(stream_id, code)
        await self._flush()

    async def _reset(self, stream_id: int, code: ErrorCodes) -> None:
        """Give a stream up."""
        buffer = self.stream_buffers.pop(stream_id, None)
        if buffer is not None:
            await buffer.close()
            with contextlib.suppress(MissingStreamError):
                self.priority.remove_stream(stream_id)
        await self._refuse(stream_id, code)
        await self._close_stream(stream_id)


def _acceptable(request: h11.Request) -> h11.Request:
    """A request as the other engine would take it; raises RemoteProtocolError.

    Nothing is ever upgraded to another protocol, so what asks for that is left out.
    """
    names = {name for name, _ in request.headers}
    if b"content-length" in names and b"transfer-encoding" in names:
        raise h11.RemoteProtocolError("Content-Length beside Transfer-Encoding")
    if request.http_version not in (b"1.0", b"1.1"):
        raise h11.RemoteProtocolError("Another version of HTTP")
    size = len(request.target) + sum(len(name) + len(value) for name, value in request.headers)
    if size > MAX_HEAD_BYTES:
        raise h11.RemoteProtocolError("Too long a head", error_status_hint=431)
    target = _origin_form(request.target)
    if target is None:
        raise h11.RemoteProtocolError("No target of this server's")
    if target == request.target and b"upgrade" not in names:
        return request
    return h11.Request(
        method=request.method,
        headers=[(name, value) for name, value in request.headers if name != b"upgrade"],
        target=target,
        http_version=request.http_version,
    )


def _origin_form(target: bytes) -> bytes | None:
    """The path and query of a target, which may be a whole URL (RFC 9112, 3.2.2); None for anything else."""
    try:
        text = target.decode("ascii")
        if not text.startswith("/") and text != "*":
            parts = urlsplit(text)
            if parts.scheme not in ("http", "https") or not parts.netloc:
                return None
            text = (parts.path or "/") + (f"?{parts.query}" if parts.query else "")
        unquote(text)
    except ValueError:
        return None
    return text.encode()


class Protocol(ProtocolWrapper):
    """The protocol that a client and this server have agreed on."""

    protocol: Http1 | Http2

    def __init__(self, *values: Any, alpn_protocol: str | None, http: HttpConfig, requests: Requests) -> None:
        self._values = values
        self._http = http
        self._requests = requests
        self._use(Http2(*values, send_seconds=http.send_seconds) if alpn_protocol == "h2" else Http1(*values))

    def _use(self, protocol: Http1 | Http2) -> None:
        self.protocol = self._requests.protocol = protocol

    async def handle(self, event: Any) -> None:
        try:
            await self.protocol.handle(event)
        except H2ProtocolAssumedError as error:
            self._use(Http2(*self._values, send_seconds=self._http.send_seconds))
            await self.protocol.initiate()
            await self.protocol.handle(RawData(data=error.data))


class Connection(TCPServer):
    """A connection."""

    protocol: Protocol

    def __init__(self, *values: Any, connections: Connections, http: HttpConfig) -> None:
        super().__init__(*values)
        self.timing = Timing(self.loop.time())
        self._cork = Cork(self.loop, self.writer.transport)
        self._connections = connections
        self._http = http

    async def run(self) -> None:
        """Serve the connection to its end."""
        try:
            peer = _internet_address(self.writer.get_extra_info("peername"))
            if not self._connections.admit(self, peer[0] if peer else None):
                self.abort()
                return
            tls = self.writer.get_extra_info("ssl_object")
            requests = Requests(self.loop)
            async with requests:
                self._task_group: Requests = requests
                self.protocol = Protocol(
                    self.app,
                    self.config,
                    self.context,
                    requests,
                    {},
                    tls is not None,
                    peer,
                    _internet_address(self.writer.get_extra_info("sockname")),
                    self.protocol_send,
                    alpn_protocol=tls.selected_alpn_protocol() if tls else None,
                    http=self._http,
                    requests=requests,
                )
                await self.protocol.protocol.initiate()
                await self._read_data()
        except OSError:
            pass
        finally:
            self._connections.remove(self)
            self._cork.flush()
            self.writer.close()
            with contextlib.suppress(OSError):
                await self.writer.wait_closed()

    async def protocol_send(self, event: Any) -> None:
        """What the protocol has to say: bytes, its end, or whether it is idle."""
        if isinstance(event, RawData):
            async with self.send_lock:
                await self._write(event.data)
        elif isinstance(event, Closed):
            self._end()
        elif isinstance(event, Updated):
            if event.idle:
                self._cork.flush()  # Before whatever else is to be done about the request.
            self.timing.busy = not event.idle
            self.timing.served = True
            self.timing.head_since = None
            self.timing.idle_since = self.loop.time()

    async def _write(self, data: bytes) -> None:
        if self._task_group.gone:
            return
        self.timing.blocked_since = self.loop.time()
        try:
            self._cork.write(data)
            await self.writer.drain()
            self._task_group.gone = self.writer.transport.is_closing()
        except (ConnectionError, RuntimeError):
            self._task_group.gone = True
        finally:
            self.timing.blocked_since = None
        if self._task_group.gone:
            await self.protocol.handle(Closed())

    async def _read_data(self) -> None:
        timing = self.timing
        while not self.reader.at_eof():
            try:
                data = await self.reader.read(MAX_RECV)
            except (OSError, ssl.SSLError):
                break
            now = self.loop.time()
            if timing.lingering_since is not None:
                if not timing.drop(len(data), now):
                    break
                if timing.pauses:
                    await asyncio.sleep(LINGER_PAUSE_SECONDS)
                continue
            await self.protocol.handle(RawData(data))
            if self.protocol.protocol.in_head:
                timing.head_since = timing.head_since or now
        await self.protocol.handle(Closed())

    def _end(self) -> None:
        """Close the connection, at once or when the rest of a request has been dropped."""
        now = self.loop.time()
        self._cork.flush()
        if not self.protocol.protocol.unread or self.writer.is_closing():
            self.timing.ending_since = self.timing.ending_since or now
            self.writer.close()
            return
        self.timing.linger(now)
        with contextlib.suppress(OSError, RuntimeError):
            if self.writer.can_write_eof():
                self.writer.write_eof()

    def abort(self) -> None:
        """End it without another word."""
        self.writer.transport.abort()

    def shutdown(self) -> None:
        """End it once the requests that are being answered have their answers."""
        if not self.protocol.protocol.answering:
            self._cork.flush()
            self.writer.close()


def _internet_address(address: Any) -> tuple[str, int] | None:
    """Host and port; None for a Unix socket."""
    return (address[0], address[1]) if isinstance(address, tuple) else None


class HypercornServer:
    """Serves an application on bound sockets."""

    def __init__(self, app: Any, connections: Connections, http: HttpConfig) -> None:
        from hypercorn.app_wrappers import ASGIWrapper

        self._app = ASGIWrapper(app)
        self._connections = connections
        self._http = http
        self._context = WorkerContext(None)
        self._config = Config()
        self._config.include_server_header = False
        self._config.accesslog = self._config.errorlog = None
        self._config.keep_alive_max_requests = 1 << 62  # An end by GOAWAY would cut answers off.
        self._config.h11_max_incomplete_size = MAX_HEAD_BYTES
        self._config.h2_max_header_list_size = MAX_HEAD_BYTES
        self._config.h2_max_concurrent_streams = MAX_STREAMS
        self._servers: list[asyncio.Server] = []
        self._tasks: set[asyncio.Task[Any]] = set()

    async def start(self, sockets: Sequence[socket.socket], context: ssl.SSLContext | None) -> None:
        """Accept connections."""
        for listening in sockets:
            server = await asyncio.start_server(self._accept, **listening_options(listening, context))
            self._servers.append(server)

    async def _accept(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        task = asyncio.current_task()
        assert task is not None
        self._tasks.add(task)
        task.add_done_callback(self._tasks.discard)
        loop = asyncio.get_running_loop()
        connection = Connection(
            self._app,
            loop,
            self._config,
            self._context,
            {},
            reader,
            writer,
            connections=self._connections,
            http=self._http,
        )
        with contextlib.suppress(asyncio.CancelledError):  # asyncio's callback for this task expects none.
            await connection.run()

    def tick(self) -> None:
        """The ``Date`` header is made for each response."""

    async def close(self) -> None:
        """Accept no more; connections end with the answers to the requests under way."""
        for server in self._servers:
            server.close()
        await self._context.terminated.set()

    async def finish(self) -> None:
        """End the requests that are not answered by now."""
        tasks = list(self._tasks)
        if tasks:
            await asyncio.wait(tasks, timeout=0.5)  # What was aborted ends by itself.
        for task in tasks:
            task.cancel()
        await asyncio.gather(*tasks, return_exceptions=True)
