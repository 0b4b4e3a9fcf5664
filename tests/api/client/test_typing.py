"""PUT /rooms/{roomId}/typing/{userId}."""

from __future__ import annotations

import pytest

from palpo.db.engine import Commit
from palpo.storage import typing as storage
from palpo.streams import topics
from tests.support.homeserver import Client, Homeserver


async def typing(client: Client, room_id: str, is_typing: bool = True, **body: int) -> None:
    await client.put(f"/rooms/{room_id}/typing/{client.user_id}", {"typing": is_typing, **body})


async def room_of_two(alice: Client, bob: Client) -> str:
    room_id = await alice.create_room(preset="public_chat")
    await bob.post(f"/join/{room_id}")
    return room_id


async def test_time_runs_out(server: Homeserver, alice: Client, bob: Client) -> None:
    room_id = await room_of_two(alice, bob)
    service, wakeups = server.services.personal.typing, server.services.server.wakeups
    path = f"/rooms/{room_id}/typing/{alice.user_id}"
    start = wakeups.position
    await alice.put(path, {"typing": False})
    assert wakeups.position == start
    await alice.put(path, {"typing": True, "timeout": 5000})
    assert await service.changed([room_id, "!other:x"], start, wakeups.position) == [room_id]
    assert await service.current([room_id]) == {room_id: [alice.user_id]}
    begun = wakeups.position
    server.clock.advance(4000)
    await alice.put(path, {"typing": True, "timeout": 5000})
    assert wakeups.position == begun
    server.clock.advance(4000)
    await service.expire()
    assert await service.current([room_id]) == {room_id: [alice.user_id]}
    server.clock.advance(1001)
    await service.expire()
    assert await service.current([room_id]) == {}
    assert await service.changed([room_id], begun, wakeups.position) == [room_id]


async def test_it_is_stopped(server: Homeserver, alice: Client, bob: Client) -> None:
    room_id = await room_of_two(alice, bob)
    await typing(alice, room_id, timeout=10**15)
    await typing(alice, room_id, False)
    assert await server.services.personal.typing.current([room_id]) == {}


async def test_refused(server: Homeserver, alice: Client, bob: Client) -> None:
    room_id = await alice.create_room()
    await bob.put(f"/rooms/{room_id}/typing/{bob.user_id}", {"typing": True}, status=403)
    await alice.put(f"/rooms/{room_id}/typing/{bob.user_id}", {"typing": True}, status=403)
    await alice.put(f"/rooms/{room_id}/typing/{alice.user_id}", {"timeout": 5}, status=400)


async def test_going_on_is_no_news(server: Homeserver, alice: Client, bob: Client) -> None:
    room_id = await room_of_two(alice, bob)
    await typing(bob, room_id, timeout=20_000)
    heard: set[str] = set()
    server.services.server.wakeups.listen(topics.TYPING, lambda rooms, position: heard.update(rooms or ()))
    server.clock.advance(15_000)
    await typing(bob, room_id, timeout=20_000)
    assert not heard
    server.clock.advance(15_000)
    assert await server.services.personal.typing.current([room_id]) == {room_id: [bob.user_id]}
    await typing(bob, room_id, False)
    assert heard == {room_id}
    assert await server.services.personal.typing.current([room_id]) == {}


async def test_who_has_left_is_not_typing(server: Homeserver, alice: Client, bob: Client) -> None:
    room_id = await room_of_two(alice, bob)
    await typing(bob, room_id)
    await bob.post(f"/rooms/{room_id}/leave")
    assert await server.services.personal.typing.current([room_id]) == {}


@pytest.mark.parametrize("timeout", [0, -1, 2**70])
async def test_odd_timeouts(server: Homeserver, alice: Client, timeout: int) -> None:
    room_id = await alice.create_room()
    await typing(alice, room_id, timeout=timeout)
    assert bool(await server.services.personal.typing.current([room_id])) == (timeout > 0)
    server.clock.advance(120_000)
    assert await server.services.personal.typing.current([room_id]) == {}


async def test_rooms_where_nobody_types_are_not_read(
    server: Homeserver, alice: Client, bob: Client, monkeypatch: pytest.MonkeyPatch
) -> None:
    quiet, busy = await room_of_two(alice, bob), await room_of_two(alice, bob)
    await typing(bob, busy)
    service, wakeups = server.services.personal.typing, server.services.server.wakeups
    shown = {busy: [bob.user_id]}
    assert await service.current([quiet, busy]) == shown
    # Of what another process has done only "anything" may be heard.
    await server.services.server.db.write(
        lambda tx: storage.put(tx, quiet, alice.user_id, typing=True, expires_ts=10**14, position=10**6)
    )
    wakeups.on_commit(Commit(position=wakeups.position + 1, all_topics=True))
    shown |= {quiet: [alice.user_id]}
    assert await service.current([quiet, busy]) == shown

    async def unwanted(*_: object) -> dict[str, list[str]]:
        raise AssertionError

    monkeypatch.setattr(storage, "current", unwanted)
    assert await service.current([await alice.create_room()]) == {}
