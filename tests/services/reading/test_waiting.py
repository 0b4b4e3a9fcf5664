"""How many of a user's requests wait at a time."""

from __future__ import annotations

import asyncio

import pytest

from palpo.db.engine import Commit
from palpo.services.accounts.sessions import Requester
from palpo.services.reading import waiting
from palpo.streams import topics
from tests.support.homeserver import Client, Homeserver


def begin(server: Homeserver, user_id: str, *rooms: str) -> asyncio.Task[bool]:
    requester = Requester(user_id=user_id, device_id="D")
    service = server.services.reading.waiting
    after = server.services.server.wakeups.position
    wanted = {topics.ROOM: set(rooms)}
    return asyncio.create_task(service.wait(requester, wanted, after=after, timeout_s=30))


async def until_settled() -> None:
    for _ in range(20):
        await asyncio.sleep(0)


async def test_of_too_many_the_oldest_are_answered_without_news(server: Homeserver) -> None:
    count = waiting.MAX_REQUESTS
    tasks = [begin(server, "@a:test.example", "!r") for _ in range(count + 3)]
    others = begin(server, "@b:test.example", "!r")
    await until_settled()
    assert [task.done() for task in tasks] == [True] * 3 + [False] * count
    assert not any(task.result() for task in tasks[:3])
    server.services.server.wakeups.on_commit(Commit(position=0, topics={topics.ROOM: {"!r"}}))
    assert all(await asyncio.gather(*tasks[3:], others))


async def test_who_waits_for_much_waits_less_often(server: Homeserver) -> None:
    rooms = [f"!{number}" for number in range(waiting.MAX_TOPICS * 2 // 5)]
    tasks = [begin(server, "@a:test.example", *rooms) for _ in range(5)]
    await until_settled()
    assert [task.done() for task in tasks] == [True, True, True, False, False]
    alone = begin(server, "@b:test.example", *(f"!{number}" for number in range(waiting.MAX_TOPICS * 2)))
    await until_settled()
    assert not alone.done()
    server.services.server.wakeups.on_commit(Commit(position=0, topics={topics.ROOM: {"!1"}}))
    assert await asyncio.gather(*tasks[3:], alone) == [True, True, True]


async def test_a_sync_that_made_room_is_a_sync_without_news(
    server: Homeserver, alice: Client, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(server.services.reading.waiting, "_max_requests", 1)
    room_id = await alice.create_room()
    since = (await alice.get("/sync"))["next_batch"]
    first, second = (asyncio.create_task(alice.get(f"/sync?timeout=20000&since={since}")) for _ in range(2))
    answer = await first
    assert answer["next_batch"]
    assert "rooms" not in answer
    assert not second.done()
    await alice.send(room_id, "news")
    assert room_id in (await second)["rooms"]["join"]
