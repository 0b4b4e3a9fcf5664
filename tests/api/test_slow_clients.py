"""Clients that take their time, on both engines: each thing has a time, and what they hold is bounded.

The times are short here, so that the tests are; no test depends on anything being quick.
"""

from __future__ import annotations

import socket
import time
from collections.abc import Iterator
from concurrent.futures import Future, ThreadPoolExecutor
from typing import Any

import h2.connection
import h2.events
import h2.settings
import psutil
import pytest

from tests.support.engines import NAMES, Door, EnginesProcess
from tests.support.raw_http import SECONDS, Raw, unverified

pytestmark = pytest.mark.one_database

MIB = 1 << 20
CONNECTIONS = 60
"""How many an address may have; more than there are of WAITS."""
TIMES: dict[str, Any] = {
    "head_seconds": 2,
    "keep_alive_seconds": 3,
    "body_seconds": 2,
    "send_seconds": 2,
    "max_connections_per_address": CONNECTIONS,
    "trusted_proxies": (),
}


@pytest.fixture(scope="module")
def server(tmp_path_factory: pytest.TempPathFactory) -> Iterator[EnginesProcess]:
    running = EnginesProcess(tmp_path_factory.mktemp("slow"), **TIMES)
    running.start()
    yield running
    assert running.stop() == 0, running.log
    assert "Traceback" not in running.log


def drip(raw: Raw, text: bytes) -> None:
    """Send a byte now and then, until the server has had enough; fails if it never has."""
    deadline = time.monotonic() + SECONDS
    raw.socket.settimeout(0.2)
    while time.monotonic() < deadline:
        try:
            raw.socket.sendall(text)
            raw.socket.recv(65536)
            return  # It is closed, or answered that this takes too long.
        except TimeoutError:
            continue
        except OSError:
            return
    raise AssertionError("it is waited for without end")


def head_byte_by_byte(door: Door, server: EnginesProcess) -> None:
    with door.connect() as raw:
        raw.send("GET /_matrix/client/versions HTTP/1.1\nHost: x\n")
        drip(raw, b"X: y\r\n")


def empty_lines(door: Door, server: EnginesProcess) -> None:
    with door.connect() as raw:
        drip(raw, b"\r\n")


def second_head_byte_by_byte(door: Door, server: EnginesProcess) -> None:
    with door.connect() as raw:
        raw.send("GET /_matrix/client/versions HTTP/1.1\nHost: x\n\nGET /")
        assert raw.answer().status == 200
        drip(raw, b"x")


def nothing_said(door: Door, server: EnginesProcess) -> None:
    with door.connect() as raw:
        assert raw.ended()


def nothing_more_said(door: Door, server: EnginesProcess) -> None:
    with door.connect() as raw:
        raw.send("GET /_matrix/client/versions HTTP/1.1\nHost: x\n\n")
        assert raw.answer().status == 200
        assert raw.ended()


def body_that_stops(door: Door, server: EnginesProcess) -> None:
    stops(door, server, "POST", "/_matrix/client/v3/createRoom")


def upload_that_stops(door: Door, server: EnginesProcess) -> None:
    stops(door, server, "POST", "/_matrix/media/v3/upload")


def stops(door: Door, server: EnginesProcess, method: str, path: str) -> None:
    with door.connect() as raw:
        raw.send(
            f"{method} {path} HTTP/1.1\nHost: x\nAuthorization: Bearer {server.token}\n"
            "Content-Length: 60000\n\n{"
        )
        answer = raw.answer()
        assert (answer.status, answer.closes) == (408, True)
        assert answer.json()["errcode"] == "M_UNKNOWN"
        assert raw.ended()


def body_byte_by_byte(door: Door, server: EnginesProcess) -> None:
    with door.connect() as raw:
        raw.send(
            "POST /_matrix/client/v3/createRoom HTTP/1.1\nHost: x\nContent-Length: 60000\n"
            f"Authorization: Bearer {server.token}\n\n"
        )
        drip(raw, b" ")


def answered_body_that_never_comes(door: Door, server: EnginesProcess) -> None:
    with door.connect() as raw:
        raw.send("POST /_matrix/media/v3/upload HTTP/1.1\nHost: x\nContent-Length: 10000000\n\n")
        assert raw.answer().status == 401
        assert raw.ended()


WAITS = (
    head_byte_by_byte,
    empty_lines,
    second_head_byte_by_byte,
    nothing_said,
    nothing_more_said,
    body_that_stops,
    upload_that_stops,
    body_byte_by_byte,
    answered_body_that_never_comes,
)
Waits = dict[tuple[str, str], Future[None]]


@pytest.fixture(scope="module")
def waits(server: EnginesProcess) -> Waits:
    """What has become of each of WAITS at each listener: all at once, for they do little but wait."""
    with ThreadPoolExecutor(len(WAITS) * len(NAMES)) as pool:
        return {
            (wait.__name__, name): pool.submit(wait, door, server)
            for wait in WAITS
            for name, door in server.doors.items()
        }


