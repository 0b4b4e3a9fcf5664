"""How long to wait after one failure after the other."""

from __future__ import annotations

import random
from collections.abc import Iterator


def pauses(first_s: float, longest_s: float) -> Iterator[float]:
    """Seconds, twice as many each time; less up to a quarter, so that not all come back together."""
    pause_s = first_s
    while True:
        yield pause_s * random.uniform(0.75, 1)
        pause_s = min(2 * pause_s, longest_s)
