"""One server process with listeners of every kind: both engines, in the clear, with TLS, on Unix sockets."""

from __future__ import annotations

import json
import signal
import time
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import httpx

from tests.support.forked import Forked
from tests.support.process import START_SECONDS, free_port
from tests.support.raw_http import SECONDS, Raw, certificate

STARTED = '"event":"started"'
HEAD = """\
server_name = "test.example"
data = "{data}"
[registration]
open = true
[rate_limits]
enabled = false
[password]
time_cost = 1
memory_kib = 8
[http]
trusted_proxies = {proxies}
"""


@dataclass(frozen=True, slots=True, kw_only=True)
class Door:
    """One listener."""

    engine: str
    tls: bool
    port: int

    def __str__(self) -> str:
        return f"{self.engine}{'-tls' if self.tls else ''}"

    def url(self, path: str = "") -> str:
        """The URL of a path."""
        return f"{'https' if self.tls else 'http'}://127.0.0.1:{self.port}{path}"

    def connect(self) -> Raw:
        """A connection for HTTP/1.1."""
        return Raw(self.port, tls=self.tls)

    def client(self, *, http2: bool = False) -> httpx.Client:
        """An HTTP client."""
        return httpx.Client(base_url=self.url(), http2=http2, verify=False, timeout=SECONDS)


KINDS = [("uvicorn", False), ("hypercorn", False), ("uvicorn", True), ("hypercorn", True)]
NAMES = [f"{engine}{'-tls' if tls else ''}" for engine, tls in KINDS]


class EnginesProcess:
    """``palpo serve`` on all of them."""

    def __init__(
        self, folder: Path, *, trusted_proxies: tuple[str, ...] = ("127.0.0.1", "10.1.0.0/16"), **http: Any
    ) -> None:
        folder.mkdir(parents=True, exist_ok=True)
        self.folder = folder
        self.doors: dict[str, Door] = {}
        self.certificates = {
            engine: certificate(folder, f"{engine}.example") for engine in ("uvicorn", "hypercorn")
        }
        lines = [
            HEAD.format(data=folder, proxies=list(trusted_proxies)),
            *(f"{name} = {value}\n" for name, value in http.items()),
        ]
        for engine, tls in KINDS:
            door = Door(engine=engine, tls=tls, port=free_port())
            self.doors[str(door)] = door
            lines.append(f'[[listeners]]\nbind = "127.0.0.1:{door.port}"\nengine = "{engine}"\n')
            if tls:
                crt, key = self.certificates[engine]
                lines.append(f'tls_certificate = "{crt}"\ntls_key = "{key}"\n')
        self.dual: dict[str, int] = {}
        self.unix: dict[str, Path] = {}
        for engine in ("uvicorn", "hypercorn"):
            self.dual[engine], self.unix[engine] = free_port(), folder / f"{engine}.sock"
            lines.append(f'[[listeners]]\nbind = "[::]:{self.dual[engine]}"\nengine = "{engine}"\n')
            lines.append(
                f'[[listeners]]\nbind = "unix:{self.unix[engine]}"\nengine = "{engine}"\nmode = "600"\n'
            )
        self.file = folder / "palpo.toml"
        self.file.write_text("".join(lines))
        self.process: Forked | None = None
        self.token = ""

    @property
    def log(self) -> str:
        """Everything that it has printed."""
        return (self.folder / "server.log").read_text()

    def address_of(self, request_id: str) -> str:
        """The address in a request's line; lines are written a little later than answers."""
        deadline = time.monotonic() + SECONDS
        while time.monotonic() < deadline:
            for line in self.log.splitlines():
                if f'"id":"{request_id}"' in line and line.endswith("}"):
                    return str(json.loads(line)["address"])
            time.sleep(0.05)
        raise AssertionError(f"no line of {request_id}: {self.log}")

    def start(self) -> None:
        """Start it, wait until it answers, and register a user."""
        with (self.folder / "server.log").open("ab") as log:
            before = self.log.count(STARTED)
            self.process = Forked(["serve", "--config", str(self.file)], stdout=log, stderr=log)
        deadline = time.monotonic() + START_SECONDS
        while self.log.count(STARTED) == before:
            assert self.process.poll() is None, self.log
            assert time.monotonic() < deadline, self.log
            time.sleep(0.05)
        self.token = self.register(f"alice{time.time_ns()}")

    def register(self, localpart: str) -> str:
        """A new user's access token."""
        body = {"username": localpart, "password": "correct horse battery", "auth": {"type": "m.login.dummy"}}
        with self.doors["uvicorn"].client() as http:
            token: str = http.post("/_matrix/client/v3/register", json=body).json()["access_token"]
            return token

    def stop(self) -> int:
        """Ask it to stop; its exit status."""
        assert self.process is not None
        self.process.send_signal(signal.SIGTERM)
        return self.process.wait(timeout=SECONDS)

    def kill(self) -> None:
        """End it."""
        if self.process is not None and self.process.poll() is None:
            self.process.kill()
            self.process.wait()
