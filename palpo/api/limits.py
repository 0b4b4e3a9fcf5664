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

    def charge(self, limit: Limit, caller: str) -> None:
        """Take one call from ``caller``'s budget of ``limit``; raises LimitExceeded."""
        if not self._enabled or limit is Limit.NONE:
            return
        budget = self._limits[limit]
        now = self._now()
        cost = 1 / budget.per_second
        key = (limit, caller)
        full_at = max(self._full_at.get(key, now), now) + cost
        over = full_at - now - budget.burst * cost
        if over > 1e-9:
            raise LimitExceeded(retry_after_ms=int(over * 1000) + 1)
        self._full_at[key] = full_at
        self._full_at.move_to_end(key)
        if len(self._full_at) > self._bound:
            self._full_at.popitem(last=False)
