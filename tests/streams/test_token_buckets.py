"""Token buckets."""

from __future__ import annotations

import pytest

from palpo.config.sections.limits import RateLimit
from palpo.streams.token_buckets import TokenBuckets

BUDGET = RateLimit(per_second=2, burst=3)


class Time:
    now = 1_700_000_000.1

    def __call__(self) -> float:
        return self.now


def test_a_bucket_fills_up_again() -> None:
    time = Time()
    buckets: TokenBuckets[str] = TokenBuckets(time, most=10)
    for _ in range(3):
        assert buckets.missing_s("a", BUDGET, 1) == 0
        buckets.take("a", BUDGET, 1)
    assert buckets.missing_s("a", BUDGET, 1) == pytest.approx(0.5, abs=1e-5)
    assert buckets.missing_s("b", BUDGET, 1) == 0
    time.now += 0.5
    assert buckets.missing_s("a", BUDGET, 1) == 0


def test_what_was_taken_for_nothing_is_given_back() -> None:
    buckets: TokenBuckets[str] = TokenBuckets(Time(), most=10)
    buckets.take("a", BUDGET, 3)
    buckets.give_back("a", BUDGET, 1)
    buckets.give_back("nobody", BUDGET, 1)
    assert buckets.missing_s("a", BUDGET, 1) == 0
    assert buckets.missing_s("a", BUDGET, 2) > 0


def test_nobody_owes_more_than_a_second_burst() -> None:
    buckets: TokenBuckets[str] = TokenBuckets(Time(), most=10)
    buckets.take("a", BUDGET, 1_000_000)
    assert buckets.missing_s("a", BUDGET, 1) == pytest.approx((3 + 1) / 2, abs=1e-5)


def test_memory_is_bounded() -> None:
    buckets: TokenBuckets[int] = TokenBuckets(Time(), most=10)
    for number in range(1000):
        buckets.take(number, BUDGET, 3)
    assert len(buckets) == 10
    assert buckets.missing_s(999, BUDGET, 1) > 0
    assert buckets.missing_s(0, BUDGET, 1) == 0
