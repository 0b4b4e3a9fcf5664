"""Both HTTP engines in one process, in the clear and with TLS: they behave alike."""

from __future__ import annotations

import contextlib
import http.client
import socket
import ssl
import stat
import struct
import time
from collections.abc import Iterator
from pathlib import Path

import httpx
import pytest

from tests.support import forked
from tests.support.engines import NAMES, Door, EnginesProcess
from tests.support.process import free_port
from tests.support.raw_http import SECONDS, Answer, Raw, unverified

pytestmark = pytest.mark.one_database

VERSIONS = "GET /_matrix/client/versions HTTP/1.1\nHost: x\n"
UPLOAD = "/_matrix/media/v3/upload"
MIB = 1 << 20
EARLY = [
    ("POST", UPLOAD, 401, "M_MISSING_TOKEN"),
    ("POST", "/_matrix/client/v3/nothing", 404, "M_UNRECOGNIZED"),
    ("PUT", "/_matrix/client/versions", 405, "M_UNRECOGNIZED"),
    ("POST", "/_matrix/client/v3/login", 413, "M_TOO_LARGE"),
    ("POST", "/_palpo/nothing", 404, "M_UNRECOGNIZED"),
]


@pytest.fixture(scope="module")
def server(tmp_path_factory: pytest.TempPathFactory) -> Iterator[EnginesProcess]:
    running = EnginesProcess(tmp_path_factory.mktemp("engines"), max_requests_per_user=5)
    running.start()
    yield running
    assert running.stop() == 0, running.log
    assert "Traceback" not in running.log
    assert "unhandled_exception" not in running.log


@pytest.fixture(params=NAMES)
def door(request: pytest.FixtureRequest, server: EnginesProcess) -> Door:
    """Each listener by TCP."""
    return server.doors[request.param]


def written_first(door: Door, method: str, path: str, size: int) -> tuple[int, bytes, str | None]:
    """What a client sees that writes all of its body before it reads."""
    if door.tls:
        connection: http.client.HTTPConnection = http.client.HTTPSConnection(
            "127.0.0.1", door.port, timeout=60, context=unverified()
        )
    else:
        connection = http.client.HTTPConnection("127.0.0.1", door.port, timeout=60)
    pieces = (b" " * min(65536, size - start) for start in range(0, size, 65536))
    connection.request(method, path, pieces, {"Content-Length": str(size)})
    answer = connection.getresponse()
    found = answer.status, answer.read(), answer.headers.get("connection")
    connection.close()
    return found


@pytest.mark.parametrize(("method", "path", "status", "errcode"), EARLY)
def test_an_early_answer_reaches_who_writes_first(
    door: Door, method: str, path: str, status: int, errcode: str
) -> None:
    for size in (MIB, 15 * MIB):
        seen, body, ending = written_first(door, method, path, size)
        assert (seen, ending) == (status, "close")
        assert errcode.encode() in body


def test_an_answer_leaves_in_one_piece(door: Door) -> None:
    """A proxy that has the head of a refusal, and not its body, may give up in between."""
    with door.connect() as raw:
        raw.send(f"POST {UPLOAD} HTTP/1.1\nHost: x\nContent-Length: {MIB}\n\n", b" " * 1000)
        assert b"M_MISSING_TOKEN" in raw.socket.recv(65536)


def ask_and_go(door: Door, server: EnginesProcess, address: str) -> None:
    """Send many long polls at once, and reset the connection after the first answer."""
    with door.connect() as raw:
        head = (
            f"GET /_matrix/client/v3/sync HTTP/1.1\nHost: x\nX-Forwarded-For: {address}\n"
            f"Authorization: Bearer {server.token}\n\n"
        )
        raw.send(head)
        since = raw.answer().json()["next_batch"]
        raw.send(head.replace("/sync", f"/sync?timeout=300&since={since}") * 20)
        raw.answer()
        raw.socket.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))


