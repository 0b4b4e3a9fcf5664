"""Who waits for what."""

from __future__ import annotations

import asyncio

import pytest

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
