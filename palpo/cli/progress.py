"""How far long work has come, on standard error: a line that changes on a terminal, else one now and then."""

from __future__ import annotations

import sys
import time
from types import TracebackType
from typing import Self

LOOK_SECONDS = 0.2
LINE_SECONDS = 10.0
"""Between two lines where there is no terminal."""


class Progress:
    """What is shown while work goes on; leaving it ends the line."""

    def __init__(self) -> None:
        self._live = sys.stderr.isatty()
        self._last = time.monotonic()
        self._shown = False

    def told(self, done: str, what: str, number: int, total: int) -> None:
        """``number`` of ``total`` of something are ``done``."""
        now = time.monotonic()
        if now - self._last < (LOOK_SECONDS if self._live else LINE_SECONDS):
            return
        self._last, self._shown = now, True
        percent = 100 * number // max(total, 1)
        line = f"{done} {what}: {number} of {total} ({percent} %)"
        sys.stderr.write(f"\r\033[K{line}" if self._live else f"{line}\n")
        sys.stderr.flush()

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        if self._live and self._shown:
            sys.stderr.write("\r\033[K")
            sys.stderr.flush()
