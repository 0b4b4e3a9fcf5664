"""uvicorn: HTTP/1.1 by httptools, the faster engine.

What is added to its protocol, and why (uvicorn 0.54):

- It reads on after an early answer, without end and without announcing that; ``_Ending`` is put between the
  protocol and its transport, because the request's cycle closes the transport itself.
- It has no bound for heads, in bytes or in time, nor for trailers: httptools gathers whatever arrives.
- It makes a request of all that is pipelined in one piece of input: here input waits unparsed.
- It answers what is not HTTP with text, and into the middle of an answer that is under way.
- Its keep-alive time is over once any byte has arrived, and a timer a request: here one task looks at all.
- It writes the head of a response and its body one by one.
- It takes requests without ``Host``, which RFC 9112, 3.2 has refused.
"""

from __future__ import annotations

import asyncio
import logging
import socket
import ssl
from collections.abc import Sequence
from email.utils import formatdate
from functools import partial
from typing import Any

import httptools
import uvicorn
from uvicorn.protocols.http.httptools_impl import STATUS_LINE, HttpToolsProtocol
from uvicorn.server import ServerState

from palpo.cli.engines.connections import (
    LINGER_PAUSE_SECONDS,
    MAX_HEAD_BYTES,
    Connections,
    Cork,
    Timing,
    listening_options,
    refusal,
)

SLICE = 4096
"""Bytes of input that are parsed at once: no more requests are made of one piece than fit into that."""


class UvicornServer:
    """Serves an application on bound sockets."""

    def __init__(self, app: Any, connections: Connections) -> None:
        self._config = uvicorn.Config(
            app,
            http=partial(Http1, watched_by=connections),  # type: ignore[arg-type]
            ws="none",
            lifespan="off",
            interface="asgi3",
            proxy_headers=False,
            server_header=False,
            access_log=False,
            log_config=None,
        )
        self._config.load()
        logging.getLogger("uvicorn.error").setLevel(logging.ERROR)
        self._state = ServerState()
        self._servers: list[asyncio.Server] = []

    async def start(self, sockets: Sequence[socket.socket], context: ssl.SSLContext | None) -> None:
        """Accept connections."""
        self.tick()
        loop = asyncio.get_running_loop()
        for listening in sockets:
            server = await loop.create_server(self._protocol, **listening_options(listening, context))
            self._servers.append(server)

    def _protocol(self) -> asyncio.Protocol:
        return self._config.http_protocol_class(  # type: ignore[call-arg]
            config=self._config, server_state=self._state, app_state={}
        )

    def tick(self) -> None:
        """Keep the ``Date`` header right; to be called every second."""
        self._state.default_headers = [(b"date", formatdate(usegmt=True).encode())]

    async def close(self) -> None:
        """Accept no more."""
        for server in self._servers:
            server.close()

    async def finish(self) -> None:
        """End the requests that are not answered by now."""
        logging.getLogger("uvicorn.error").setLevel(logging.CRITICAL)  # It would report each as a failure.
        tasks = list(self._state.tasks)
        for task in tasks:
            task.cancel()
        await asyncio.gather(*tasks, return_exceptions=True)


class _Ending:
    """A corked transport whose close leaves a client that still writes the time to see its answer."""

    __slots__ = ("_protocol", "_transport", "get_extra_info", "pause_reading", "resume_reading", "write")

    def __init__(self, transport: asyncio.Transport, protocol: Http1) -> None:
        self._transport = transport
        self._protocol = protocol
        self.write = protocol.cork.write
        self.get_extra_info = transport.get_extra_info
        self.pause_reading = transport.pause_reading
        self.resume_reading = transport.resume_reading

    def is_closing(self) -> bool:
        return self._protocol.timing.lingering_since is not None or self._transport.is_closing()

    def close(self) -> None:
        self._protocol.end()

    def abort(self) -> None:
        self._transport.abort()