@pytest.mark.parametrize("name", NAMES)
@pytest.mark.parametrize("wait", [wait.__name__ for wait in WAITS])
def test_who_keeps_it_waiting_is_left(waits: Waits, wait: str, name: str) -> None:
    waits[wait, name].result()


def large(server: EnginesProcess, door: Door, user: str, megabytes: int) -> tuple[str, str]:
    """A user's token, and the path of so much of their media."""
    token = server.register(user)
    with door.client() as client:
        client.headers["authorization"] = f"Bearer {token}"
        uri = client.post("/_matrix/media/v3/upload", content=b"x" * (megabytes * MIB)).json()["content_uri"]
    return token, f"/_matrix/client/v1/media/download/{uri.removeprefix('mxc://')}"


def test_a_response_that_nobody_reads(server: EnginesProcess) -> None:
    """It is given up at each listener, and meanwhile does not fill the memory."""
    assert server.process is not None
    process = psutil.Process(server.process.pid)
    unread = [raw for door in server.doors.values() for raw in ask_and_read_nothing(door, server, process)]
    deadline = time.monotonic() + SECONDS
    for door in server.doors.values():
        while still_open(process, door) and time.monotonic() < deadline:
            time.sleep(0.1)
        assert not still_open(process, door), door
    for raw in unread:
        raw.socket.close()


def ask_and_read_nothing(door: Door, server: EnginesProcess, process: psutil.Process) -> list[Raw]:
    """Connections that a large answer is on its way to."""
    token, path = large(server, door, f"reader-{door}", 20)
    before = process.memory_info().rss
    unread = []
    for _ in range(10):
        raw = door.connect()
        raw.send(f"GET {path} HTTP/1.1\nHost: x\nAuthorization: Bearer {token}\n\n")
        unread.append(raw)
    with door.client() as client:
        assert client.get("/_matrix/client/versions").status_code == 200
    assert process.memory_info().rss - before < 60 * MIB
    return unread


def still_open(process: psutil.Process, door: Door) -> list[Any]:
    """The server's connections at a listener."""
    return [
        item
        for item in process.net_connections("tcp")
        if item.laddr.port == door.port and item.status == psutil.CONN_ESTABLISHED
    ]


class Http2:
    """A client of HTTP/2 that takes only as much as it is told to."""

    def __init__(self, door: Door) -> None:
        context = unverified()
        context.set_alpn_protocols(["h2"])
        self.socket = context.wrap_socket(socket.create_connection(("127.0.0.1", door.port), timeout=SECONDS))
        self.connection = h2.connection.H2Connection()
        self.connection.initiate_connection()
        self.flush()

    def flush(self) -> None:
        self.socket.sendall(self.connection.data_to_send())

    def request(self, path: str, token: str) -> int:
        """Ask for something; the stream."""
        stream_id = self.connection.get_next_available_stream_id()
        headers = [(":method", "GET"), (":path", path), (":scheme", "https"), (":authority", "x")]
        headers.append(("authorization", f"Bearer {token}"))
        self.connection.send_headers(stream_id, headers, end_stream=True)
        self.flush()
        return stream_id

    def wait_for(self, kind: type[Any]) -> Any:
        """The next event of a kind."""
        while True:
            data = self.socket.recv(65536)
            if not data:
                raise ConnectionError("closed")
            for event in self.connection.receive_data(data):
                if isinstance(event, kind):
                    return event
            self.flush()


def test_a_window_that_stays_closed(server: EnginesProcess) -> None:
    door = server.doors["hypercorn-tls"]
    token, path = large(server, door, "window", 5)
    client = Http2(door)
    stream_id = client.request(path, token)
    reset = client.wait_for(h2.events.StreamReset)
    assert reset.stream_id == stream_id
    # The connection is still of use.
    client.request("/_matrix/client/versions", token)
    assert client.wait_for(h2.events.ResponseReceived)
    client.socket.close()


def test_an_address_has_so_many_connections(server: EnginesProcess) -> None:
    door, other = server.doors["uvicorn"], server.doors["hypercorn"]
    opened = [Raw((door if n % 2 else other).port) for n in range(CONNECTIONS)]
    with Raw(door.port) as raw:
        assert raw.ended()
    with Raw(other.port) as raw:
        assert raw.ended()
    for raw in opened:
        raw.socket.close()
    deadline = time.monotonic() + SECONDS
    while time.monotonic() < deadline:
        with Raw(door.port) as raw:
            raw.send("GET /_matrix/client/versions HTTP/1.1\nHost: x\n\n")
            try:
                assert raw.answer().status == 200
                return
            except ConnectionError:
                time.sleep(0.1)
    raise AssertionError("there is no room again")