def test_requests_of_who_has_gone_are_not_begun(server: EnginesProcess) -> None:
    """They came with the one before them."""
    addresses = {name: f"203.0.113.{number}" for number, name in enumerate(NAMES, 100)}
    for name, address in addresses.items():
        ask_and_go(server.doors[name], server, address)
    time.sleep(5)
    for name, address in addresses.items():
        begun = server.log.count(f'"{address}"')
        assert 0 < begun < 10, name


def test_an_early_answer_to_a_very_large_body(door: Door) -> None:
    assert written_first(door, "POST", UPLOAD, 60 * MIB)[0] == 401


def test_early_answers_on_http2(server: EnginesProcess) -> None:
    with server.doors["hypercorn-tls"].client(http2=True) as client:
        for method, path, status, errcode in EARLY:
            answer = client.request(method, path, content=b" " * MIB)
            assert (answer.http_version, answer.status_code) == ("HTTP/2", status)
            assert answer.json()["errcode"] == errcode
        assert client.post(UPLOAD, content=b" " * (15 * MIB)).status_code == 401
        assert client.get("/_matrix/client/versions").status_code == 200


def test_an_error_over_a_small_body_leaves_the_connection_usable(door: Door) -> None:
    with door.connect() as raw:
        for path, status in ((UPLOAD, 401), ("/_matrix/client/v3/nothing", 404)):
            raw.send(f"POST {path} HTTP/1.1\nHost: x\nContent-Length: 7\n\n")
            raw.send("{", b'"a":1}')
            answer = raw.answer()
            assert (answer.status, answer.closes) == (status, False)
        raw.send("POST /_matrix/client/v3/nothing HTTP/1.1\nHost: x\nTransfer-Encoding: chunked\n\n")
        raw.send("2\n{}\n0\n\n")
        assert not raw.answer().closes
        raw.send(f"{VERSIONS}\n")
        assert raw.answer().status == 200


def test_who_asks_before_sending_is_told(door: Door, server: EnginesProcess) -> None:
    with door.connect() as raw:
        raw.send(f"POST {UPLOAD} HTTP/1.1\nHost: x\nExpect: 100-continue\nContent-Length: {MIB}\n\n")
        answer = raw.answer()
        assert (answer.status, answer.closes) == (401, True)
    with door.connect() as raw:
        raw.send(
            f"POST {UPLOAD} HTTP/1.1\nHost: x\nExpect: 100-continue\nContent-Length: {MIB}\n"
            f"Authorization: Bearer {server.token}\n\n"
        )
        assert raw.answer().status == 100
        raw.send(b"x" * MIB)
        answer = raw.answer()
        assert (answer.status, answer.closes) == (200, False)


@pytest.mark.parametrize(
    ("sent", "status"),
    [
        ("GET /_matrix/client/versions HTTP/1.1\n\n", 400),
        ("GET / HTTP/1.1\nHost: x\nHost: y\n\n", 400),
        ("GET / HTTP/9.9\nHost: x\n\n", 400),
        ("GET nothing HTTP/1.1\nHost: x\n\n", 400),
        ("CONNECT x:443 HTTP/1.1\nHost: x\n\n", 400),
        ("GET /\xe9 HTTP/1.1\nHost: x\n\n", 400),
        ("GET /\x00 HTTP/1.1\nHost: x\n\n", 400),
        ("GET / HTTP/1.1\nHost x\n\n", 400),
        ("\x16\x03\x01\x02\x00abc\n\n", 400),
        ("POST / HTTP/1.1\nHost: x\nContent-Length: -2\n\n", 400),
        ("POST / HTTP/1.1\nHost: x\nContent-Length: 2\nContent-Length: 3\n\n{}", 400),
        ("POST / HTTP/1.1\nHost: x\nContent-Length: 2\nTransfer-Encoding: chunked\n\n2\n{}\n0\n\n", 400),
        ("POST /_matrix/client/v3/login HTTP/1.1\nHost: x\nTransfer-Encoding: chunked\n\nzz\n", 400),
        (f"GET /{'x' * 100_000} HTTP/1.1\nHost: x\n\n", 431),
        (f"GET / HTTP/1.1\nHost: x\nX: {'x' * 200_000}\n\n", 431),
        ("GET / HTTP/1.1\nHost: x\n" + "X: y\n" * 40_000 + "\n", 431),
    ],
)
def test_what_is_not_http_is_told_so(door: Door, sent: str, status: int) -> None:
    with door.connect() as raw:
        raw.send(sent)
        answer = raw.answer()
        assert (answer.status, answer.closes) == (status, True)
        assert answer.headers["access-control-allow-origin"] == "*"
        assert answer.json()["errcode"]


