"""Who waits for what."""

from __future__ import annotations

import asyncio
from collections.abc import Sequence
from dataclasses import dataclass, field

import pytest
from hypothesis import given
from hypothesis import strategies as st

from palpo.db.engine import EVERYTHING, Commit
from palpo.streams import wakeups as module
from palpo.streams.wakeups import Wakeups


def commit(position: int, *topics: str, since: int | None = None) -> Commit:
    return Commit(position=position, topics=frozenset(topics), since=position - 1 if since is None else since)


async def test_only_those_wake_who_wait_for_the_topic() -> None:
    wakeups = Wakeups()
    wakeups.start(10)
    mine = asyncio.create_task(wakeups.wait({"room:a", "user:a"}, after=10, timeout_s=5))
    others = asyncio.create_task(wakeups.wait({"room:b"}, after=10, timeout_s=0.05))
    await asyncio.sleep(0)
    wakeups.on_commit(commit(11, "room:a"))
    assert await mine is True
    assert await others is False
    assert wakeups._waiters == {}


async def test_what_happened_since_the_last_look_is_not_missed() -> None:
    wakeups = Wakeups()
    wakeups.start(10)
    wakeups.on_commit(commit(11, "room:a"))
    assert await wakeups.wait({"room:a"}, after=10, timeout_s=5) is True
    assert await wakeups.wait({"room:a"}, after=11, timeout_s=0.01) is False
    assert await wakeups.wait({"room:a"}, after=9, timeout_s=5) is True


def test_topics_since_a_position() -> None:
    wakeups = Wakeups()
    wakeups.start(10)
    wakeups.on_commit(commit(11, "room:a"))
    wakeups.on_commit(commit(14, "room:b", "user:c", since=11))
    assert wakeups.changed_since(10) == {"room:a", "room:b", "user:c"}
    assert wakeups.changed_since(11) == {"room:b", "user:c"}
    assert wakeups.changed_since(14) == set()
    assert wakeups.changed_since(9) is None


def test_a_gap_is_not_stepped_over() -> None:
    wakeups = Wakeups()
    wakeups.start(10)
    wakeups.on_commit(commit(13, "room:b", since=12))
    assert wakeups.position == 10
    wakeups.on_commit(commit(20, EVERYTHING))
    assert wakeups.position == 20
    assert wakeups.changed_since(10) is None
    wakeups.on_commit(commit(15, "room:late"))
    assert wakeups.position == 20


