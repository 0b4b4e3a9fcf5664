"""Who waits for what."""

from __future__ import annotations

import asyncio
from collections.abc import Iterable, Sequence, Set
from dataclasses import dataclass, field

from hypothesis import given
from hypothesis import strategies as st

from palpo.db.engine import Commit
from palpo.db.topics import Topics
from palpo.streams import topics
from palpo.streams.wakeups import Wakeups


def commit(position: int, *room_ids: str, since: int | None = None) -> Commit:
    before = position - 1 if since is None else since
    return Commit(position=position, topics=rooms(*room_ids), since=before)


def rooms(*room_ids: str) -> Topics:
    return {topics.ROOM: set(room_ids)} if room_ids else {}


async def test_only_those_wake_who_wait_for_the_topic() -> None:
    wakeups = Wakeups()
    wakeups.start(10)
    mine = asyncio.create_task(wakeups.wait({topics.ROOM: {"a"}, topics.USER: {"a"}}, after=10, timeout_s=5))
    others = asyncio.create_task(wakeups.wait(rooms("b"), after=10, timeout_s=0.05))
    await asyncio.sleep(0)
    wakeups.on_commit(commit(11, "a"))
    assert await mine is True
    assert await others is False
    assert wakeups._waiters == {}


async def test_who_listens_hears_of_their_kind_at_once_and_before_those_who_wait() -> None:
    wakeups, heard = Wakeups(), []
    wakeups.start(10)
    waiting = asyncio.create_task(wakeups.wait({topics.USER: {"u"}}, after=10, timeout_s=5))
    await asyncio.sleep(0)
    wakeups.listen(topics.ROOM, lambda keys, position: heard.append((keys, position, wakeups.position)))
    wakeups.on_commit(Commit(position=13, topics={topics.ROOM: {"a"}, topics.USER: {"u"}}, since=12))
    wakeups.on_commit(Commit(position=12, topics={topics.USER: {"b"}}, since=11))
    assert heard == [({"a"}, 13, 10)]
    assert not waiting.done()
    wakeups.on_commit(Commit(position=14, all_topics=True))
    assert heard[1:] == [(None, 14, 14)]
    assert await waiting is True


async def test_what_happened_since_the_last_look_is_not_missed() -> None:
    wakeups = Wakeups()
    wakeups.start(10)
    wakeups.on_commit(commit(11, "a"))
    assert await wakeups.wait(rooms("a"), after=10, timeout_s=5) is True
    assert await wakeups.wait(rooms("a"), after=11, timeout_s=0.01) is False
    assert await wakeups.wait(rooms("a"), after=9, timeout_s=5) is True


def test_topics_since_a_position() -> None:
    wakeups = Wakeups()
    wakeups.start(10)
    wakeups.on_commit(commit(11, "a"))
    wakeups.on_commit(Commit(position=14, topics={topics.ROOM: {"b"}, topics.USER: {"c"}}, since=11))
    assert wakeups.changed_since(10) == {topics.ROOM: {"a", "b"}, topics.USER: {"c"}}
    assert wakeups.changed_since(11) == {topics.ROOM: {"b"}, topics.USER: {"c"}}
    assert wakeups.changed_since(14) == {}
    assert wakeups.changed_since(9) is None


def test_a_gap_is_not_stepped_over() -> None:
    wakeups = Wakeups()
    wakeups.start(10)
    wakeups.on_commit(commit(13, "b", since=12))
    assert wakeups.position == 10
    wakeups.on_commit(Commit(position=20, all_topics=True))
    assert wakeups.position == 20
    assert wakeups.changed_since(10) is None
    wakeups.on_commit(commit(15, "late"))
    assert wakeups.position == 20


def test_the_log_is_bounded() -> None:
    wakeups = Wakeups(log_length=3)
    for position in range(1, 6):
        wakeups.on_commit(commit(position, f"{position}"))
    assert wakeups.changed_since(2) == rooms("3", "4", "5")
    assert wakeups.changed_since(1) is None


