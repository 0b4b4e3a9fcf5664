"""A server's life as an operator sees it: its start, its listeners, a reload, its stop."""

from __future__ import annotations

import json
import os
import shutil
import signal
import socket
import ssl
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import httpx
import pytest

from palpo import __version__
from palpo.cli.failures import without_password
from tests.support.certificates import make_certificate
from tests.support.forked import Forked
from tests.support.process import START_SECONDS, free_port

CONFIGURATION = """\
server_name = "test.example"
data = "{folder}/data"
[[listeners]]
bind = "127.0.0.1:{private}"
[[listeners]]
bind = "0.0.0.0:{public}"
tls_certificate = "{folder}/tls/certificate.pem"
tls_key = "{folder}/tls/key.pem"
[http]
engine = "{engine}"
[log]
level = "info"
file = "{folder}/palpo.log"
"""


class Server:
    """``palpo serve`` with a port for this machine and one for everybody, started by a systemd of our own.

    It is a fork that has the imports already, or with ``cold`` the command itself.
    """

    def __init__(self, folder: Path, engine: str, *, cold: bool = False) -> None:
        self.folder = folder
        self.private, self.public = free_port(), free_port()
        self.certificate = make_certificate(folder / "tls", "one.example")[0]
        self.file = folder / "palpo.toml"
        self.file.write_text(
            CONFIGURATION.format(folder=folder, private=self.private, public=self.public, engine=engine)
        )
        self.systemd = socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM)
        self.systemd.bind(str(folder / "notify"))
        self.systemd.settimeout(START_SECONDS)
        command = ["serve", "--config", str(self.file)]
        environment = {**os.environ, "NOTIFY_SOCKET": str(folder / "notify")}
        self.process: subprocess.Popen[bytes] | Forked
        with (folder / "output").open("ab") as output:
            if cold:
                command = [sys.executable, "-m", "palpo.cli.main", *command]
                self.process = subprocess.Popen(command, env=environment, stdout=output, stderr=output)
            else:
                self.process = Forked(command, env=environment, stdout=output, stderr=output)
        assert self.told() == "READY=1"

    def told(self) -> str:
        """What systemd is told next."""
        return self.systemd.recv(4096).decode()

    def status(self, port: int, path: str) -> int:
        scheme = "https" if port == self.public else "http"
        return httpx.get(f"{scheme}://127.0.0.1:{port}{path}", verify=False).status_code

    def subject(self) -> str:
        """For whom the certificate is that a new connection is shown."""
        pem = ssl.get_server_certificate(("127.0.0.1", self.public))
        found = [
            name for name in ("one.example", "two.example") if name.encode() in ssl.PEM_cert_to_DER_cert(pem)
        ]
        return found[0]

    def line(self, event: str) -> dict[str, Any]:
        """The newest line of that kind, which may still be on its way."""
        return self.until(lambda: [row for row in self.lines() if row["event"] == event])[-1]

    def lines(self) -> list[dict[str, Any]]:
        text = (self.folder / "palpo.log").read_text()
        return [json.loads(line) for line in text.splitlines(keepends=True) if line.endswith("\n")]

    def until(self, what: Callable[[], Any]) -> Any:
        deadline = time.monotonic() + START_SECONDS
        while not (found := what()):
            assert time.monotonic() < deadline
            assert self.process.poll() is None
            time.sleep(0.02)
        return found

    def reload(self) -> None:
        """SIGHUP, and wait until it is done."""
        self.process.send_signal(signal.SIGHUP)
        assert self.told().startswith("RELOADING=1\nMONOTONIC_USEC=")
        assert self.told() == "READY=1"


@contextmanager
def running(folder: Path, engine: str, *, cold: bool = False) -> Iterator[Server]:
    server = Server(folder, engine, cold=cold)
    try:
        yield server
    finally:
        server.process.kill()
        server.process.wait()
        server.systemd.close()


ENGINES = ["hypercorn", "uvicorn"]


