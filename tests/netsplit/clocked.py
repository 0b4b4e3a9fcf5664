"""``palpo`` by a clock that is wrong: the first argument says by how many milliseconds."""

from __future__ import annotations

import sys
import time

from palpo.cli.main import main
from palpo.streams.clock import SystemClock


def set_clocks(offset_ms: int) -> None:
    """Let every clock of this process be wrong."""

    def now_ms(self: SystemClock) -> int:
        return time.time_ns() // 1_000_000 + offset_ms

    SystemClock.now_ms = now_ms  # type: ignore[method-assign]


if __name__ == "__main__":
    set_clocks(int(sys.argv.pop(1)))
    sys.exit(main())