async def test_closing_lets_everyone_go() -> None:
    wakeups = Wakeups()
    waiting = asyncio.create_task(wakeups.wait(rooms("a"), after=0, timeout_s=60))
    await asyncio.sleep(0)
    wakeups.close()
    assert await waiting is False
    assert await wakeups.wait(rooms("a"), after=0, timeout_s=60) is False


async def test_our_own_commit_waits_for_the_hint_before_it_and_for_nothing_else() -> None:
    wakeups = Wakeups()
    wakeups.start(8)
    waiting = asyncio.create_task(wakeups.wait(rooms("a"), after=8, timeout_s=5))
    await asyncio.sleep(0)
    wakeups.on_commit(commit(12, "a", since=10))
    assert wakeups.position == 8
    assert not waiting.done()

    wakeups.on_commit(commit(10, "b", since=8))
    assert wakeups.position == 12
    assert await waiting is True
    wakeups.on_commit(commit(14, "c", since=12))
    assert wakeups.position == 14
    assert wakeups.changed_since(8) == rooms("a", "b", "c")


def test_what_is_missing_is_not_waited_for_without_end() -> None:
    wakeups, heard = Wakeups(max_ahead=3), []
    wakeups.start(1)
    wakeups.subscribe(heard.append)
    for position in range(4, 8):
        wakeups.on_commit(commit(position, f"{position}"))
    assert wakeups.position == 7
    assert wakeups.changed_since(1) is None
    assert heard[-1].all_topics


def test_the_log_is_bounded_in_bytes_too() -> None:
    wakeups = Wakeups(log_bytes=100_000)
    for position in range(1, 101):
        wakeups.on_commit(commit(position, *(f"{position}-{n}" for n in range(100))))
    kept = wakeups.changed_since(99)
    assert kept is not None
    assert len(kept[topics.ROOM]) == 100
    assert wakeups.changed_since(50) is None


ROOMS = "abcd"


@dataclass
class Heard:
    """A process, and what its caches were told."""

    wakeups: Wakeups = field(default_factory=Wakeups)
    told: list[Commit] = field(default_factory=list)

    def __post_init__(self) -> None:
        self.wakeups.subscribe(self.told.append)


def chain(steps: Sequence[tuple[int, Iterable[str]]]) -> list[Commit]:
    """Commits as the database makes them; each takes so many positions."""
    commits, position = [], 0
    for count, room_ids in steps:
        commits.append(commit(position + count, *room_ids, since=position))
        position += count
    return commits


def rooms_of(item: Commit) -> Set[str]:
    return item.topics.get(topics.ROOM, set())


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
        missing = set().union(*(rooms_of(item) for item in commits if since < item.position <= position))
        assert changed is None or changed == rooms(*missing)


@given(st.data())
def test_whatever_becomes_of_hints_nothing_is_missed_and_all_agree_in_the_end(data: st.DataObject) -> None:
    steps = st.tuples(st.integers(1, 3), st.frozensets(st.sampled_from(ROOMS)))
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
                process.wakeups.on_commit(Commit(position=visible, all_topics=True))
            else:
                visible = max(visible, commits[n].position)
                process.wakeups.on_commit(commits[n])
            check(process, commits, visible)
        end = commits[-1].position if commits else 0
        heard = {n for kind, n in mixed if kind != "look"}
        if len(heard) == len(commits):
            assert process.wakeups.position == end
        process.wakeups.on_commit(Commit(position=end, all_topics=True))
        assert process.wakeups.position == end


@given(st.data())
async def test_whoever_waits_is_woken_when_it_can_be_read_whatever_the_order(data: st.DataObject) -> None:
    commits = chain([(1, room_id) for room_id in ROOMS])
    wakeups = Wakeups()
    waiting = {t: asyncio.ensure_future(wakeups.wait(rooms(t), after=0, timeout_s=60)) for t in ROOMS}
    await asyncio.sleep(0)
    for item in data.draw(st.permutations(commits)):
        wakeups.on_commit(item)
        await asyncio.sleep(0)
        await asyncio.sleep(0)
        woken = {room_id for room_id, waiter in waiting.items() if waiter.done()}
        assert woken == set().union(*(rooms_of(c) for c in commits if c.position <= wakeups.position))
    assert await asyncio.gather(*waiting.values()) == [True] * len(ROOMS)
