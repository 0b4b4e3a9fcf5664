"""Processes hear of each other's commits, whatever joins them."""

from __future__ import annotations

import asyncio
import os
from collections.abc import AsyncIterator, Awaitable, Callable, Set

import pytest
from hypothesis import given
from hypothesis import strategies as st

from palpo.db.engine import Commit, Database
from palpo.db.transaction import WriteTransaction
from palpo.db.wakeups import MAX_PARTS, Parts, ProcessWakeups, append, decode, encode, parts
from palpo.streams import topics
from palpo.streams.processes import create_wakeups
from tests.support.databases import administer, service_url

CHANNEL = f"palpo_test_{os.getpid()}"
Connect = Callable[[], Awaitable[Database]]


class Process:
    """One process: its wake-ups, and what it has heard."""

    def __init__(self, wakeups: ProcessWakeups) -> None:
        self.wakeups = wakeups
        self.heard: list[Commit] = []
        self._news = asyncio.Event()

    @property
    def position(self) -> int:
        """The highest that has been heard of."""
        return max((commit.position for commit in self.heard), default=0)

    def hear(self, commit: Commit) -> None:
        self.heard.append(commit)
        self._news.set()

    async def until(self, position: int, room_id: str | None = None) -> None:
        """Wait until ``position`` and the room have been heard of; None for a commit for everyone."""
        async with asyncio.timeout(10):
            while not any(
                commit.position >= position and (commit.all_topics or room_id in rooms_of(commit))
                for commit in self.heard
            ):
                self._news.clear()
                await self._news.wait()


def in_rooms(*room_ids: str, position: int, since: int = 0) -> Commit:
    return Commit(position=position, topics={topics.ROOM: set(room_ids)}, since=since)


def rooms_of(commit: Commit) -> Set[str]:
    return commit.topics.get(topics.ROOM, set())


@pytest.fixture(params=["postgresql", "redis"])
async def pair(request: pytest.FixtureRequest) -> AsyncIterator[tuple[Process, Process]]:
    """Two processes joined by a link of the kind."""
    url = service_url(request.param.upper())
    processes = [Process(make(request.param, url)) for _ in range(2)]
    for process in processes:
        await process.wakeups.start(process.hear)
    yield processes[0], processes[1]
    for process in processes:
        await process.wakeups.stop()


def make(kind: str, url: str) -> ProcessWakeups:
    if kind == "redis":
        from palpo.streams.redis_wakeups import RedisWakeups

        return RedisWakeups(url, channel=CHANNEL)
    from palpo.db.postgresql_wakeups import PostgresWakeups

    return PostgresWakeups(url, channel=CHANNEL)


async def test_the_others_hear_and_the_sender_does_not(pair: tuple[Process, Process]) -> None:
    one, other = pair
    one.wakeups.publish(in_rooms("!é:'\"😀", position=7))
    await other.until(7, "!é:'\"😀")
    other.wakeups.publish(in_rooms("!a", position=8))
    await one.until(8, "!a")

    assert all(commit.position == 7 for commit in other.heard)
    assert all(commit.position == 8 for commit in one.heard)


async def test_many_topics_come_in_parts(pair: tuple[Process, Process]) -> None:
    one, other = pair
    room_ids = {f"!é{n:0100}" for n in range(200)}
    one.wakeups.publish(in_rooms(*room_ids, position=8))
    await other.until(8, f"!é{7:0100}")
    assert [commit.topics for commit in other.heard] == [{topics.ROOM: room_ids}]


async def test_more_topics_than_fit_wake_everyone(pair: tuple[Process, Process]) -> None:
    one, other = pair
    one.wakeups.publish(in_rooms(*(f"!{n:0250}" for n in range(9000)), position=9))
    await other.until(9)


async def test_many_commits_are_merged_and_none_is_forgotten(pair: tuple[Process, Process]) -> None:
    one, other = pair
    for n in range(500):
        one.wakeups.publish(in_rooms(f"!{n}", position=n))
    await other.until(499, "!499")

    heard = set().union(*map(rooms_of, other.heard))
    everyone = any(commit.all_topics for commit in other.heard)
    assert everyone or heard == {f"!{n}" for n in range(500)}
    assert len(other.heard) < 500