def test_trailers_are_bounded(door: Door) -> None:
    with door.connect() as raw:
        raw.send("POST /_matrix/client/v3/login HTTP/1.1\nHost: x\nTransfer-Encoding: chunked\n\n")
        raw.send(f"2\n{{}}\n0\nX: {'x' * 200_000}\n\n")
        assert raw.answer().status == 431


@pytest.mark.parametrize(
    "sent",
    [
        "GET http://x/_matrix/client/versions HTTP/1.1\nHost: x\n\n",
        "\n\nGET /_matrix/client/versions HTTP/1.1\nHost: x\n\n",
        f"{VERSIONS}Content-Length: 5\n\nhello",
        f"{VERSIONS}Connection: Upgrade\nUpgrade: websocket\n\n",
        f"{VERSIONS}Connection: Upgrade, HTTP2-Settings\nUpgrade: h2c\nHTTP2-Settings: AAMAAABk\n\n",
        "GET /_matrix/client/versions HTTP/1.0\n\n",
    ],
)
def test_what_is_unusual_is_answered(door: Door, sent: str) -> None:
    with door.connect() as raw:
        raw.send(sent)
        assert raw.answer().status == 200


def test_pipelined_requests_are_answered_in_order(door: Door) -> None:
    wanted = 500
    with door.connect() as raw:
        raw.send(
            "".join(f"HEAD /_matrix/client/versions?{n} HTTP/1.1\nHost: x\n\n" for n in range(wanted - 1))
        )
        raw.send("GET /_matrix/client/v3/nothing HTTP/1.1\nHost: x\n\n")
        for _ in range(wanted - 1):
            assert raw.answer(head=True).status == 200
        assert raw.answer().status == 404


def test_what_comes_before_garbage_is_answered(door: Door) -> None:
    with door.connect() as raw:
        raw.send(f"{VERSIONS}\nthis is no request\n\n")
        assert raw.answer().status == 200
        assert raw.ended()


def first_answers(waiting: list[Raw]) -> list[Answer]:
    """The first responses that any of these connections gets."""
    deadline = time.monotonic() + SECONDS
    answers: list[Answer] = []
    while not answers and time.monotonic() < deadline:
        for raw in waiting:
            raw.socket.settimeout(0.02)
            with contextlib.suppress(TimeoutError):
                answers.append(raw.answer())
    return answers


def test_a_user_has_so_many_requests_at_once(door: Door, server: EnginesProcess) -> None:
    token = server.register(f"many-{door}")
    with door.client() as client:
        client.headers["authorization"] = f"Bearer {token}"
        since = client.get("/_matrix/client/v3/sync").json()["next_batch"]
        poll = (
            f"GET /_matrix/client/v3/sync?timeout=30000&since={since} HTTP/1.1\nHost: x\n"
            f"Authorization: Bearer {token}\n\n"
        )
        waiting = [door.connect() for _ in range(6)]
        for raw in waiting:
            raw.send(poll)
        # The five wait; the one that is answered is refused.
        refused = first_answers(waiting)
        for raw in waiting:
            raw.socket.close()
        assert [answer.status for answer in refused] == [429]
        assert refused[0].json()["errcode"] == "M_LIMIT_EXCEEDED"
        assert int(refused[0].headers["retry-after"]) > 0


def test_each_tls_listener_has_its_own_certificate(server: EnginesProcess) -> None:
    context = unverified()
    for engine, expected in server.certificates.items():
        address = ("127.0.0.1", server.doors[f"{engine}-tls"].port)
        with socket.create_connection(address) as plain, context.wrap_socket(plain) as wrapped:
            found = ssl.DER_cert_to_PEM_cert(wrapped.getpeercert(binary_form=True) or b"")
        assert found == expected[0].read_text()


