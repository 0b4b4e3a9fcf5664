"""Subprocesses that the benchmark starts: their ports, their CPU time, and their end."""

from __future__ import annotations

import asyncio
import contextlib
import socket
import subprocess
import time
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import psutil


def free_port() -> int:
    """A port on loopback that nothing listens on."""
    with socket.create_server(("127.0.0.1", 0)) as listening:
        return int(listening.getsockname()[1])


class Daemon:
    """A process that runs until it is stopped; what it prints goes to a file."""

    def __init__(
        self,
        command: Sequence[str | Path],
        *,
        log: Path,
        cwd: Path,
        environment: Mapping[str, str] | None = None,
        owner: str | None = None,
    ) -> None:
        self.log = log
        options: dict[str, Any] = {}
        if owner is not None:
            options = {"user": owner, "group": owner, "extra_groups": []}
        with log.open("wb") as output:
            self._process = subprocess.Popen(
                [str(part) for part in command],
                stdin=subprocess.DEVNULL,
                stdout=output,
                stderr=subprocess.STDOUT,
                cwd=cwd,
                env=environment,
                **options,
            )
        self._watched = psutil.Process(self._process.pid)

    @property
    def pid(self) -> int:
        """Its process ID."""
        return self._process.pid

    @property
    def runs(self) -> bool:
        """Whether it has not ended."""
        return self._process.poll() is None

    def cpu_seconds(self) -> float:
        """CPU time of the process and its children, also of children that ended."""
        with contextlib.suppress(psutil.NoSuchProcess):
            times = self._watched.cpu_times()
            total = times.user + times.system + times.children_user + times.children_system
            for child in self._watched.children(recursive=True):
                with contextlib.suppress(psutil.NoSuchProcess):
                    own = child.cpu_times()
                    total += own.user + own.system
            return float(total)
        return 0.0

    async def until_listening(self, port: int, seconds: float = 60.0) -> None:
        """Wait until ``port`` takes connections; raises RuntimeError with the end of the log."""
        deadline = time.monotonic() + seconds
        while time.monotonic() < deadline and self.runs:
            with contextlib.suppress(OSError):
                socket.create_connection(("127.0.0.1", port), timeout=1).close()
                return
            await asyncio.sleep(0.1)
        raise RuntimeError(f"{self.log.stem} does not answer:\n{self.log.read_text()[-3000:]}")

    def stop(self, number: int = 15, seconds: float = 15.0) -> None:
        """Send signal ``number``, and kill it if it is still there after ``seconds``."""
        if not self.runs:
            return
        self._process.send_signal(number)
        try:
            self._process.wait(seconds)
        except subprocess.TimeoutExpired:
            self._process.kill()
            self._process.wait()
