"""Token buckets: budgets that are spent in bursts and fill up again at a steady rate."""

from __future__ import annotations

from collections import OrderedDict
from collections.abc import Callable, Hashable
from typing import Generic, TypeVar

from palpo.config.sections.limits import RateLimit

K = TypeVar("K", bound=Hashable)

ROUNDING_S = 1e-6


class TokenBuckets(Generic[K]):
    """A bucket for each key, in memory: what was longest unused is forgotten, which makes it full.

    All that a bucket needs to remember is when it will be full again. ``now`` gives seconds that only ever
    go up.
    """

    def __init__(self, now: Callable[[], float], *, most: int) -> None:
        self._now = now
        self._most = most
        self._full_at: OrderedDict[K, float] = OrderedDict()

    def __len__(self) -> int:
        return len(self._full_at)

    def missing_s(self, key: K, budget: RateLimit, needed: float) -> float:
        """Seconds until a bucket has ``needed``; 0 where it has."""
        full_at = self._full_at.get(key)
        if full_at is None:
            return 0.0
        over = full_at - self._now() + (needed - budget.burst) / budget.per_second
        return over if over > ROUNDING_S else 0.0

    def take(self, key: K, budget: RateLimit, cost: float) -> None:
        """Take ``cost`` from a bucket, whether or not it has that; what comes next waits for it."""
        now = self._now()
        full_at = max(self._full_at.get(key, now), now) + cost / budget.per_second
        # Nobody owes more than a second burst: otherwise one mistake would cost days.
        self._full_at[key] = min(full_at, now + 2 * budget.burst / budget.per_second)
        self._full_at.move_to_end(key)
        if len(self._full_at) > self._most:
            self._full_at.popitem(last=False)

    def give_back(self, key: K, budget: RateLimit, amount: float) -> None:
        """Put back what was taken for nothing."""
        if key in self._full_at:
            self._full_at[key] -= amount / budget.per_second
