"""Presence."""

from __future__ import annotations

from functools import partial
from pathlib import Path

import orjson
import pytest

from palpo.streams.turns import Turns
from tests.support.homeserver import Client, Homeserver, homeserver
from tests.support.loop_turns import with_turns

MINUTE = 60_000


async def room_of_two(alice: Client, bob: Client) -> str:
    room_id = await alice.create_room(preset="public_chat")
    await bob.post(f"/rooms/{room_id}/join")
    return room_id


def status(client: Client) -> str:
    return f"/presence/{client.user_id}/status"


async def told(server: Homeserver, client: Client, after: int) -> list[tuple[str, str]]:
    services = server.services
    rows = await services.personal.presence.changed(client.user_id, after, services.server.wakeups.position)
    return [(row.user_id, row.presence) for row in rows]


async def test_set_and_get(server: Homeserver, alice: Client, bob: Client) -> None:
    assert await alice.get(status(alice)) == {"presence": "offline"}
    await alice.put(status(alice), {"presence": "online", "status_msg": "Testing"})
    server.clock.advance(1234)
    assert await alice.get(status(alice)) == {
        "presence": "online",
        "status_msg": "Testing",
        "last_active_ago": 1234,
        "currently_active": True,
    }
    await bob.get(status(alice), status=403)
    await room_of_two(alice, bob)
    assert (await bob.get(status(alice)))["presence"] == "online"
    await alice.put(status(alice), {"presence": "unavailable"})
    answer = await bob.get(status(alice))
    assert answer == {"presence": "unavailable", "last_active_ago": 0}


async def test_refused(alice: Client, bob: Client) -> None:
    await bob.put(status(alice), {"presence": "online"}, status=403)
    await alice.put(status(alice), {"presence": "asleep"}, status=400)
    await alice.put(status(alice), {"presence": "online", "status_msg": "x" * 5000}, status=400)
    await alice.get("/presence/@nobody:test.example/status", status=404)


async def test_those_who_share_a_room_are_told(server: Homeserver, alice: Client, bob: Client) -> None:
    carol = await server.register("carol")
    await room_of_two(alice, bob)
    before = server.services.server.wakeups.position
    await server.services.personal.presence.touch(alice.user_id, alice.device_id, "unavailable")
    assert await told(server, bob, before) == [(alice.user_id, "unavailable")]
    assert await told(server, alice, before) == [(alice.user_id, "unavailable")]
    assert await told(server, carol, before) == []
    assert (alice.user_id, "unavailable") in await told(server, bob, 0)
    seen = server.services.server.wakeups.position
    await server.services.personal.presence.touch(alice.user_id, alice.device_id, "unavailable")
    assert server.services.server.wakeups.position == seen


async def test_time_makes_idle_then_offline(server: Homeserver, alice: Client) -> None:
    presence = server.services.personal.presence
    await presence.touch(alice.user_id, alice.device_id, None, 10 * MINUTE)
    assert (await alice.get(status(alice)))["presence"] == "online"
    server.clock.advance(6 * MINUTE)
    await presence.look()
    assert (await alice.get(status(alice)))["presence"] == "unavailable"
    presence.note_active(alice.user_id, alice.device_id)
    await presence.look()
    assert (await alice.get(status(alice)))["presence"] == "online"
    server.clock.advance(5 * MINUTE)
    await presence.look()
    assert (await alice.get(status(alice)))["presence"] == "offline"


@pytest.mark.parametrize("path", ["send/org.example/1", "state/org.example"])
async def test_who_sends_is_there(server: Homeserver, alice: Client, path: str) -> None:
    presence = server.services.personal.presence
    room_id = await alice.create_room()
    await presence.touch(alice.user_id, alice.device_id, None, 10 * MINUTE)
    server.clock.advance(6 * MINUTE)
    await presence.look()
    assert (await alice.get(status(alice)))["presence"] == "unavailable"
    await alice.put(f"/rooms/{room_id}/{path}", {"n": 1})
    await presence.look()
    assert (await alice.get(status(alice)))["presence"] == "online"


async def test_the_most_present_device_counts(server: Homeserver, alice: Client) -> None:
    second = await server.login("alice")
    presence = server.services.personal.presence
    await presence.touch(alice.user_id, alice.device_id, "online")
    await presence.touch(alice.user_id, second.device_id, "unavailable")
    await presence.touch(alice.user_id, second.device_id, "offline")
    assert (await alice.get(status(alice)))["presence"] == "online"


