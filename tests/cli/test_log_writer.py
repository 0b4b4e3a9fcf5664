"""Lines on their way to a reader who hangs, who ends, or who has no room."""

from __future__ import annotations

import os
import re
import time
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest
from prometheus_client import CollectorRegistry

from palpo.cli.log_writer import QUEUE_CHARACTERS, LogWriter

PATIENCE = 20.0
NOTE = re.compile(r"(\d+) lines dropped")


def made(file: Path, queue: int = QUEUE_CHARACTERS) -> LogWriter:
    return LogWriter(file, dropped_line=lambda count: f"{count} lines dropped\n", queue=queue)


def until(what: Callable[[], bool]) -> None:
    deadline = time.monotonic() + PATIENCE
    while not what():
        assert time.monotonic() < deadline
        time.sleep(0.01)


@pytest.fixture
def pipe(tmp_path: Path) -> Iterator[tuple[Path, int]]:
    """A named pipe, and a descriptor to read it by."""
    path = tmp_path / "pipe"
    os.mkfifo(path)
    reader = os.open(path, os.O_RDONLY | os.O_NONBLOCK)
    yield path, reader
    os.close(reader)


def read(reader: int) -> str:
    """What can be read at the moment."""
    try:
        return os.read(reader, 1 << 20).decode()
    except BlockingIOError:
        return ""


def test_lines_arrive_in_order_and_a_close_waits_for_them(tmp_path: Path) -> None:
    writer = made(tmp_path / "log")
    for number in range(5000):
        writer.write(f"line {number}\n")
    writer.close()
    assert (tmp_path / "log").read_text().splitlines() == [f"line {number}" for number in range(5000)]
    writer.write("too late\n")
    assert "late" not in (tmp_path / "log").read_text()
    assert writer.dropped == 1


def test_a_reader_that_hangs(pipe: tuple[Path, int]) -> None:
    path, reader = pipe
    writer = made(path, queue=10_000)
    registry = CollectorRegistry()
    writer.register(registry)
    line = "x" * 99 + "\n"
    # 64 KiB fit in the pipe, and the rest into the queue, of what is written at once.
    for _ in range(10):
        for _ in range(1000):
            writer.write(line)
        time.sleep(0.05)
    dropped = writer.dropped
    assert dropped > 1000
    assert registry.get_sample_value("palpo_log_lines_dropped_total") == dropped
    got = ""

    def accounted() -> int:
        lines = got.splitlines()
        told = sum(int(found[1]) for found in map(NOTE.fullmatch, lines) if found)
        return lines.count(line.strip()) + told

    def arrived() -> bool:
        nonlocal got
        got += read(reader)
        return accounted() == 10_000

    until(arrived)
    assert set(NOTE.sub("", got).split()) == {line.strip()}
    writer.write("goes on\n")
    writer.close()
    assert read(reader) == "goes on\n"
    assert writer.dropped == dropped


def test_a_stop_does_not_wait_for_a_reader_that_hangs(pipe: tuple[Path, int]) -> None:
    writer = made(pipe[0])
    for _ in range(100):
        writer.write("x" * 10_000 + "\n")
    writer.close(0.2)
    writer.drain(PATIENCE)


def test_a_reader_that_has_ended(tmp_path: Path) -> None:
    path = tmp_path / "pipe"
    os.mkfifo(path)
    reader = os.open(path, os.O_RDONLY | os.O_NONBLOCK)
    writer = made(path)
    writer.write("heard\n")
    writer.drain(PATIENCE)
    assert read(reader) == "heard\n"
    os.close(reader)
    for _ in range(7):
        writer.write("lost\n")
    writer.drain(PATIENCE)
    assert writer.dropped == 7
    reader = os.open(path, os.O_RDONLY | os.O_NONBLOCK)
    writer.write("back\n")
    writer.close()
    assert read(reader) == "7 lines dropped\nback\n"
    os.close(reader)


def test_a_full_disk(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """It takes half a line, then nothing; when there is room again, nobody's line is glued to that half."""
    room = 9
    real = os.write

    def write(descriptor: int, data: bytes) -> int:
        nonlocal room
        if room <= 0:
            raise OSError(28, "No space left on device")
        written = real(descriptor, data[:room])
        room -= written
        return written

    monkeypatch.setattr("os.write", write)
    writer = made(tmp_path / "log")
    writer.write("first\nsecond\n")
    writer.write("third\n")
    writer.drain(PATIENCE)
    room = 1000
    writer.write("fourth\n")
    writer.close()
    assert (tmp_path / "log").read_text() == "first\nsec\n2 lines dropped\nfourth\n"


def test_a_device_that_is_full() -> None:
    writer = made(Path("/dev/full"))
    writer.write("lost\n")
    writer.close()
    assert writer.dropped == 1


def test_a_file_that_was_moved_away_is_made_anew(tmp_path: Path) -> None:
    log = tmp_path / "log"
    writer = made(log)
    writer.write("before\n")
    writer.drain(PATIENCE)
    log.rename(tmp_path / "log.1")
    writer.write("still the old one\n")
    writer.drain(PATIENCE)
    writer.reopen()
    writer.write("after\n")
    writer.close()
    assert (tmp_path / "log.1").read_text() == "before\nstill the old one\n"
    assert log.read_text() == "after\n"
    assert log.stat().st_mode & 0o777 == 0o600


def test_half_a_surrogate_pair(tmp_path: Path) -> None:
    writer = made(tmp_path / "log")
    writer.write("\ud800\n")
    writer.close()
    assert (tmp_path / "log").read_text() == "\\ud800\n"