@pytest.mark.parametrize("engine", ["uvicorn", "hypercorn"])
def test_ipv4_and_ipv6_on_one_listener(server: EnginesProcess, engine: str) -> None:
    port = server.dual[engine]
    headers = {"X-Forwarded-For": "203.0.113.7, 10.1.2.3", "Authorization": f"Bearer {server.token}"}
    addresses = []
    for host in ("127.0.0.1", "[::1]"):
        url = f"http://{host}:{port}/_matrix/client/v3/account/whoami"
        answer = httpx.get(url, headers=headers)
        assert answer.status_code == 200
        addresses.append(server.address_of(answer.headers["x-request-id"]))
    # Over IPv4 the proxy is ::ffff:127.0.0.1, and trusted; ::1 is not.
    assert addresses == ["203.0.113.7", "::1"]


@pytest.mark.parametrize("engine", ["uvicorn", "hypercorn"])
def test_unix_sockets(server: EnginesProcess, engine: str) -> None:
    path = server.unix[engine]
    assert stat.S_IMODE(path.stat().st_mode) == 0o600
    headers = {"X-Forwarded-For": "203.0.113.8", "Authorization": f"Bearer {server.token}"}
    with httpx.Client(transport=httpx.HTTPTransport(uds=str(path)), base_url="http://x") as client:
        answer = client.get("/_matrix/client/v3/account/whoami", headers=headers)
    assert server.address_of(answer.headers["x-request-id"]) == "203.0.113.8"


def refused(folder: Path, *listeners: str) -> str:
    """What a server says that cannot listen, in its one line."""
    file = folder / "palpo.toml"
    file.write_text(f'server_name = "test.example"\ndata = "{folder}"\n' + "".join(listeners))
    result = forked.run("serve", "--config", str(file))
    assert result.returncode == 2
    lines = result.stderr.strip().splitlines()
    assert len(lines) == 1, result.stderr
    return lines[0]


def test_listeners_that_cannot_be_had_are_named(server: EnginesProcess, tmp_path: Path) -> None:
    free = f'[[listeners]]\nbind = "127.0.0.1:{free_port()}"\n'
    for taken in (f"127.0.0.1:{server.doors['hypercorn'].port}", f"unix:{server.unix['uvicorn']}"):
        line = refused(tmp_path, free, f'[[listeners]]\nbind = "{taken}"\n')
        assert f"listeners: {taken}: Address already in use" in line
    (tmp_path / "file").touch()
    assert "no socket" in refused(tmp_path, f'[[listeners]]\nbind = "unix:{tmp_path}/file"\n')
    assert (tmp_path / "file").exists()
    assert server.unix["uvicorn"].exists()


def test_the_socket_of_a_server_that_was_killed_is_replaced(tmp_path: Path) -> None:
    running = EnginesProcess(tmp_path / "data")
    try:
        running.start()
        running.kill()
        assert all(path.exists() for path in running.unix.values())
        running.start()
        path = running.unix["hypercorn"]
        with httpx.Client(transport=httpx.HTTPTransport(uds=str(path)), base_url="http://x") as client:
            assert client.get("/_matrix/client/versions").status_code == 200
        waiting = []
        with running.doors["uvicorn"].client() as client:
            headers = {"Authorization": f"Bearer {running.token}"}
            since = client.get("/_matrix/client/v3/sync", headers=headers).json()["next_batch"]
        for door in running.doors.values():
            raw = door.connect()
            raw.send(
                f"GET /_matrix/client/v3/sync?timeout=30000&since={since} HTTP/1.1\nHost: x\n"
                f"Authorization: Bearer {running.token}\n\n"
            )
            waiting.append(raw)
            with door.client() as client:
                assert client.get("/_matrix/client/versions").status_code == 200
        assert running.stop() == 0
        for raw in waiting:
            assert raw.answer().status == 200
            raw.socket.close()
        assert not any(path.exists() for path in running.unix.values())
        assert "Traceback" not in running.log
    finally:
        running.kill()
