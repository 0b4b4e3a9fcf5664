"""Servers that have just failed to answer: they are not asked again at once.

It is only remembered in memory: after a restart each is asked once more.
"""

from __future__ import annotations

from collections import OrderedDict

from palpo.streams.clock import Clock

FIRST_S = 1.0
LONGEST_S = 60.0
"""How long a server is left alone, after its first failure and at most."""
REMEMBERED = 10_000
"""Servers; those that failed longest ago are forgotten first."""


class AwayServers:
    """Remembers which they are, and since when."""

    def __init__(self, clock: Clock) -> None:
        self._clock = clock
        self._failures: OrderedDict[str, tuple[int, float]] = OrderedDict()
        """How often each has failed in a row, and until when it is left alone, in the clock's seconds."""

    def is_away(self, server: str) -> bool:
        """Whether a server is to be left alone."""
        _, until_s = self._failures.get(server, (0, 0.0))
        return self._clock.elapsed_s() < until_s

    def failed(self, server: str) -> None:
        """Note that a server did not answer."""
        failures, _ = self._failures.pop(server, (0, 0.0))
        pause_s = min(FIRST_S * 2.0 ** min(failures, 16), LONGEST_S)
        self._failures[server] = failures + 1, self._clock.elapsed_s() + pause_s
        while len(self._failures) > REMEMBERED:
            self._failures.popitem(last=False)

    def heard_from(self, server: str) -> None:
        """Note that a server is there."""
        self._failures.pop(server, None)