def test_the_log_is_bounded(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(module, "LOG_LENGTH", 3)
    wakeups = Wakeups()
    for position in range(1, 6):
        wakeups.on_commit(commit(position, f"room:{position}"))
    assert wakeups.changed_since(2) == {"room:3", "room:4", "room:5"}
    assert wakeups.changed_since(1) is None


async def test_closing_lets_everyone_go() -> None:
    wakeups = Wakeups()
    waiting = asyncio.create_task(wakeups.wait({"room:a"}, after=0, timeout_s=60))
    await asyncio.sleep(0)
    wakeups.close()
    assert await waiting is False
    assert await wakeups.wait({"room:a"}, after=0, timeout_s=60) is False


async def test_our_own_commit_waits_for_the_hint_before_it_and_for_nothing_else() -> None:
    wakeups = Wakeups()
    wakeups.start(8)
    waiting = asyncio.create_task(wakeups.wait({"room:a"}, after=8, timeout_s=5))
    await asyncio.sleep(0)
    wakeups.on_commit(commit(12, "room:a", since=10))
    assert wakeups.position == 8
    assert not waiting.done()

    wakeups.on_commit(commit(10, "room:b", since=8))
    assert wakeups.position == 12
    assert await waiting is True
    wakeups.on_commit(commit(14, "room:c", since=12))
    assert wakeups.position == 14
    assert wakeups.changed_since(8) == {"room:a", "room:b", "room:c"}


def test_what_is_missing_is_not_waited_for_without_end(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(module, "MAX_AHEAD", 3)
    wakeups, heard = Wakeups(), []
    wakeups.start(1)
    wakeups.subscribe(heard.append)
    for position in range(4, 8):
        wakeups.on_commit(commit(position, f"room:{position}"))
    assert wakeups.position == 7
    assert wakeups.changed_since(1) is None
    assert heard[-1].all_topics


def test_the_log_is_bounded_in_bytes_too(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(module, "LOG_BYTES", 100_000)
    wakeups = Wakeups()
    for position in range(1, 101):
        wakeups.on_commit(commit(position, *(f"room:{position}-{n}" for n in range(100))))
    kept = wakeups.changed_since(99)
    assert kept is not None
    assert len(kept) == 100
    assert wakeups.changed_since(50) is None


TOPICS = [f"room:{name}" for name in "abcd"]


@dataclass
class Heard:
    """A process, and what its caches were told."""

    wakeups: Wakeups = field(default_factory=Wakeups)
    told: list[Commit] = field(default_factory=list)

    def __post_init__(self) -> None:
        self.wakeups.subscribe(self.told.append)


def chain(steps: Sequence[tuple[int, frozenset[str]]]) -> list[Commit]:
    """Commits as the database makes them; each takes so many positions."""
    commits, position = [], 0
    for count, topics in steps:
        commits.append(Commit(since=position, position=position + count, topics=topics))
        position += count
    return commits


def check(process: Heard, commits: Sequence[Commit], visible: int) -> None:
    """Nothing that the position covers was missed by the caches, nor is missing from the log."""
    position = process.wakeups.position
    assert position in {0, *(item.position for item in commits)}
    assert position <= visible
    flushed = max((item.position for item in process.told if item.all_topics), default=0)
    for item in commits:
        if flushed < item.position <= position:
            assert process.told.count(item) == 1
        elif item.position > position:
            assert process.told.count(item) <= 1
    for since in {0, *(item.position for item in commits if item.position <= position)}:
        changed = process.wakeups.changed_since(since)
        missing = {t for c in commits if since < c.position <= position for t in c.topics}
        assert changed is None or changed == missing


@given(st.data())
def test_whatever_becomes_of_hints_nothing_is_missed_and_all_agree_in_the_end(data: st.DataObject) -> None:
    steps = st.tuples(st.integers(1, 3), st.frozensets(st.sampled_from(TOPICS)))
    commits = chain(data.draw(st.lists(steps, max_size=12)))
    processes = [Heard() for _ in range(3)]
    by = [data.draw(st.integers(0, 2)) for _ in commits]
    events: list[list[tuple[str, int]]] = []
    for number, _ in enumerate(processes):
        hints = [("hint", n) for n, writer in enumerate(by) if writer != number]
        lost = data.draw(st.sets(st.sampled_from(hints))) if hints else set()
        doubled = data.draw(st.lists(st.sampled_from(hints), max_size=4)) if hints else []
        # Our own commits are heard of in order, once; hints in any order, or never, or again.
        own = [("own", n) for n, writer in enumerate(by) if writer == number]
        mixed = [*data.draw(st.permutations([*(set(hints) - lost), *doubled, *own]))]
        ordered = iter(sorted(item for item in mixed if item[0] == "own"))
        mixed = [item if item[0] != "own" else next(ordered) for item in mixed]
        looks = data.draw(st.lists(st.integers(0, len(mixed)), max_size=2))
        for at in sorted(looks, reverse=True):
            mixed.insert(at, ("look", 0))
        events.append(mixed)

    for process, mixed in zip(processes, events, strict=True):
        visible = 0
        for kind, n in mixed:
            if kind == "look":
                process.wakeups.on_commit(Commit(position=visible, topics=frozenset({EVERYTHING})))
            else:
                visible = max(visible, commits[n].position)
                process.wakeups.on_commit(commits[n])
            check(process, commits, visible)
        end = commits[-1].position if commits else 0
        heard = {n for kind, n in mixed if kind != "look"}
        if len(heard) == len(commits):
            assert process.wakeups.position == end
        process.wakeups.on_commit(Commit(position=end, topics=frozenset({EVERYTHING})))
        assert process.wakeups.position == end


@given(st.data())
async def test_whoever_waits_is_woken_when_it_can_be_read_whatever_the_order(data: st.DataObject) -> None:
    commits = chain([(1, frozenset({topic})) for topic in TOPICS])
    wakeups = Wakeups()
    waiting = {t: asyncio.ensure_future(wakeups.wait({t}, after=0, timeout_s=60)) for t in TOPICS}
    await asyncio.sleep(0)
    for item in data.draw(st.permutations(commits)):
        wakeups.on_commit(item)
        await asyncio.sleep(0)
        await asyncio.sleep(0)
        woken = {topic for topic, waiter in waiting.items() if waiter.done()}
        assert woken == {t for c in commits if c.position <= wakeups.position for t in c.topics}
    assert await asyncio.gather(*waiting.values()) == [True] * len(TOPICS)
