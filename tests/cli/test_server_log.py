"""The log of a real server: whatever becomes of its reader, requests are answered."""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
import time
from collections.abc import Iterator
from contextlib import closing, contextmanager
from http.client import HTTPConnection
from pathlib import Path
from typing import Any

import httpx
import pytest

from tests.support.forked import Forked
from tests.support.process import START_SECONDS, free_port

CONFIGURATION = """\
server_name = "test.example"
data = "{data}"
[[listeners]]
bind = "127.0.0.1:{port}"
[http]
engine = "{engine}"
[registration]
open = true
[rate_limits]
enabled = false
[password]
time_cost = 1
memory_kib = 8
[log]
format = "{format}"
held_ms = {held_ms}
"""
REQUESTS = 3000
"""Each has a line of some 250 bytes; a pipe holds 64 KiB of them."""
LONG = 60.0


class Server:
    """``palpo serve``, with a standard error that the test has made."""

    def __init__(
        self,
        folder: Path,
        stderr: Any,
        *,
        engine: str = "hypercorn",
        format: str = "json",
        held_ms: str = "0",
    ) -> None:
        self.port = free_port()
        self.url = f"http://127.0.0.1:{self.port}"
        file = folder / "palpo.toml"
        file.write_text(
            CONFIGURATION.format(
                data=folder / "data", port=self.port, engine=engine, format=format, held_ms=held_ms
            )
        )
        self.process = Forked(["serve", "--config", str(file)], stdout=stderr, stderr=stderr)
        deadline = time.monotonic() + START_SECONDS
        while time.monotonic() < deadline:
            assert self.process.poll() is None
            try:
                if httpx.get(f"{self.url}/_palpo/health").status_code == 200:
                    return
            except httpx.TransportError:
                time.sleep(0.05)
        raise AssertionError("no answer")

    def ask(self, count: int, path: str = "account/whoami", status: int = 401) -> None:
        """So many requests, each with a line in the log, each answered."""
        connection = HTTPConnection("127.0.0.1", self.port, timeout=LONG)
        with closing(connection):
            for _ in range(count):
                connection.request("GET", f"/_matrix/client/v3/{path}")
                answer = connection.getresponse()
                answer.read()
                assert answer.status == status

    def dropped(self) -> int:
        """What the metrics say."""
        text = httpx.get(f"{self.url}/_palpo/metrics").text
        (line,) = (line for line in text.splitlines() if line.startswith("palpo_log_lines_dropped_total "))
        return int(float(line.split()[1]))

    def drops(self, count: int) -> None:
        """Wait until so many lines have been dropped: that is a little later than the answers."""
        deadline = time.monotonic() + LONG
        while self.dropped() < count:
            assert time.monotonic() < deadline
            time.sleep(0.02)

    def stop(self) -> int:
        self.process.send_signal(signal.SIGTERM)
        return self.process.wait(LONG)


@contextmanager
def server(folder: Path, stderr: Any, **options: str) -> Iterator[Server]:
    running = Server(folder, stderr, **options)
    try:
        yield running
    finally:
        running.process.kill()
        running.process.wait()


@pytest.mark.parametrize(("engine", "format"), [("hypercorn", "json"), ("uvicorn", "text")])
def test_a_reader_that_hangs(tmp_path: Path, engine: str, format: str) -> None:
    reader, writer = os.pipe()
    with server(tmp_path, writer, engine=engine, format=format) as running:
        os.close(writer)
        # Enough to fill the pipe, and then the queue: what is kept there is bounded too.
        running.ask(1200, "x" * 6000, 404)
        running.ask(100)
        assert running.dropped() > 100
        assert running.stop() == 0
    os.close(reader)


def test_a_reader_that_comes_back(tmp_path: Path) -> None:
    reader, writer = os.pipe()
    with server(tmp_path, writer) as running:
        os.close(writer)
        running.ask(REQUESTS)
        assert running.dropped() == 0
        os.set_blocking(reader, False)
        got = ""
        deadline = time.monotonic() + LONG
        while got.count('"event":"request"') < REQUESTS or not got.endswith("\n"):
            assert time.monotonic() < deadline
            try:
                got += os.read(reader, 1 << 20).decode()
            except BlockingIOError:
                time.sleep(0.01)
        assert all(json.loads(line) for line in got.splitlines())
    os.close(reader)


def test_a_reader_that_has_ended(tmp_path: Path) -> None:
    reader, writer = os.pipe()
    with server(tmp_path, writer) as running:
        os.close(writer)
        os.close(reader)
        running.ask(100)
        running.drops(100)
        assert running.stop() == 0


def test_a_full_disk(tmp_path: Path) -> None:
    with open("/dev/full", "ab") as full, server(tmp_path, full) as running:
        running.ask(100)
        running.drops(100)
        assert running.stop() == 0


def test_a_standard_error_that_is_closed(tmp_path: Path) -> None:
    """What is opened next must not take its number, or it would be written into."""
    file, port = tmp_path / "palpo.toml", free_port()
    data = tmp_path / "data"
    file.write_text(CONFIGURATION.format(data=data, port=port, engine="hypercorn", format="json", held_ms=0))
    command = f"exec {sys.executable} -m palpo.cli.main serve --config {file} 0<&- 1>&- 2>&-"
    process = subprocess.Popen(["sh", "-c", command])
    try:
        deadline = time.monotonic() + START_SECONDS
        while time.monotonic() < deadline:
            assert process.poll() is None
            try:
                if httpx.get(f"http://127.0.0.1:{port}/_palpo/health").status_code == 200:
                    break
            except httpx.TransportError:
                time.sleep(0.05)
        for number in range(3):
            assert os.readlink(f"/proc/{process.pid}/fd/{number}") == os.devnull
    finally:
        process.kill()
        process.wait()


@pytest.mark.parametrize("format", ["json", "text"])
def test_what_holds_the_event_loop(tmp_path: Path, format: str) -> None:
    """Each time, and not the first time only."""
    file = tmp_path / "log"
    with file.open("wb") as log, server(tmp_path, log, format=format, held_ms="1") as running:
        deadline = time.monotonic() + LONG
        while file.read_text().count("event_loop_held") < 3:
            assert time.monotonic() < deadline, file.read_text()
            httpx.get(f"{running.url}/_palpo/account/login", timeout=LONG)
        assert running.stop() == 0
    assert "frames" in file.read_text()
    assert "Traceback" not in file.read_text()


@pytest.mark.parametrize("format", ["json", "text"])
def test_what_libraries_and_crashes_say_comes_out_too(tmp_path: Path, format: str) -> None:
    program = (
        "import logging, sys, threading, warnings\n"
        "from palpo.cli.logs import start_log_writer\n"
        "from palpo.config.model import LogConfig\n"
        f"start_log_writer(LogConfig(format={format!r}))\n"
        "logging.getLogger('library').warning('from a %s', 'library')\n"
        "warnings.warn('old ways')\n"
        "thread = threading.Thread(target=lambda: 1 / 0); thread.start(); thread.join()\n"
        "print('printed', file=sys.stderr)\n"
        "raise LookupError('the end')\n"
    )
    done = subprocess.run([sys.executable, "-c", program], capture_output=True, text=True, timeout=LONG)
    assert done.returncode == 1
    for said in ("from a library", "old ways", "ZeroDivisionError", "printed", "LookupError: the end"):
        assert said in done.stderr
    if format == "json":
        lines = [json.loads(line) for line in done.stderr.splitlines() if line != "printed"]
        assert [line["level"] for line in lines] == ["warning", "warning", "critical", "critical"]
