"""What is read while it changes is its reader's, and not kept; what did not change meanwhile is."""

from __future__ import annotations

from contextlib import ExitStack
from dataclasses import dataclass, field

import pytest
from hypothesis import settings
from hypothesis import strategies as st
from hypothesis.stateful import Bundle, RuleBasedStateMachine, consumes, invariant, multiple, rule

from palpo.db.engine import Commit
from palpo.streams import topics
from palpo.streams.cache_guard import CacheGuard
from palpo.streams.caches import Cache, CacheBudget, Reading
from palpo.streams.wakeups import Wakeups

KEYS = "abcde"
NAMES = [letter + digit for letter in KEYS for digit in "12"]


async def test_a_value_is_read_once() -> None:
    reads: list[str] = []

    async def read() -> str:
        reads.append("read")
        return ""

    cache: Cache[str, str] = CacheBudget().cache("names")
    assert [await cache.get_or_read("a", read) for _ in range(3)] == [""] * 3
    assert reads == ["read"]


async def test_who_reads_is_given_what_was_overtaken() -> None:
    cache: Cache[str, int] = CacheBudget().cache("numbers")

    async def read() -> int:
        cache.forget({"a"})
        return 1

    assert await cache.get_or_read("a", read) == 1
    assert "a" not in cache


def test_a_change_of_another_key_keeps_nothing_out() -> None:
    cache: Cache[str, int] = CacheBudget().cache("numbers")
    with cache.reading() as reading:
        cache.forget({"a"})
        assert not reading.keep({"a": 1, "b": 2})
    assert list(cache) == ["b"]


def test_a_change_before_the_read_keeps_nothing_out() -> None:
    cache: Cache[str, int] = CacheBudget().cache("numbers")
    with cache.reading():
        cache.forget({"a"})
        with cache.reading() as later:
            assert later.keep({"a": 1})
    assert cache.touch("a") == 1


def test_a_read_that_failed_is_forgotten() -> None:
    cache: Cache[str, int] = CacheBudget().cache("numbers")
    with pytest.raises(LookupError), cache.reading():
        raise LookupError
    cache.forget({"a"})
    assert cache._guard._changed == {}


def test_of_too_many_changes_none_is_told_from_another() -> None:
    cache: Cache[int, int] = CacheBudget().cache("numbers")
    cache._guard = CacheGuard(max_changes=10)
    with cache.reading() as reading:
        for number in range(100):
            cache.forget({number})
            assert len(cache._guard._changed) <= 10
        assert not reading.keep({1000: 1, 99: 1})
        with cache.reading() as later:
            assert later.keep({99: 1})


def test_a_commit_makes_a_cache_forget() -> None:
    wakeups, cache = Wakeups(), CacheBudget().cache("numbers")
    wakeups.listen(topics.ROOM, cache.forget)
    cache.keep({"a": 1, "b": 2, "c": 3})
    wakeups.on_commit(Commit(position=1, topics={topics.ROOM: {"a"}, topics.USER: {"b"}}))
    assert sorted(cache) == ["b", "c"]
    wakeups.on_commit(Commit(position=2, topics={topics.USER: {"c"}}, since=1))
    assert sorted(cache) == ["b", "c"]
    wakeups.on_commit(Commit(position=3, all_topics=True))
    assert list(cache) == []


def test_groups_are_forgotten_together() -> None:
    budget = CacheBudget()
    cache: Cache[str, str] = budget.cache("tokens", group=lambda token, user: user)
    cache.keep({"t1": "a", "t2": "a", "t3": "b"})
    with cache.reading() as reading:
        cache.forget({"a"})
        reading.keep({"t4": "a", "t5": "b"})
    assert sorted(cache) == ["t3", "t5"]
    assert cache.of_group("a") == []
    assert sorted(cache.of_group("b")) == ["t3", "t5"]
    cache.clear()
    assert (cache.of_group("b"), budget.bytes) == ([], 0)


def test_what_made_room_is_in_no_group() -> None:
    cache: Cache[int, int] = CacheBudget(5000).cache("numbers", group=lambda key, value: key % 3)
    cache.keep({number: number for number in range(1000)})
    assert 0 < len(cache) < 20
    assert sorted(key for group in range(3) for key in cache.of_group(group)) == sorted(cache)


@dataclass
class ARead:
    """A read that goes on: what it has found, and when it began."""

    reading: Reading[str, int]
    stack: ExitStack
    found: dict[str, int]
    overtaken: set[str] = field(default_factory=set)


class Reads(RuleBasedStateMachine):
    """Reads and changes in any order; commits are heard of late, in any order, and more than once.

    The cache is by name, and told of changes by its first letter: names of one letter change together.
    """

    reads = Bundle("reads")
    hints = Bundle("hints")

    def __init__(self) -> None:
        super().__init__()
        self.stored = dict.fromkeys(NAMES, -1)
        self.letters: list[str] = []
        """Of each change, by number."""
        self.unheard: set[int] = set()
        self.going_on: list[ARead] = []
        self.cache: Cache[str, int] = CacheBudget().cache("numbers", group=lambda key, value: key[0])

    @rule(target=reads, names=st.sets(st.sampled_from(NAMES), min_size=1))
    def begin(self, names: set[str]) -> ARead:
        stack = ExitStack()
        reading = stack.enter_context(self.cache.reading())
        read = ARead(reading, stack, {name: self.stored[name] for name in sorted(names)})
        self.going_on.append(read)
        return read

    @rule(target=hints, letter=st.sampled_from(KEYS))
    def change(self, letter: str) -> int:
        number = len(self.letters)
        self.letters.append(letter)
        self.stored[letter + "1"] = self.stored[letter + "2"] = number
        self.unheard.add(number)
        return number

    @rule(target=hints, hint=consumes(hints), again=st.booleans())
    def hear(self, hint: int, again: bool) -> object:
        self.unheard.discard(hint)
        self.tell({self.letters[hint]})
        self.cache.forget({self.letters[hint]}, hint)
        return hint if again else multiple()

    @rule()
    def hear_of_everything(self) -> None:
        self.unheard.clear()
        self.tell(set(KEYS))
        self.cache.forget(None)

    @rule(read=consumes(reads))
    def end(self, read: ARead) -> None:
        kept = {name for name in read.found if name[0] not in read.overtaken}
        assert read.reading.keep(read.found) == (len(kept) == len(read.found))
        # What nothing was heard of is kept, whatever happened to others.
        assert all(self.cache.touch(name) == read.found[name] for name in kept)
        read.stack.close()
        self.going_on.remove(read)

    @rule(read=consumes(reads))
    def give_up(self, read: ARead) -> None:
        read.stack.close()
        self.going_on.remove(read)

    @invariant()
    def nothing_out_of_date_is_kept(self) -> None:
        waiting = {self.letters[number] for number in self.unheard}
        for name in self.cache:
            assert name[0] in waiting or self.cache.touch(name) == self.stored[name]

    @invariant()
    def nothing_is_remembered_without_reads(self) -> None:
        assert self.going_on or not self.cache._guard._changed

    def tell(self, letters: set[str]) -> None:
        for read in self.going_on:
            read.overtaken |= letters

    def teardown(self) -> None:
        for read in self.going_on:
            read.stack.close()


TestReads = Reads.TestCase
TestReads.settings = settings(deadline=None)
