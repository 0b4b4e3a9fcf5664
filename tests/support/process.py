"""A homeserver as its users run it: in a process of its own, on a loopback port."""

from __future__ import annotations

import re
import signal
import socket
import subprocess
import sys
import time
from pathlib import Path

import httpx

from tests.support.forked import Forked

START_SECONDS = 60.0
LOST = (httpx.TransportError, AttributeError)
"""What a client meets with whose server is killed; the second is AnyIO's, which looks at a connection that
has ended as soon as it was made."""
ANSWER_SECONDS = 1.0
"""How long one question takes at most; then it is asked again."""


def free_port() -> int:
    """A port of 127.0.0.1 that nobody listens on."""
    with socket.socket() as listener:
        listener.bind(("127.0.0.1", 0))
        port: int = listener.getsockname()[1]
        return port


class ServerProcess:
    """``palpo start`` in ``data``; what it prints goes to ``data/server.log``.

    It is a fork that has the imports already, or with ``cold`` the command itself.
    """

    def __init__(
        self, data: Path, *, port: int | None = None, options: tuple[str, ...] = (), cold: bool = False
    ) -> None:
        self.data = data
        self.port = port or free_port()
        self.url = f"http://127.0.0.1:{self.port}"
        self._options = options
        self._cold = cold
        self._process: subprocess.Popen[bytes] | Forked | None = None

    @property
    def log(self) -> str:
        """Everything that it has printed."""
        return (self.data / "server.log").read_text()

    @property
    def registration_token(self) -> str:
        """The token that it told its user."""
        found = re.search(r"token (\S+)", self.log)
        assert found is not None, self.log
        return found[1]

    def start(self) -> None:
        """Start it and wait until it answers."""
        arguments = ["start", "--data", str(self.data), "--bind", f"127.0.0.1:{self.port}", *self._options]
        self.data.mkdir(parents=True, exist_ok=True)
        with (self.data / "server.log").open("ab") as log:
            if self._cold:
                command = [sys.executable, "-m", "palpo.cli.main", *arguments]
                self._process = subprocess.Popen(command, stdout=log, stderr=log)
            else:
                self._process = Forked(arguments, stdout=log, stderr=log)
        try:
            self._wait()
        except BaseException:
            self.kill()
            raise

    def _wait(self) -> None:
        deadline = time.monotonic() + START_SECONDS
        while time.monotonic() < deadline:
            assert self._process is not None
            assert self._process.poll() is None, self.log
            try:
                if httpx.get(f"{self.url}/_palpo/health", timeout=ANSWER_SECONDS).status_code == 200:
                    return
            except LOST:
                time.sleep(0.05)
        raise AssertionError(f"no answer in {START_SECONDS} s: {self.log}")

    @property
    def pid(self) -> int:
        """Its process ID."""
        assert self._process is not None
        return self._process.pid

    def kill(self) -> None:
        """End it without warning."""
        self._end(signal.SIGKILL)

    def stop(self) -> int:
        """Ask it to stop; its exit status."""
        return self._end(signal.SIGTERM)

    def _end(self, number: signal.Signals) -> int:
        process, self._process = self._process, None
        if process is None:
            return 0
        process.send_signal(number)
        return process.wait(timeout=30)

    def __enter__(self) -> ServerProcess:
        self.start()
        return self

    def __exit__(self, *_: object) -> None:
        self.kill()
