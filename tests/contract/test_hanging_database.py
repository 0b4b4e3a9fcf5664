"""A database that hangs: requests are answered all the same, and nothing is lost or doubled by it."""

from __future__ import annotations

import asyncio
import sqlite3
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit

import pytest

from palpo.db.engine import Database
from tests.support.homeserver import Client, Homeserver, homeserver
from tests.support.line import Line

TIMEOUT_S = 1.0
SECONDS = 15.0
"""How long an answer may take: some of TIMEOUT_S, on a busy machine."""

servers = pytest.mark.parametrize(
    "backend", [pytest.param(name, marks=getattr(pytest.mark, name)) for name in ("postgresql", "mysql")]
)


@pytest.fixture
async def line(database: Database, database_url: str) -> AsyncIterator[Line]:
    """A line to the test's database."""
    parts = urlsplit(database_url)
    line = Line(parts.hostname or "127.0.0.1", parts.port or 0)
    yield line
    await line.stop()


@pytest.fixture
async def server(line: Line, database_url: str, tmp_path: Path) -> AsyncIterator[Homeserver]:
    """A homeserver that reaches the test's database over ``line``."""
    async with far_from(line, database_url, tmp_path, timeout_s=TIMEOUT_S) as server:
        yield server


@asynccontextmanager
async def far_from(
    line: Line, database_url: str, tmp_path: Path, *, timeout_s: float
) -> AsyncIterator[Homeserver]:
    """A homeserver that reaches the database over ``line``, and gives it so much time."""
    port = await line.start()
    url = urlsplit(database_url)
    user = url.netloc.rpartition("@")[0]
    far = url._replace(netloc=f"{user}@127.0.0.1:{port}").geturl()
    async with homeserver(tmp_path, database={"url": far, "timeout_seconds": timeout_s}) as server:
        yield server
        line.cut()


def sending(client: Client, room_id: str, transaction: str) -> Any:
    body = {"msgtype": "m.text", "body": transaction}
    return client.put(f"/rooms/{room_id}/send/m.room.message/{transaction}", body, status=None)


async def bodies(client: Client, room_id: str) -> list[str]:
    chunk = (await client.get(f"/rooms/{room_id}/messages?dir=f&limit=100"))["chunk"]
    return [event["content"]["body"] for event in chunk if event["type"] == "m.room.message"]


async def until_well(server: Homeserver) -> None:
    """Wait until health says that everything works."""
    async with asyncio.timeout(60):
        while True:
            if (await server.http.get("/_palpo/health")).status_code == 200:
                return
            await asyncio.sleep(0.1)


@servers
async def test_metrics_do_not_wait_for_it(line: Line, database_url: str, tmp_path: Path) -> None:
    """That is when they are wanted most; who collects them gives up after 10 s, usually."""
    async with far_from(line, database_url, tmp_path, timeout_s=12) as server:
        known = "palpo_quota_used{"
        assert known in (await server.http.get("/_palpo/metrics")).text
        line.fall_silent()
        async with asyncio.timeout(9):
            answer = await server.http.get("/_palpo/metrics")
        assert (answer.status_code, known in answer.text) == (200, True)


@servers
async def test_a_server_that_says_nothing(server: Homeserver, line: Line) -> None:
    alice, bob = await server.register("alice"), await server.register("bob")
    room_id = await alice.create_room(preset="public_chat")
    await bob.post(f"/join/{room_id}")
    since = (await bob.get("/sync"))["next_batch"]
    poll = asyncio.create_task(
        bob.get(f"/sync?timeout=500&since={since}", status=None), name="a poll that has begun"
    )
    await asyncio.sleep(0)
    line.fall_silent()

    async with asyncio.timeout(SECONDS):
        answers = await asyncio.gather(
            *(sending(alice, room_id, f"m{n}") for n in range(20)),
            alice.get(f"/rooms/{room_id}/messages?dir=b", status=None),
            bob.get("/profile/@alice:test.example", status=None),
        )
        health = await server.http.get("/_palpo/health/ready")
        alive = await server.http.get("/_palpo/health/live")
        await poll
    assert {answer.get("errcode") for answer in answers[:20]} == {"M_UNKNOWN"}
    assert (health.status_code, alive.status_code) == (503, 200)
    assert "database, reading" in health.json()["failing"]

    line.silent = False
    await until_well(server)
    for n in range(20):
        assert "event_id" in await sending(alice, room_id, f"m{n}")
    assert await bodies(bob, room_id) == [f"m{n}" for n in range(20)]


@servers
async def test_a_commit_without_an_answer(server: Homeserver, line: Line) -> None:
    alice = await server.register("alice")
    room_id = await alice.create_room()
    line.on_word = (b"COMMIT", line.fall_silent)
    async with asyncio.timeout(SECONDS):
        answer = await sending(alice, room_id, "once")
    assert answer["errcode"] == "M_UNKNOWN"

    line.silent = False
    await until_well(server)
    first = await sending(alice, room_id, "once")
    assert await sending(alice, room_id, "once") == first
    assert await bodies(alice, room_id) == ["once"]


@pytest.mark.parametrize("backend", ["sqlite"])
async def test_a_file_that_another_process_has_locked(database_url: str, tmp_path: Path) -> None:
    settings = {"url": database_url, "timeout_seconds": 0.5}
    async with homeserver(tmp_path, database=settings) as server:
        alice = await server.register("alice")
        room_id = await alice.create_room()
        other = sqlite3.connect(tmp_path / "palpo.db", isolation_level=None)
        other.execute("BEGIN IMMEDIATE")
        async with asyncio.timeout(SECONDS):
            answers = await asyncio.gather(*(sending(alice, room_id, f"m{n}") for n in range(20)))
            assert await bodies(alice, room_id) == []
        assert {answer.get("errcode") for answer in answers} == {"M_UNKNOWN"}
        failing = (await server.http.get("/_palpo/health")).json()["failing"]
        assert failing == {"database, writing": "the database is locked by another process"}

        other.execute("ROLLBACK")
        other.close()
        await until_well(server)
        assert "event_id" in await sending(alice, room_id, "m0")
        assert await bodies(alice, room_id) == ["m0"]