class Http1(HttpToolsProtocol):
    """A connection."""

    def __init__(self, *, watched_by: Connections, **more: Any) -> None:
        super().__init__(**more)
        self._watched_by = watched_by
        self.timing = Timing(self.loop.time())
        self._real: asyncio.Transport
        self.cork: Cork
        self._waiting_input = bytearray()
        """What arrived while pipelined requests wait, unparsed."""
        self._unbodied = 0
        """Bytes since there was last any of a body, or a message ended: of a head, of trailers, or noise."""
        self._complete = True
        """Whether the last request has arrived whole."""
        self._keep_alive = True
        """What the last request asked for."""
        self._hosts = 0
        self._stopping = False
        self._refused = False

    # The transport's side

    def connection_made(self, transport: asyncio.Transport) -> None:  # type: ignore[override]
        super().connection_made(transport)
        self._real = transport
        self.cork = Cork(self.loop, transport)
        self.transport = _Ending(transport, self)  # type: ignore[assignment]
        if not self._watched_by.admit(self, self.client[0] if self.client else None):
            transport.abort()

    def connection_lost(self, exc: Exception | None) -> None:
        self._watched_by.remove(self)
        for cycle, _ in self.pipeline:
            cycle.disconnected = True
        self.pipeline.clear()
        self._waiting_input.clear()
        super().connection_lost(exc)

    def data_received(self, data: bytes) -> None:
        if self.timing.lingering_since is not None:
            self._drop(data)
        elif self.pipeline or self._waiting_input:
            self._waiting_input += data
            self.flow.pause_reading()
        elif not self._refused:
            self._parse(data)

    def pause_writing(self) -> None:
        self.timing.blocked_since = self.loop.time()
        super().pause_writing()

    def resume_writing(self) -> None:
        self.timing.blocked_since = None
        super().resume_writing()

    # Parsing

    def _parse(self, data: bytes) -> None:
        if len(data) <= SLICE:
            self._feed(data)
            return
        for start in range(0, len(data), SLICE):
            self._feed(data[start : start + SLICE])
            if self.timing.lingering_since is not None or self._refused:
                return
            if self.pipeline:
                self._waiting_input += data[start + SLICE :]
                self.flow.pause_reading()
                return

    def _feed(self, data: bytes) -> None:
        self._unbodied += len(data)
        try:
            self.parser.feed_data(data)
        except httptools.HttpParserUpgrade:
            pass  # It is answered as if it had not asked for another protocol.
        except httptools.HttpParserError:
            self._refuse(400)
            return
        if self._unbodied > MAX_HEAD_BYTES:
            self._refuse(431)

    def on_message_begin(self) -> None:
        self.timing.head_since = self.loop.time()
        self._hosts = 0
        super().on_message_begin()

    def on_header(self, name: bytes, value: bytes) -> None:
        if not self._complete:
            return  # Trailers are not looked at.
        name = name.lower()
        if name == b"host":
            self._hosts += 1
        elif name == b"expect" and value.lower() == b"100-continue":
            self.expect_100_continue = True
        self.headers.append((name, value))

    def on_headers_complete(self) -> None:
        if self._refused:
            raise ValueError("The connection is at its end")
        if self._hosts != 1 and self.parser.get_http_version() == "1.1":
            raise ValueError("There is to be one Host header")
        super().on_headers_complete()
        timing = self.timing
        timing.head_since = None
        timing.busy = timing.served = True
        self._complete = False
        self._unbodied = 0
        # An answer before the end of the request says so; on_message_complete is its end.
        self._keep_alive = self.cycle.keep_alive and not self._stopping and not self.parser.should_upgrade()
        self.cycle.keep_alive = False

    def on_body(self, body: bytes) -> None:
        self._unbodied = 0
        super().on_body(body)

    def on_message_complete(self) -> None:
        self._complete = True
        self._unbodied = 0
        cycle = self.cycle
        if not cycle.response_started:
            cycle.keep_alive = self._keep_alive
        super().on_message_complete()

    # Answers

    def on_response_complete(self) -> None:
        self.cork.flush()  # Before whatever else is to be done about the request.
        self.server_state.total_requests += 1
        timing = self.timing
        if self.transport.is_closing():
            return
        timing.idle_since = now = self.loop.time()
        if self.pipeline:
            cycle, app = self.pipeline.pop()
            self._start_asgi_task(cycle, app)
            if self.pipeline or self._waiting_input:
                return
        elif self._refused:
            self.end()
            return
        else:
            timing.busy = False
            if timing.head_since is not None:
                timing.head_since = now
            if self._waiting_input:
                data = bytes(self._waiting_input)
                self._waiting_input.clear()
                self._parse(data)
                if self._waiting_input or self.transport.is_closing():
                    return
        self.flow.resume_reading()

    def _refuse(self, status: int) -> None:
        """Answer what cannot be understood, after what has been asked for before it."""
        self._refused = True
        cycle = self.cycle
        if cycle is not None and not cycle.response_complete and self._complete:
            cycle.keep_alive = False
            self._stopping = True
            return
        if cycle is not None and not cycle.response_complete:
            # It is the body of this request that cannot be understood.
            cycle.disconnected = True
            cycle.message_event.set()
            if cycle.response_started:
                self.cork.flush()
                self._real.close()
                return
        headers, body = refusal(status)
        lines = [STATUS_LINE[status], *(b"%b: %b\r\n" % pair for pair in headers), b"\r\n", body]
        self.cork.write(b"".join(lines))
        self._complete = False
        self.end()

    def end(self) -> None:
        """Close the connection, at once or when the rest of a request has been dropped."""
        self.cork.flush()
        if self._complete or self._real.is_closing():
            self.timing.ending_since = self.timing.ending_since or self.loop.time()
            self._real.close()
            return
        self.timing.linger(self.loop.time())
        self.flow.resume_reading()
        if self._real.can_write_eof():
            self._real.write_eof()

    def _drop(self, data: bytes) -> None:
        if not self.timing.drop(len(data), self.loop.time()):
            self._real.abort()
        elif self.timing.pauses:
            self.flow.pause_reading()
            self.loop.call_later(LINGER_PAUSE_SECONDS, self._drop_more)

    def _drop_more(self) -> None:
        if not self._real.is_closing():
            self.flow.resume_reading()

    # What the registry asks for

    def abort(self) -> None:
        """End it without another word."""
        self._real.abort()

    def shutdown(self) -> None:
        """End it once the request that is being answered has its answer."""
        self._stopping = True
        if self.cycle is None or self.cycle.response_complete:
            self.end()
        elif self._complete:
            for cycle, _ in self.pipeline:
                cycle.keep_alive = False
            self.cycle.keep_alive = False