async def test_a_lost_link_is_made_again_and_wakes_everyone(pair: tuple[Process, Process]) -> None:
    one, other = pair
    if type(one.wakeups).__name__ == "PostgresWakeups":
        await administer(
            service_url("POSTGRESQL"),
            "SELECT pg_terminate_backend(pid) FROM pg_stat_activity"
            f" WHERE application_name = 'palpo wake-ups' AND query LIKE '%{CHANNEL}%'",
        )
    else:
        from redis.asyncio import Redis

        redis = Redis.from_url(service_url("REDIS"))
        for client in await redis.client_list(_type="pubsub"):
            if client["name"] == CHANNEL:
                await redis.client_kill_filter(_id=client["id"])
        await redis.aclose()

    await one.until(0)
    await other.until(0)
    one.wakeups.publish(in_rooms("!a", position=5))
    await other.until(5, "!a")


async def taking(tx: WriteTransaction) -> int:
    tx.notify(topics.ROOM, "!a")
    return await tx.positions()


async def test_whatever_joins_the_processes_of_a_database(
    database: Database, connect: Connect, database_url: str
) -> None:
    second = await connect()
    heard = Process(
        create_wakeups(second, database_url=database_url, redis_url=None, known=lambda: heard.position)
    )
    telling = create_wakeups(database, database_url=database_url, redis_url=None, known=lambda: 2**62)
    database.listen(telling.publish)
    await telling.start(lambda commit: None)
    await heard.wakeups.start(heard.hear)

    position = await database.write(taking)
    await heard.until(position, "!a")
    await heard.wakeups.stop()
    await telling.stop()


async def test_a_commit_that_nobody_told_of_is_found(
    database: Database, connect: Connect, database_url: str
) -> None:
    second = await connect()
    wakeups = create_wakeups(
        second, database_url=database_url, redis_url=None, known=lambda: heard.position, backing_s=0.05
    )
    heard = Process(wakeups)
    await wakeups.start(heard.hear)

    position = await database.write(taking)
    await heard.until(position)
    told = len(heard.heard)
    await asyncio.sleep(0.2)
    assert len(heard.heard) == told
    await wakeups.stop()


@given(st.text(max_size=500), st.integers(60, 200))
def test_a_message_is_put_together_of_its_parts(text: str, limit: int) -> None:
    text = f'["{text}'  # As messages are: JSON.
    divided = parts(text, "abc", limit)
    assert all(len(part.encode()) <= limit for part in divided)
    if len(divided) <= MAX_PARTS:
        joining = Parts()
        # A part of another message, and the beginning of one that was cut short, do no harm.
        assert joining.joined("xyz/3/5/") is None
        assert joining.joined("abc/0/9/lost") is None
        assert [whole for part in divided if (whole := joining.joined(part)) is not None] == [text]


def test_a_message_of_another_kind_is_ignored() -> None:
    commits = [
        Commit(position=3, topics={topics.ROOM: {"a", "b:c"}, topics.USER: {"a"}}, since=1),
        Commit(position=9, topics={topics.DIRECTORY: {topics.ONLY}}, since=7),
        Commit(position=12, all_topics=True, since=9),
    ]

    assert decode(encode(commits, sender="me", limit=200)) == ("me", commits)
    assert decode(encode(commits, sender="me", limit=10)) == (
        "me",
        [Commit(position=12, all_topics=True)],
    )
    for message in ("", "{}", "[1]", '["a", [["b", 1, []]]]', "\x00"):
        assert decode(message) is None


def test_commits_are_merged_where_nothing_lies_between() -> None:
    pending: list[Commit] = []
    for since, position, room_id in ((0, 2, "a"), (2, 3, "b"), (0, 0, "c"), (5, 6, "d"), (6, 9, "e")):
        append(pending, in_rooms(room_id, position=position, since=since))

    assert pending == [
        in_rooms("a", "b", "c", position=3),
        in_rooms("d", "e", position=9, since=5),
    ]
    for position in range(100, 300, 2):
        append(pending, in_rooms("f", position=position, since=position - 1))
    assert len(pending) <= 64
    assert pending[0].all_topics
    assert pending[-1].position == 298
