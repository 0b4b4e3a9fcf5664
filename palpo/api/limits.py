"""Rate limits: a token bucket per caller and class of endpoint, in memory and bounded."""

from __future__ import annotations

from collections import OrderedDict
from collections.abc import Callable
from ipaddress import IPv6Address, IPv6Network

from palpo.config.model import RateLimit, RateLimits
from palpo.core.errors import LimitExceeded
from palpo.wire.endpoint import Limit

MAX_BUCKETS = 100_000


def origin(address: str) -> str:
    """Whom calls from an IP address are charged to: of IPv6, a network of the size that one customer has."""
    try:
        parsed = IPv6Address(address)
    except ValueError:
        return address
    return str(parsed.ipv4_mapped or IPv6Network((int(parsed), 64), strict=False))


class Limiter:
    """Charges calls to budgets. ``now`` gives seconds that only ever go up."""

    def __init__(self, config: RateLimits, now: Callable[[], float], *, bound: int = MAX_BUCKETS) -> None:
        self._enabled = config.enabled
        self._limits: dict[Limit, RateLimit] = {
            limit: getattr(config, limit.value) for limit in Limit if limit is not Limit.NONE
        }
        self._now = now
        self._bound = bound
        self._full_at: OrderedDict[tuple[Limit, str], float] = OrderedDict()
        """When each bucket will be full again: all that a token bucket needs to remember."""

    def admit(self, limit: Limit, caller: str) -> None:
        """Let a call in, and charge it to its own budget; raises LimitExceeded.

        Who has sent, or been answered, more than their budgets of bytes have waits too.
        """
        if self._enabled:
            self.charge(limit, caller)
            self._check(Limit.READ, caller, 0)
            self._check(Limit.WRITTEN, caller, 0)

    def charge(self, limit: Limit, caller: str, cost: float = 1) -> None:
        """Take ``cost`` from ``caller``'s budget of ``limit``; raises LimitExceeded.

        What costs more than there is left is let in as long as there is something left, and what
        comes next waits the longer: nobody knows before what they ask for how much it is.
        """
        if self._enabled and limit is not Limit.NONE:
            self._check(limit, caller, min(cost, 1))
            self.debit(limit, caller, cost)

    def debit(self, limit: Limit, caller: str, cost: float) -> None:
        """Take ``cost`` from a budget for what was done already; what comes next waits for it."""
        if not self._enabled or limit is Limit.NONE or cost <= 0:
            return
        budget = self._limits[limit]
        now = self._now()
        key = (limit, caller)
        full_at = max(self._full_at.get(key, now), now) + cost / budget.per_second
        # Nobody owes more than a second burst: otherwise one mistake would cost days.
        self._full_at[key] = min(full_at, now + 2 * budget.burst / budget.per_second)
        self._full_at.move_to_end(key)
        if len(self._full_at) > self._bound:
            self._full_at.popitem(last=False)

    def check(self, limit: Limit, caller: str) -> None:
        """Raise LimitExceeded where ``charge`` would, and take nothing."""
        if self._enabled and limit is not Limit.NONE:
            self._check(limit, caller, 1)

    def _check(self, limit: Limit, caller: str, needed: float) -> None:
        full_at = self._full_at.get((limit, caller))
        if full_at is None:
            return
        budget = self._limits[limit]
        over = full_at - self._now() + (needed - budget.burst) / budget.per_second
        if over > 1e-9:
            raise LimitExceeded(retry_after_ms=int(over * 1000) + 1)
