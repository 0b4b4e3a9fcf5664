"""What a person sees while the suite runs: one live line, and a line for each failure."""

from __future__ import annotations

import json
import sys
import time
from collections import Counter
from typing import TextIO

INTERVAL = 10.0


class Progress:
    """Counts ends of tests. On a terminal it redraws one line; elsewhere it prints now and then."""

    def __init__(self, expected: int, stream: TextIO = sys.stdout) -> None:
        self._expected = expected
        self._stream = stream
        self._live = stream.isatty()
        self._counts: Counter[str] = Counter()
        self._running: dict[str, str] = {}
        self._began = self._shown = time.monotonic()

    def event(self, package: str, line: str) -> None:
        """Take one line of a package's event stream."""
        if '"Test"' not in line or '"Action":"output"' in line:
            return
        try:
            event = json.loads(line)
        except ValueError:
            return
        test, action = event.get("Test", ""), event.get("Action", "")
        if action == "run":
            self._running[package] = test
        elif action in ("pass", "fail", "skip"):
            self._counts[action] += 1
            if action == "fail":
                self.say(f"FAIL {package} {test}")
        self._draw()

    def say(self, text: str) -> None:
        """Print a line of its own."""
        clear = "\r\x1b[K" if self._live else ""
        self._stream.write(f"{clear}{text}\n")
        self._stream.flush()

    def finish(self) -> None:
        """Leave the last counts on the screen."""
        self.say(self._summary())

    def _draw(self) -> None:
        now = time.monotonic()
        if now - self._shown < (0.1 if self._live else INTERVAL):
            return
        self._shown = now
        if self._live:
            current = ", ".join(self._running.values())
            self._stream.write(f"\r\x1b[K{self._summary()}  {current}"[:160])
            self._stream.flush()
        else:
            self.say(self._summary())

    def _summary(self) -> str:
        done = self._counts.total()
        seconds = int(time.monotonic() - self._began)
        parts = " ".join(f"{self._counts[word]} {word}" for word in ("pass", "fail", "skip"))
        return f"{seconds // 60:02}:{seconds % 60:02} {done}/{self._expected} {parts}"