async def test_who_is_offline_is_forgotten(server: Homeserver, alice: Client, bob: Client) -> None:
    presence = server.services.personal.presence
    await room_of_two(alice, bob)
    await presence.set(alice.user_id, alice.device_id, "online", "here")
    await presence.touch(bob.user_id, bob.device_id, None, MINUTE)
    for number in range(50):
        stranger = await server.register(f"stranger{number}")
        await presence.touch(stranger.user_id, stranger.device_id, "online")
    await presence.set(alice.user_id, alice.device_id, "offline", "away")
    await presence.look()
    assert len(presence._users) == 51
    server.clock.advance(20 * MINUTE)
    presence.note_active(bob.user_id, bob.device_id)
    await presence.look()
    assert presence._users == {}
    assert (await bob.get(status(alice)))["status_msg"] == "away"
    presence.note_active(bob.user_id, bob.device_id)
    assert presence._users == {}
    before = server.services.server.wakeups.position
    await presence.touch(alice.user_id, alice.device_id, "online")
    [row] = await presence.changed(bob.user_id, before, server.services.server.wakeups.position)
    assert (row.presence, row.status_msg) == ("online", "away")


async def test_a_look_at_many_lets_others_have_their_turn(
    server: Homeserver, alice: Client, monkeypatch: pytest.MonkeyPatch
) -> None:
    presence = server.services.personal.presence
    monkeypatch.setattr(presence, "_turns", partial(Turns, held_s=0))
    for number in range(50):
        await presence.touch(f"@u{number}:test.example", "D", "online")
    _, turns = await with_turns(presence.look())
    assert turns >= 50


async def test_switched_off(tmp_path: Path) -> None:
    async with homeserver(tmp_path, presence={"enabled": False}) as server:
        alice = await server.register("alice")
        await alice.put(status(alice), {"presence": "online"})
        assert await alice.get(status(alice)) == {"presence": "offline"}


async def test_events_have_the_specs_form(server: Homeserver, alice: Client) -> None:
    presence = server.services.personal.presence
    await presence.set(alice.user_id, alice.device_id, "online", "here")
    [row] = await presence.of([alice.user_id])
    assert orjson.loads(presence.event(row)) == {
        "type": "m.presence",
        "sender": alice.user_id,
        "content": {
            "presence": "online",
            "status_msg": "here",
            "last_active_ago": 0,
            "currently_active": True,
            "displayname": "alice",
        },
    }


async def test_a_new_profile_is_told(server: Homeserver, alice: Client, bob: Client) -> None:
    await room_of_two(alice, bob)
    presence = server.services.personal.presence
    await presence.touch(alice.user_id, alice.device_id, "unavailable")
    before = server.services.server.wakeups.position
    await alice.put(f"/profile/{alice.user_id}/displayname", {"displayname": "Alice C."})
    await alice.put(f"/profile/{alice.user_id}/avatar_url", {"avatar_url": "mxc://test.example/a"})
    rows = await presence.changed(bob.user_id, before, server.services.server.wakeups.position)
    [content] = [orjson.loads(presence.event(row))["content"] for row in rows]
    assert content == {
        "presence": "unavailable",
        "last_active_ago": 0,
        "displayname": "Alice C.",
        "avatar_url": "mxc://test.example/a",
    }
    await presence.touch(alice.user_id, alice.device_id, "online")
    [row] = await presence.of([alice.user_id])
    assert (row.presence, row.displayname) == ("online", "Alice C.")


async def test_more_changes_than_are_gone_through(
    server: Homeserver, alice: Client, bob: Client, monkeypatch: pytest.MonkeyPatch
) -> None:
    presence = server.services.personal.presence
    monkeypatch.setattr(presence, "_max_changes", 2)
    await room_of_two(alice, bob)
    before = server.services.server.wakeups.position
    for name in ("carol", "dave"):
        stranger = await server.register(name)
        await presence.touch(stranger.user_id, stranger.device_id, "online")
    await presence.touch(alice.user_id, alice.device_id, "online")
    assert await told(server, bob, before) == [(alice.user_id, "online")]
