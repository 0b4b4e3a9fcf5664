"""What HTTP brings along, on a real server process of either engine: large, slow and cut requests."""

from __future__ import annotations

import json
import socket
import time
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import httpx
import pytest

from palpo.wire.endpoint import DEFAULT_MAX_BODY, Auth, Page, Stream
from palpo.wire.registry import endpoints
from tests.support.process import ServerProcess, free_port

pytestmark = pytest.mark.one_database

CONFIGURATION = """\
server_name = "test.example"
data = "{data}"
[[listeners]]
bind = "127.0.0.1:{port}"
[http]
engine = "{engine}"
shutdown_seconds = 5
[registration]
open = true
[rate_limits]
enabled = false
[password]
time_cost = 1
memory_kib = 8
[media]
max_upload_bytes = 100000
"""
STOP_SECONDS = 4.0
"""Well under ``shutdown_seconds``: who waits for news is sent home, not waited for."""


@dataclass
class Running:
    """A server process and a user of it."""

    process: ServerProcess
    engine: str
    token: str = ""

    @property
    def headers(self) -> dict[str, str]:
        return {"Authorization": f"Bearer {self.token}"}

    def request(self, method: str, path: str, **options: Any) -> httpx.Response:
        headers = {**self.headers, **options.pop("headers", {})}
        return httpx.request(method, self.process.url + path, headers=headers, timeout=10, **options)

    def connect(self, text: str) -> socket.socket:
        """A connection, with the beginning of a request sent."""
        connection = socket.create_connection(("127.0.0.1", self.process.port), timeout=10)
        head = text.replace("\n", "\r\n").replace("TOKEN", self.token)
        connection.sendall(head.encode())
        return connection

    def alive(self) -> bool:
        return self.request("GET", "/_matrix/client/v3/account/whoami").status_code == 200


def start(folder: Path, engine: str) -> Running:
    """A server with a registered user."""
    port = free_port()
    process = ServerProcess(folder, port=port)
    folder.mkdir(parents=True, exist_ok=True)
    (folder / "palpo.toml").write_text(CONFIGURATION.format(data=folder, port=port, engine=engine))
    process.start()
    body = {"username": "alice", "password": "correct horse battery", "auth": {"type": "m.login.dummy"}}
    answer = httpx.post(f"{process.url}/_matrix/client/v3/register", json=body).json()
    return Running(process=process, engine=engine, token=answer["access_token"])


@pytest.fixture(scope="module", params=["hypercorn", "uvicorn"])
def running(request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Running]:
    """A server for all tests that leave it as it is."""
    server = start(tmp_path_factory.mktemp(request.param) / "data", request.param)
    yield server
    assert server.process.stop() == 0, server.process.log
    assert "unhandled_exception" not in server.process.log
    assert "Traceback" not in server.process.log


def answered(connection: socket.socket) -> tuple[int, dict[str, Any]]:
    """The status and the JSON of the first response on a connection."""
    status, body = answer_of(connection)
    return status, json.loads(body)


def answer_of(connection: socket.socket) -> tuple[int, bytes]:
    """The status and the body of the first response on a connection."""
    received = b""
    while b"\r\n\r\n" not in received:
        piece = connection.recv(65536)
        assert piece, f"closed after {received!r}"
        received += piece
    head, _, body = received.partition(b"\r\n\r\n")
    length = next(
        int(line.split(b":")[1])
        for line in head.split(b"\r\n")
        if line.lower().startswith(b"content-length:")
    )
    while len(body) < length:
        piece = connection.recv(65536)
        assert piece, f"closed after {body!r}"
        body += piece
    return int(head.split(b" ")[1]), body


def test_a_body_that_says_it_is_too_large_is_not_waited_for(running: Running) -> None:
    head = (
        "PUT /_matrix/client/v3/user/@alice:test.example/account_data/x HTTP/1.1\nHost: x\n"
        f"Authorization: Bearer TOKEN\nContent-Length: {DEFAULT_MAX_BODY + 1}\n\n"
    )
    with running.connect(head) as connection:
        status, error = answered(connection)
    assert (status, error["errcode"]) == (413, "M_TOO_LARGE")
    assert running.alive()


