"""A stop waits for nobody: other servers that accept connections and say nothing do not hold it up."""

from __future__ import annotations

import contextlib
import json
import signal
import socket
import threading
import time
from collections.abc import Callable, Iterator
from pathlib import Path

import httpx
import pytest

from tests.support.forked import Forked
from tests.support.process import START_SECONDS, free_port

CONFIGURATION = """\
server_name = "test.example"
data = "{folder}/data"
[[listeners]]
bind = "127.0.0.1:{port}"
[http]
engine = "{engine}"
shutdown_seconds = 0.5
[registration]
open = true
[network]
allow = ["127.0.0.0/8"]
[federation]
connect_seconds = 600
request_seconds = 600
hosts = {{ "remote.example" = "127.0.0.1:{silent}", "silent.example" = "127.0.0.1:{other}" }}
[log]
file = "{folder}/palpo.log"
"""
BOB = "@bob:remote.example"
HELD_UP_SECONDS = 60.0
"""Far less than the requests to other servers would take, far more than a busy machine does."""


class Silent:
    """A server that accepts connections and never speaks."""

    def __init__(self) -> None:
        self._listener = socket.create_server(("127.0.0.1", 0))
        self.port: int = self._listener.getsockname()[1]
        self.accepted: list[socket.socket] = []
        threading.Thread(target=self._accept, daemon=True).start()

    def _accept(self) -> None:
        while True:
            try:
                self.accepted.append(self._listener.accept()[0])
            except OSError:
                return

    def close(self) -> None:
        self._listener.shutdown(socket.SHUT_RDWR)
        self._listener.close()
        for connection in self.accepted:
            connection.close()


@pytest.fixture
def silent() -> Iterator[tuple[Silent, Silent]]:
    servers = Silent(), Silent()
    yield servers
    for server in servers:
        server.close()


def until(what: Callable[[], object]) -> None:
    deadline = time.monotonic() + START_SECONDS
    while not what():
        assert time.monotonic() < deadline
        time.sleep(0.02)


def answers(url: str) -> bool:
    try:
        return httpx.get(f"{url}/_palpo/health").status_code == 200
    except httpx.TransportError:
        return False


def registered(url: str) -> dict[str, str]:
    """The headers of a new user's requests."""
    body = {"username": "alice", "password": "correct horse battery", "auth": {"type": "m.login.dummy"}}
    answer = httpx.post(f"{url}/_matrix/client/v3/register", json=body, timeout=START_SECONDS)
    return {"Authorization": f"Bearer {answer.json()['access_token']}"}


def ask(url: str, headers: dict[str, str]) -> None:
    """Ask for what only the silent server knows."""
    with contextlib.suppress(httpx.TransportError):
        httpx.get(f"{url}/_matrix/client/v3/profile/{BOB}", headers=headers, timeout=START_SECONDS)


@pytest.mark.parametrize("engine", ["hypercorn", "uvicorn"])
def test_servers_that_say_nothing_do_not_hold_a_stop_up(
    tmp_path: Path, silent: tuple[Silent, Silent], engine: str
) -> None:
    port, (first, second) = free_port(), silent
    file = tmp_path / "palpo.toml"
    file.write_text(
        CONFIGURATION.format(folder=tmp_path, port=port, engine=engine, silent=first.port, other=second.port)
    )
    with (tmp_path / "output").open("wb") as output:
        process = Forked(["serve", "--config", str(file)], stdout=output, stderr=output)
    try:
        url = f"http://127.0.0.1:{port}"
        until(lambda: answers(url))
        headers = registered(url)
        # The sender speaks to one, a client's request to the other.
        content = {"messages": {"@bob:silent.example": {"*": {"text": "hello"}}}}
        sent = httpx.put(f"{url}/_matrix/client/v3/sendToDevice/m.x/1", headers=headers, json=content)
        assert sent.status_code == 200
        threading.Thread(target=ask, args=(url, headers), daemon=True).start()
        until(lambda: first.accepted and second.accepted)
        process.send_signal(signal.SIGTERM)
        assert process.wait(HELD_UP_SECONDS) == 0
    finally:
        process.kill()
        process.wait()
    last = json.loads((tmp_path / "palpo.log").read_text().splitlines()[-1])
    assert last["event"] == "stopped"
