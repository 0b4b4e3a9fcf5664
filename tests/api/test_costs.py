"""What requests cost in statements: no more than is said here, however large the room is."""

from __future__ import annotations

from collections.abc import AsyncGenerator, Awaitable, Callable
from contextlib import aclosing
from typing import Any

import pytest

from palpo.services.history.drafts import Draft
from tests.support.homeserver import Client, Homeserver
from tests.support.rooms import make_room
from tests.support.statements import Statements

SPARE = 2
"""On a busy machine, work in the background may fall into all of them."""
Request = Awaitable[Any]
Requests = AsyncGenerator[Request, None]
Making = Callable[[Client, Client, str], Requests]


async def _sends(alice: Client, bob: Client, room_id: str) -> Requests:
    while True:
        yield alice.send(room_id, "x")


async def _quiet_syncs(alice: Client, bob: Client, room_id: str) -> Requests:
    since = (await bob.get("/sync"))["next_batch"]
    while True:
        yield bob.get(f"/sync?timeout=0&since={since}")


async def _syncs_of_a_message(alice: Client, bob: Client, room_id: str) -> Requests:
    while True:
        since = (await bob.get("/sync"))["next_batch"]
        await alice.send(room_id, "x")
        yield bob.get(f"/sync?timeout=0&since={since}")


async def _first_syncs(alice: Client, bob: Client, room_id: str) -> Requests:
    while True:
        yield bob.get("/sync")


async def _pages(alice: Client, bob: Client, room_id: str) -> Requests:
    for _ in range(30):
        await alice.send(room_id, "x")
    while True:
        yield bob.get(f"/rooms/{room_id}/messages?dir=b&limit=20")


async def _joins(alice: Client, bob: Client, room_id: str) -> Requests:
    while True:
        await bob.post(f"/rooms/{room_id}/leave")
        yield bob.post(f"/join/{room_id}")


def joining(user_id: str) -> Draft:
    content = {"membership": "join"}
    return Draft(type="m.room.member", sender=user_id, state_key=user_id, content=content)


async def cost(statements: Statements, requests: Requests) -> int:
    """The least of several: work in the background may fall into one."""
    async with aclosing(requests):
        return min([await statements.of(await anext(requests)) for _ in range(12)])


@pytest.mark.parametrize(
    ("requests", "bound"),
    [(_sends, 5), (_quiet_syncs, 0), (_syncs_of_a_message, 0), (_first_syncs, 4), (_pages, 1), (_joins, 8)],
)
async def test_what_a_hot_request_costs(
    server: Homeserver,
    alice: Client,
    bob: Client,
    monkeypatch: pytest.MonkeyPatch,
    requests: Making,
    bound: int,
) -> None:
    room_id = await alice.create_room(preset="public_chat")
    await bob.post(f"/join/{room_id}")
    assert await cost(Statements(monkeypatch), requests(alice, bob, room_id)) <= bound + SPARE


@pytest.mark.parametrize("requests", [_sends, _syncs_of_a_message, _first_syncs, _pages, _joins])
async def test_a_large_room_costs_what_a_small_one_does(
    server: Homeserver,
    alice: Client,
    bob: Client,
    monkeypatch: pytest.MonkeyPatch,
    requests: Making,
) -> None:
    """A state is a tree: a change reads and writes a path, which is a node longer in the large room."""
    statements = Statements(monkeypatch)
    costs = []
    for members in (10, 500):
        room_id = await make_room(server, alice)
        users = [f"@user{number}:test.example" for number in range(members)]
        await server.services.history.room_writer.send_all(room_id, [joining(user_id) for user_id in users])
        await bob.post(f"/join/{room_id}")
        costs.append(await cost(statements, requests(alice, bob, room_id)))
        await bob.post(f"/rooms/{room_id}/leave")
    assert costs[1] <= costs[0] + SPARE
