"""Log lines on their way out: a bounded queue, and a thread that writes, so that nobody waits for a reader.

A pipe that nobody reads, a reader that has ended and a full disk cost lines, never requests. What is dropped
is counted, and told in a line of its own as soon as lines get through again.
"""

from __future__ import annotations

import os
import select
import threading
import time
from collections.abc import Callable, Iterator, Sequence
from itertools import accumulate
from pathlib import Path

from prometheus_client import CollectorRegistry
from prometheus_client.metrics_core import CounterMetricFamily, Metric

QUEUE_CHARACTERS = 4 * 1024 * 1024
"""What waits at most; lines beyond it are dropped."""
CHUNK = 64 * 1024
"""Bytes of one write."""
GATHER_SECONDS = 0.02
"""How long a line waits for others, so that many cost one wake-up."""
FLUSH_SECONDS = 1.0
"""How long a stop waits for the reader."""
STANDARD_ERROR = 2


class LogWriter:
    """Writes lines to standard error, or to ``file``, from a thread of its own.

    ``dropped_line`` makes the line that tells how many were dropped; ``queue`` is how many characters wait
    at most. Raises OSError where ``file`` cannot be opened.
    """

    def __init__(
        self, file: Path | None, *, dropped_line: Callable[[int], str], queue: int = QUEUE_CHARACTERS
    ) -> None:
        self._file = file
        self._descriptor = STANDARD_ERROR if file is None else _open(file)
        self._dropped_line = dropped_line
        self._changed = threading.Condition()
        self._waiting: list[str] = []
        self._queue = queue
        self._size = 0
        self._overflow = 0
        """Lines that found the queue full since it was last taken."""
        self._unreported = 0
        self._torn = False
        """Whether the last write ended within a line."""
        self._busy = False
        self._closing = False
        self.dropped = 0
        """All lines that were dropped so far."""
        self._thread = threading.Thread(target=self._run, name="log-writer", daemon=True)
        self._thread.start()

    def write(self, text: str) -> int:
        """Queue ``text``, whole lines; or drop it."""
        with self._changed:
            if self._closing or self._size + len(text) > self._queue:
                self._overflow += 1
                self.dropped += 1
                return len(text)
            self._waiting.append(text)
            self._size += len(text)
            if len(self._waiting) == 1:
                self._changed.notify_all()
        return len(text)

    def flush(self) -> None:
        """Nothing: lines are never waited for. See ``drain``."""

    def isatty(self) -> bool:
        """Whether a person reads along."""
        return os.isatty(self._descriptor)

    def drain(self, seconds: float = FLUSH_SECONDS) -> None:
        """Wait until what is queued has been written, but no longer than ``seconds``."""
        with self._changed:
            self._changed.wait_for(lambda: self._closing or not (self._waiting or self._busy), seconds)

    def close(self, seconds: float = FLUSH_SECONDS) -> None:
        """Write what is queued if that takes no longer than ``seconds``; later lines are dropped."""
        with self._changed:
            self._closing = True
            self._changed.notify_all()
        self._thread.join(seconds)

    def reopen(self) -> None:
        """Open the file anew, which somebody may have moved away; raises OSError."""
        if self._file is not None:
            opened = _open(self._file)
            try:
                # What is being written at this moment still gets to the old file.
                os.dup2(opened, self._descriptor, inheritable=False)
            finally:
                os.close(opened)

    def register(self, registry: CollectorRegistry) -> None:
        """Count what is dropped in the metrics."""
        registry.register(self)

    def collect(self) -> Iterator[Metric]:
        """What Prometheus is told."""
        yield CounterMetricFamily(
            "palpo_log_lines_dropped", "Log lines that nobody read in time.", value=self.dropped
        )

    def _run(self) -> None:
        while True:
            with self._changed:
                self._busy = False
                self._changed.notify_all()
                self._changed.wait_for(lambda: self._waiting or self._overflow or self._closing)
                closing = self._closing
            if not closing:
                time.sleep(GATHER_SECONDS)
            with self._changed:
                self._busy = True
                lines, self._waiting, self._size = self._waiting, [], 0
                overflow, self._overflow = self._overflow, 0
            self._tell_dropped()
            lost = self._put(lines)
            with self._changed:
                self.dropped += lost
            self._unreported += lost + overflow
            self._tell_dropped()
            if closing:
                return

    def _tell_dropped(self) -> None:
        if self._unreported and not self._put([self._dropped_line(self._unreported)]):
            self._unreported = 0

    def _put(self, lines: Sequence[str]) -> int:
        """Write ``lines``; how many of them did not get through."""
        encoded = [line.encode("utf-8", "backslashreplace") for line in lines]
        if encoded and self._torn:
            encoded[0] = b"\n" + encoded[0]
        written = self._write(b"".join(encoded))
        ends = list(accumulate(map(len, encoded)))
        through = sum(end <= written for end in ends)
        if written:
            self._torn = written not in ends
        return len(lines) - through

    def _write(self, data: bytes) -> int:
        """Write ``data``, however long that takes; how much of it got through."""
        written = 0
        while written < len(data):
            try:
                written += os.write(self._descriptor, data[written : written + CHUNK])
            except BlockingIOError:
                # Somebody else made the terminal or pipe non-blocking: they share it with us.
                select.select([], [self._descriptor], [], 1.0)
            except OSError:
                break
        return written


class WriterStream:
    """A LogWriter as ``sys.stderr``: to flush it is to wait a moment, as at a process's end."""

    def __init__(self, writer: LogWriter) -> None:
        self.write = writer.write
        self.flush = writer.drain
        self.isatty = writer.isatty


def _open(file: Path) -> int:
    return os.open(file, os.O_WRONLY | os.O_APPEND | os.O_CREAT | os.O_CLOEXEC, 0o600)
