"""Caches that share one budget in bytes."""

from __future__ import annotations

import random
from collections import deque
from dataclasses import dataclass

import msgspec
import pytest

from palpo.streams.caches import ENTRY_BYTES, Cache, CacheBudget
from palpo.streams.sizes import deep_size


def of_size(key: object, value: int) -> int:
    """Entries whose value says what they weigh."""
    return value - ENTRY_BYTES


def held(budget: CacheBudget) -> int:
    return sum(cache.bytes for cache in budget.caches)


def test_keeping_the_same_again_costs_nobody_their_place() -> None:
    budget = CacheBudget(100 * 200)
    cache: Cache[int, int] = budget.cache("numbers", of_size)
    cache.keep(dict.fromkeys(range(60), 200))
    for _ in range(1000):
        cache.keep({59: 200})
    assert len(cache) == 60
    assert cache.evictions == 0


def test_what_was_kept_is_found() -> None:
    cache: Cache[str, str] = CacheBudget().cache("names")
    cache.keep({"a": "one", "b": "two"})
    assert cache.touch("a") == "one"
    assert cache.get("b") == "two"
    assert "a" in cache
    assert "c" not in cache
    assert cache.touch("c") is None
    assert sorted(cache) == ["a", "b"]
    assert len(cache) == 2
    assert (cache.hits, cache.misses, cache.evictions) == (2, 1, 0)


def test_all_caches_together_are_within_the_budget() -> None:
    """Whatever is added, used, weighed anew and forgotten, and in whatever order."""
    budget = CacheBudget(50_000)
    caches: list[Cache[int, int]] = [budget.cache(name, of_size) for name in "abc"]
    rng = random.Random(7)
    for step in range(20_000):
        cache, key = rng.choice(caches), rng.randrange(300)
        match rng.randrange(8):
            case 0:
                cache.pop(key)
            case 1 if step % 500 == 0:
                cache.clear()
            case 1 | 2 | 3:
                cache.touch(key)
            case _:
                cache.keep({key: rng.choice((200, 400, 3000))})
        assert budget.bytes == held(budget) <= budget.limit
    assert all(cache.bytes == sum(cache.touch(key) or 0 for key in cache) for cache in caches)
    for cache in caches:
        cache.clear()
    assert budget.bytes == budget.young == 0


def test_what_is_unused_goes_and_what_is_used_stays() -> None:
    budget = CacheBudget(100 * 200)
    cache: Cache[int, int] = budget.cache("numbers", of_size)
    cache.keep({-1: 200})
    for number in range(1000):
        cache.keep({number: 200})
        assert cache.touch(-1) == 200
    assert len(cache) == 100
    assert cache.evictions == 901
    assert all(number in cache for number in range(1000 - 33, 1000))
    assert not any(number in cache for number in range(1000 - 134))


def test_one_cache_makes_room_for_another() -> None:
    budget = CacheBudget(100 * 200)
    idle: Cache[int, int] = budget.cache("idle", of_size)
    busy: Cache[int, int] = budget.cache("busy", of_size)
    idle.keep(dict.fromkeys(range(100), 200))
    busy.keep(dict.fromkeys(range(50), 200))
    assert (len(idle), len(busy)) == (50, 50)
    busy.keep(dict.fromkeys(range(50, 200), 200))
    assert (len(idle), len(busy)) == (0, 100)
    idle.keep(dict.fromkeys(range(200), 200))
    assert (len(idle), len(busy)) == (100, 0)


def test_what_is_used_in_turns_stays_as_long_as_it_fits() -> None:
    budget = CacheBudget(100 * 200)
    caches: list[Cache[int, int]] = [budget.cache(name, of_size) for name in "ab"]
    for cache in caches:
        cache.keep(dict.fromkeys(range(45), 200))
    for _ in range(20):
        for cache in caches:
            assert all(cache.touch(number) for number in range(45))
    caches[0].keep(dict.fromkeys(range(100, 300), 200))
    assert len(caches[0]) + len(caches[1]) == 100


def test_nothing_is_kept_without_a_budget() -> None:
    dropped: list[int] = []
    budget = CacheBudget(0)
    cache: Cache[int, str] = budget.cache("none", dropped=lambda key, value: dropped.append(key))
    cache.keep({1: "x", 2: "y"})
    assert cache.touch(1) is None
    assert len(cache) == budget.bytes == 0
    assert dropped == [1, 2]


def test_what_grows_is_weighed_when_it_is_kept_again() -> None:
    budget = CacheBudget(10_000)
    cache: Cache[str, list[str]] = budget.cache("lists")
    cache.keep({"a": []})
    before = cache.bytes
    cache.keep({"a": ["x" * 1000]})
    assert 1000 < cache.bytes - before < 1200
    assert len(cache) == 1
    cache.keep({"a": ["x" * 20_000]})
    assert len(cache) == cache.bytes == 0


def test_who_is_told_of_dropped_entries_is_not_told_of_others() -> None:
    dropped: list[int] = []
    budget = CacheBudget(3 * 200)
    cache: Cache[int, int] = budget.cache("x", of_size, dropped=lambda key, value: dropped.append(key))
    cache.keep({1: 200, 2: 200, 3: 200})
    cache.keep({1: 200})
    cache.pop(2)
    assert dropped == []
    cache.keep(dict.fromkeys(range(4, 20), 200))
    assert sorted([*dropped, *cache]) == [1, *range(3, 20)]


@dataclass(frozen=True, slots=True)
class Slotted:
    name: str
    rows: list[str]


class Struct(msgspec.Struct, gc=False):
    name: str
    rows: dict[str, str]


@pytest.mark.parametrize(
    ("value", "least", "most"),
    [
        (None, 0, 0),
        (True, 0, 0),
        ("x" * 1000, 1000, 1100),
        (b"x" * 1000, 1000, 1100),
        (["x" * 100] * 10_000, 1_000_000, 1_700_000),
        ({str(number): "x" * 100 for number in range(10_000)}, 1_900_000, 2_700_000),
        (frozenset({("a" * 50, "b" * 50)}), 400, 600),
        (deque(["x" * 1000]), 1500, 2000),
        (Slotted("n" * 500, ["r" * 500]), 1000, 1400),
        (Struct("n" * 500, {"k": "r" * 500}), 1200, 1600),
        (test_what_was_kept_is_found, 0, 0),
    ],
)
def test_what_values_take(value: object, least: int, most: int) -> None:
    assert least <= deep_size(value) <= most


def test_a_cache_keeps_to_its_share() -> None:
    budget = CacheBudget(300 * 200)
    greedy: Cache[int, int] = budget.cache("greedy", of_size, share=1 / 3)
    modest: Cache[int, int] = budget.cache("modest", of_size)
    modest.keep(dict.fromkeys(range(100), 200))
    for number in range(5000):
        greedy.keep({number: 200})
        assert greedy.touch(number) is not None
        assert greedy.touch(0) is not None
        assert greedy.bytes <= 100 * 200
    assert len(modest) == 100
    assert len(greedy) > 60
    assert all(number in greedy for number in range(4970, 5000))


def test_what_is_kept_again_may_be_of_another_group() -> None:
    budget = CacheBudget(10_000)
    cache: Cache[str, int] = budget.cache("test", of_size, group=lambda key, value: value)
    cache.keep({"a": 1, "b": 1})
    cache.keep({"a": 2})
    cache.forget([1])
    assert (cache.touch("a"), cache.touch("b")) == (2, None)
    cache.forget([2])
    assert (len(cache), cache.bytes, budget.bytes, budget.young) == (0, 0, 0, 0)
