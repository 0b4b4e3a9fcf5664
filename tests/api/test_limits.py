"""Rate limits."""

import pytest

from palpo.api.limits import Limiter, origin
from palpo.config.sections.limits import RateLimit, RateLimits
from palpo.core.errors import LimitExceeded
from palpo.wire.endpoint import Limit

pytestmark = pytest.mark.one_database

LIMITS = RateLimits(message=RateLimit(per_second=2, burst=3))


class Time:
    now = 100.0

    def __call__(self) -> float:
        return self.now


@pytest.mark.parametrize(
    ("address", "charged"),
    [
        ("192.0.2.7", "192.0.2.7"),
        ("2001:db8:1:2:3:4:5:6", "2001:db8:1:2::/64"),
        ("2001:db8:1:2::", "2001:db8:1:2::/64"),
        ("::ffff:192.0.2.7", "192.0.2.7"),
        ("fe80::1%eth0", "fe80::/64"),
        ("", ""),
    ],
)
def test_who_is_behind_an_address(address: str, charged: str) -> None:
    assert origin(address) == charged


def test_a_burst_then_a_steady_rate() -> None:
    time = Time()
    limiter = Limiter(LIMITS, time)
    for _ in range(3):
        limiter.charge(Limit.MESSAGE, "@a")
    with pytest.raises(LimitExceeded) as error:
        limiter.charge(Limit.MESSAGE, "@a")
    assert 0 < error.value.retry_after_ms <= 501
    limiter.charge(Limit.MESSAGE, "@b")
    time.now += 0.5
    limiter.charge(Limit.MESSAGE, "@a")
    with pytest.raises(LimitExceeded):
        limiter.charge(Limit.MESSAGE, "@a")
    time.now += 60
    for _ in range(3):
        limiter.charge(Limit.MESSAGE, "@a")


def test_memory_is_bounded_and_limits_can_be_off() -> None:
    limiter = Limiter(LIMITS, Time(), bound=10)
    for number in range(1000):
        limiter.charge(Limit.MESSAGE, f"@{number}")
    assert len(limiter._buckets) == 10
    off = Limiter(RateLimits(enabled=False), Time())
    for _ in range(1000):
        off.charge(Limit.LOGIN, "@a")


def test_what_costs_more_makes_others_wait_longer() -> None:
    time = Time()
    limiter = Limiter(LIMITS, time)
    limiter.charge(Limit.MESSAGE, "@a", 4.5)
    with pytest.raises(LimitExceeded) as error:
        limiter.charge(Limit.MESSAGE, "@a", 0.5)
    assert 990 < error.value.retry_after_ms <= 1001
    time.now += 1
    limiter.charge(Limit.MESSAGE, "@a", 0.5)


def test_a_debt_has_a_bound() -> None:
    time = Time()
    limiter = Limiter(LIMITS, time)
    for _ in range(10):
        limiter.debit(Limit.MESSAGE, "@a", 1e9)
    time.now += 2.1
    limiter.charge(Limit.MESSAGE, "@a")


def test_looking_takes_nothing() -> None:
    limiter = Limiter(LIMITS, Time())
    for _ in range(10):
        limiter.check(Limit.MESSAGE, "@a")
    limiter.debit(Limit.MESSAGE, "@a", 3)
    with pytest.raises(LimitExceeded):
        limiter.check(Limit.MESSAGE, "@a")
    limiter.check(Limit.MESSAGE, "@b")


def test_bytes_have_budgets_beside_the_calls() -> None:
    time = Time()
    limits = RateLimits(written=RateLimit(per_second=10, burst=100), read=RateLimit(per_second=10, burst=100))
    limiter = Limiter(limits, time)
    limiter.charge(Limit.WRITTEN, "@a", 105)
    limiter.admit(Limit.MESSAGE, "@b")
    with pytest.raises(LimitExceeded):
        limiter.admit(Limit.MESSAGE, "@a")
    time.now += 1
    limiter.admit(Limit.MESSAGE, "@a")
    limiter.debit(Limit.READ, "@a", 150)
    with pytest.raises(LimitExceeded) as error:
        limiter.admit(Limit.MESSAGE, "@a")
    assert 4990 < error.value.retry_after_ms <= 5001
    limiter.admit(Limit.MESSAGE, "@b")
    time.now += 5.1
    limiter.admit(Limit.MESSAGE, "@a")