def test_a_body_that_grows_too_large(running: Running) -> None:
    head = (
        "PUT /_matrix/client/v3/user/@alice:test.example/account_data/x HTTP/1.1\nHost: x\n"
        "Authorization: Bearer TOKEN\nTransfer-Encoding: chunked\n\n"
    )
    with running.connect(head) as connection:
        piece = b"x" * 65536
        for _ in range(DEFAULT_MAX_BODY // len(piece) + 1):
            connection.sendall(b"%x\r\n%b\r\n" % (len(piece), piece))
        status, error = answered(connection)
    assert (status, error["errcode"]) == (413, "M_TOO_LARGE")
    assert running.alive()


def test_the_largest_body_is_read(running: Running) -> None:
    path = "/_matrix/client/v3/user/@alice:test.example/filter"
    body = b'{"a":"' + b"x" * (DEFAULT_MAX_BODY - 8) + b'"}'
    error = running.request("POST", path, content=body)
    # It is read, and then it is too large for a filter.
    assert (error.status_code, error.json()["error"]) == (413, "A filter is at most 65536 bytes")


def test_uploads_have_a_bound_of_their_own(running: Running) -> None:
    path = "/_matrix/media/v3/upload"
    assert running.request("POST", path, content=b"x" * 100_000).status_code == 200
    error = running.request("POST", path, content=b"x" * 100_001)
    assert (error.status_code, error.json()["errcode"]) == (413, "M_TOO_LARGE")


def test_a_slow_body_is_waited_for_and_nobody_waits_with_it(running: Running) -> None:
    body = b'{"a": "slow"}'
    path = "/_matrix/client/v3/user/@alice:test.example/account_data/slow"
    head = f"PUT {path} HTTP/1.1\nHost: x\nAuthorization: Bearer TOKEN\nContent-Length: {len(body)}\n\n"
    with running.connect(head) as connection:
        for index in range(len(body)):
            connection.sendall(body[index : index + 1])
            time.sleep(0.03)
            if index == 5:
                assert running.alive()
        status, _ = answered(connection)
    assert status == 200
    assert running.request("GET", path).json() == {"a": "slow"}


def test_a_cut_body_does_nothing(running: Running) -> None:
    path = "/_matrix/client/v3/user/@alice:test.example/account_data/cut"
    head = f'PUT {path} HTTP/1.1\nHost: x\nAuthorization: Bearer TOKEN\nContent-Length: 9\n\n{{"a":1}}'
    for _ in range(5):
        running.connect(head).close()
    time.sleep(0.2)
    assert running.request("GET", path).status_code == 404
    upload = (
        "POST /_matrix/media/v3/upload HTTP/1.1\nHost: x\nAuthorization: Bearer TOKEN\nContent-Length: 9\n\nx"
    )
    for _ in range(5):
        running.connect(upload).close()
    assert running.alive()


def test_long_polls_that_are_given_up(running: Running) -> None:
    since = running.request("GET", "/_matrix/client/v3/sync").json()["next_batch"]
    for _ in range(20):
        running.connect(
            f"GET /_matrix/client/v3/sync?timeout=30000&since={since} HTTP/1.1\n"
            "Host: x\nAuthorization: Bearer TOKEN\n\n"
        ).close()
    assert running.alive()


def test_head_is_get_without_the_body(running: Running) -> None:
    for path in (
        "/_matrix/client/versions",
        "/_matrix/client/v3/account/whoami",
        "/_matrix/client/v3/nothing",
    ):
        get, head = running.request("GET", path), running.request("HEAD", path)
        assert head.content == b""
        assert head.status_code == get.status_code
        for name in ("content-type", "content-length", "access-control-allow-origin"):
            assert head.headers[name] == get.headers[name]
    wrong = running.request("HEAD", "/_matrix/client/v3/createRoom")
    assert (wrong.status_code, wrong.headers["allow"]) == (405, "POST, OPTIONS")
    wrong = running.request("POST", "/_matrix/client/v3/account/whoami")
    assert wrong.headers["allow"] == "GET, HEAD, OPTIONS"
    assert wrong.json()["errcode"] == "M_UNRECOGNIZED"


def test_errors_beside_the_matrix_endpoints_are_json_too(running: Running) -> None:
    for method, path, status in (
        ("GET", "/", 404),
        ("GET", "/_palpo/nothing", 404),
        ("GET", "/.well-known/other", 404),
        ("POST", "/_palpo/health", 405),
    ):
        answer = running.request(method, path)
        assert answer.status_code == status
        assert answer.headers["content-type"] == "application/json"
        assert answer.json()["errcode"] == "M_UNRECOGNIZED"
    assert "GET" in answer.headers["allow"]


def test_options_on_every_endpoint(running: Running) -> None:
    with httpx.Client(base_url=running.process.url, timeout=10) as http:
        for endpoint in endpoints():
            for path in endpoint.paths:
                if path.startswith("/_palpo/"):
                    continue
                answer = http.options(path.replace("{", "").replace("}", ""))
                assert answer.status_code == 200, path
                assert answer.headers["access-control-allow-origin"] == "*"
                assert endpoint.method in answer.headers["access-control-allow-methods"]
                assert "Authorization" in answer.headers["access-control-allow-headers"]


def test_every_json_endpoint_refuses_a_body_over_its_bound(running: Running) -> None:
    for endpoint in endpoints():
        if endpoint.body is Stream or endpoint.method == "GET" or endpoint.auth is Auth.SERVER:
            continue
        if endpoint.response is Page or endpoint.auth is Auth.DELEGATE:
            continue  # Forms are answered with pages; nobody is this server's delegate.
        path = endpoint.paths[0].replace("{", "").replace("}", "")
        head = f"{endpoint.method} {path} HTTP/1.1\nHost: x\nContent-Length: {endpoint.max_body + 1}\n\n"
        with running.connect(head) as connection:
            status, error = answered(connection)
        assert (status, error["errcode"]) == (413, "M_TOO_LARGE"), path


def test_forms_over_their_bound(running: Running) -> None:
    forms = [item for item in endpoints() if item.method == "POST" and item.response is Page]
    for endpoint in forms:
        path = endpoint.paths[0].replace("{", "").replace("}", "")
        head = f"POST {path} HTTP/1.1\nHost: x\nContent-Length: {endpoint.max_body + 1}\n\n"
        with running.connect(head) as connection:
            status, _ = answer_of(connection)
        assert status == 413, path
    assert forms


NOISE = (
    "\n\n",
    "GET\n\n",
    "\x16\x03\x01\x02\x00",
    "GET / HTTP/9.9\n\n",
    "GET /_matrix/ HTTP/1.1\nHost x\n\n",
    "GET /" + "x" * 100_000 + " HTTP/1.1\n",
    "GET / HTTP/1.1\nX: " + "x" * 200_000,
    "GET /_matrix/client/v3/%zz HTTP/1.1\nHost: x\n\n",
)


def test_what_is_not_http(running: Running) -> None:
    for noise in NOISE:
        with running.connect("") as connection:
            try:
                connection.sendall(noise.replace("\n", "\r\n").encode("latin-1"))
                connection.settimeout(0.2)
                connection.recv(65536)
            except (TimeoutError, ConnectionError):
                pass
    assert running.alive()


@pytest.mark.parametrize("engine", ["hypercorn", "uvicorn"])
def test_a_stop_answers_who_waits(tmp_path: Path, engine: str) -> None:
    server = start(tmp_path / "data", engine)
    try:
        since = server.request("GET", "/_matrix/client/v3/sync").json()["next_batch"]
        poll = (
            f"GET /_matrix/client/v3/sync?timeout=30000&since={since} HTTP/1.1\nHost: x\n"
            "Authorization: Bearer TOKEN\n\n"
        )
        polls = [server.connect(poll) for _ in range(5)]
        assert server.alive()  # By now they have been heard.
        started = time.monotonic()
        assert server.process.stop() == 0
        assert time.monotonic() - started < STOP_SECONDS
        for connection in polls:
            status, answer = answered(connection)
            connection.close()
            assert status == 200
            assert answer["next_batch"]
        assert "Traceback" not in server.process.log
    finally:
        server.process.kill()
