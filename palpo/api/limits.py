"""Rate limits: a token bucket per caller and class of endpoint, in memory and bounded."""

from __future__ import annotations

from collections.abc import Callable
from functools import lru_cache
from ipaddress import IPv6Address, IPv6Network

from palpo.config.sections.limits import RateLimit, RateLimits
from palpo.core.errors import LimitExceeded
from palpo.streams.token_buckets import TokenBuckets
from palpo.wire.endpoint import Limit

MAX_BUCKETS = 100_000
OF_BYTES = frozenset((Limit.READ, Limit.WRITTEN, Limit.FEDERATION_WRITTEN))
"""Budgets that are not of calls."""


@lru_cache(maxsize=4096)
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
        self._buckets: TokenBuckets[tuple[Limit, str]] = TokenBuckets(now, most=bound)
        self.configure(config)

    def configure(self, config: RateLimits) -> None:
        """Go by other budgets from now on."""
        self._enabled = config.enabled
        self._limits: dict[Limit, RateLimit] = {
            limit: getattr(config, limit.value) for limit in Limit if limit is not Limit.NONE
        }

    def admit(self, limit: Limit, caller: str, own: RateLimit | None = None) -> None:
        """Let a call in, and charge it to its own budget; raises LimitExceeded.

        ``own`` is what the caller may do in place of what the configuration says, but for bytes. Who has
        sent, or been answered, more than their budgets of bytes have waits too.
        """
        if self._enabled:
            self.charge(limit, caller, own=own)
            self._check(Limit.READ, caller, 0)
            self._check(Limit.WRITTEN, caller, 0)
            self._check(Limit.FEDERATION_WRITTEN, caller, 0)

    def charge(self, limit: Limit, caller: str, cost: float = 1, *, own: RateLimit | None = None) -> None:
        """Take ``cost`` from ``caller``'s budget of ``limit``; raises LimitExceeded.

        What costs more than there is left is let in as long as there is something left, and what
        comes next waits the longer: nobody knows before what they ask for how much it is.
        """
        if self._enabled and limit is not Limit.NONE:
            self._check(limit, caller, min(cost, 1), own)
            self.debit(limit, caller, cost, own=own)

    def debit(self, limit: Limit, caller: str, cost: float, *, own: RateLimit | None = None) -> None:
        """Take ``cost`` from a budget for what was done already; what comes next waits for it."""
        if self._enabled and limit is not Limit.NONE and cost > 0:
            self._buckets.take((limit, caller), self._budget(limit, own), cost)

    def check(self, limit: Limit, caller: str, *, own: RateLimit | None = None) -> None:
        """Raise LimitExceeded where ``charge`` would, and take nothing."""
        if self._enabled and limit is not Limit.NONE:
            self._check(limit, caller, 1, own)

    def _budget(self, limit: Limit, own: RateLimit | None) -> RateLimit:
        return self._limits[limit] if own is None or limit in OF_BYTES else own

    def _check(self, limit: Limit, caller: str, needed: float, own: RateLimit | None = None) -> None:
        missing_s = self._buckets.missing_s((limit, caller), self._budget(limit, own), needed)
        if missing_s:
            raise LimitExceeded(retry_after_ms=int(missing_s * 1000) + 1)
