"""PUT /rooms/{roomId}/typing/{userId}."""

from __future__ import annotations

import pytest

from tests.support.homeserver import Client, Homeserver


async def typing(client: Client, room_id: str, is_typing: bool = True, **body: int) -> None:
    await client.put(f"/rooms/{room_id}/typing/{client.user_id}", {"typing": is_typing, **body})


async def room_of_two(alice: Client, bob: Client) -> str:
    room_id = await alice.create_room(preset="public_chat")
    await bob.post(f"/join/{room_id}")
    return room_id


async def test_going_on_is_no_news(server: Homeserver, alice: Client, bob: Client) -> None:
    room_id = await room_of_two(alice, bob)
    await typing(bob, room_id, timeout=20_000)
    topics: set[str] = set()
    server.services.wakeups.subscribe(lambda commit: topics.update(commit.topics))
    server.clock.advance(15_000)
    await typing(bob, room_id, timeout=20_000)
    assert not topics
    server.clock.advance(15_000)
    assert await server.services.typing.current([room_id]) == {room_id: [bob.user_id]}
    await typing(bob, room_id, False)
    assert f"typing:{room_id}" in topics
    assert await server.services.typing.current([room_id]) == {}


async def test_who_has_left_is_not_typing(server: Homeserver, alice: Client, bob: Client) -> None:
    room_id = await room_of_two(alice, bob)
    await typing(bob, room_id)
    await bob.post(f"/rooms/{room_id}/leave")
    assert await server.services.typing.current([room_id]) == {}


@pytest.mark.parametrize("timeout", [0, -1, 2**70])
async def test_odd_timeouts(server: Homeserver, alice: Client, timeout: int) -> None:
    room_id = await alice.create_room()
    await typing(alice, room_id, timeout=timeout)
    assert bool(await server.services.typing.current([room_id])) == (timeout > 0)
    server.clock.advance(120_000)
    assert await server.services.typing.current([room_id]) == {}