@pytest.fixture(params=ENGINES)
def server(tmp_path: Path, request: pytest.FixtureRequest) -> Iterator[Server]:
    with running(tmp_path, request.param) as server:
        yield server


@pytest.mark.parametrize("engine", ENGINES)
def test_from_start_to_stop(tmp_path: Path, engine: str) -> None:
    with running(tmp_path, engine, cold=True) as server:
        starts_and_stops(server)


def starts_and_stops(server: Server) -> None:
    started = server.line("started")
    assert started["version"] == __version__
    assert started["server_name"] == "test.example"
    assert started["listeners"] == [f"127.0.0.1:{server.private}", f"0.0.0.0:{server.public}"]
    assert started["database"] == f"sqlite:///{server.folder}/data/palpo.db"
    assert started["data"] == f"{server.folder}/data"
    server.process.send_signal(signal.SIGTERM)
    assert server.told() == "STOPPING=1"
    assert server.process.wait(START_SECONDS) == 0
    lines = {row["event"]: row for row in server.lines()}
    assert lines["stopping"]["reason"] == "SIGTERM"
    assert lines["stopping"]["after_seconds"] > 0
    assert lines["stopped"]["seconds"] >= 0
    assert (server.folder / "output").read_text() == ""


def test_what_is_for_operators_is_not_for_everybody(server: Server) -> None:
    for path in ("/_palpo/health", "/_matrix/client/versions"):
        assert server.status(server.private, path) == server.status(server.public, path) == 200
    for path in ("/_palpo/metrics", "/_palpo/metric%73", "//_palpo/metrics", "/_palpo//metrics"):
        assert server.status(server.private, path) in (200, 308)
        assert server.status(server.public, path) == 404
    answer = httpx.post(
        f"https://127.0.0.1:{server.public}/_synapse/admin/v1/register", verify=False, json={}
    )
    assert (answer.status_code, answer.json()["errcode"]) == (404, "M_UNRECOGNIZED")
    # There, it is shared-secret registration itself that says no.
    assert server.status(server.private, "/_synapse/admin/v1/send_server_notice") == 405


def test_reloads(server: Server) -> None:
    assert server.subject() == "one.example"
    # A certificate whose key is still on its way: nothing changes.
    certificate, key = make_certificate(server.folder / "new", "two.example")
    shutil.copy(certificate, server.folder / "tls")
    server.reload()
    assert "key.pem is not the key of" in server.line("reload_failed")["error"]
    assert server.subject() == "one.example"
    # Both are there, and the log has been moved away.
    shutil.copy(key, server.folder / "tls")
    (server.folder / "palpo.log").rename(server.folder / "palpo.log.1")
    text = server.file.read_text()
    server.file.write_text(text.replace('engine = "', 'shutdown_seconds = 7\nengine = "'))
    server.reload()
    assert server.line("reloaded")["needs_restart"] == ["http.shutdown_seconds"]
    assert server.subject() == "two.example"
    # The log's level.
    server.file.write_text(server.file.read_text().replace('"info"', '"warning"'))
    server.reload()
    server.status(server.private, "/_matrix/client/versions")
    server.file.write_text("server_name = ")
    server.reload()
    assert str(server.file) in server.line("reload_failed")["error"]
    assert [row["event"] for row in server.lines()] == ["reloaded", "reload_failed"]
    assert server.status(server.private, "/_palpo/health") == 200


@pytest.mark.parametrize(
    ("url", "shown"),
    [
        ("postgresql://palpo:secret@127.0.0.1:5432/palpo?x=y", "postgresql://palpo@127.0.0.1:5432/palpo"),
        ("mysql://palpo@localhost/palpo", "mysql://palpo@localhost/palpo"),
        ("postgresql:///palpo?host=/run/postgresql", "postgresql:///palpo"),
        ("postgresql:///palpo?password=secret", "postgresql:///palpo"),
        ("sqlite:////var/lib/palpo/palpo.db", "sqlite:////var/lib/palpo/palpo.db"),
    ],
)
def test_a_databases_password_is_not_shown(url: str, shown: str) -> None:
    assert without_password(url) == shown
