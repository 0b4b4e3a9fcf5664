"""GET /sync: what those see of a room who are not in it any more."""

from __future__ import annotations

import json
from typing import Any

import pytest

from tests.support.homeserver import Client, Homeserver

Json = dict[str, Any]


async def sync(client: Client, since: str | None = None, **params: Any) -> Json:
    """A sync."""
    answer: Json = await client.get("/sync", params={**params, **({"since": since} if since else {})})
    return answer


async def banned_after_leaving(alice: Client, bob: Client) -> tuple[str, str]:
    """A room whose name changed between Bob's leaving and his ban, and his token of when he was in."""
    room_id = await alice.create_room(preset="public_chat", name="Tea")
    await bob.post(f"/join/{room_id}")
    since = (await sync(bob))["next_batch"]
    await alice.send(room_id, "before")
    await bob.post(f"/rooms/{room_id}/leave")
    await alice.put(f"/rooms/{room_id}/state/m.room.name", {"name": "Secret"})
    await alice.put(f"/rooms/{room_id}/state/m.room.topic", {"topic": "Secret"})
    await alice.send(room_id, "Secret")
    await alice.post(f"/rooms/{room_id}/ban", {"user_id": bob.user_id})
    return room_id, since


async def test_a_ban_shows_nothing_of_the_time_after_leaving(alice: Client, bob: Client) -> None:
    room_id, since = await banned_after_leaving(alice, bob)
    for params in ({}, {"use_state_after": "true"}):
        left = (await sync(bob, since, **params))["rooms"]["leave"][room_id]
        assert "Secret" not in json.dumps(left)
        shown = [event["content"] for event in left["timeline"]["events"]]
        assert shown[0]["body"] == "before"
        assert shown[-1]["membership"] == "ban"


async def test_an_archived_room_that_one_was_banned_from_has_its_state(alice: Client, bob: Client) -> None:
    room_id, _ = await banned_after_leaving(alice, bob)
    filter_ = json.dumps({"room": {"include_leave": True, "timeline": {"limit": 2}}})
    for params in ({}, {"use_state_after": "true"}):
        left = (await sync(bob, filter=filter_, **params))["rooms"]["leave"][room_id]
        assert "Secret" not in json.dumps(left)
        state = left.get("state") or left["state_after"]
        assert [event["content"] for event in state["events"] if event["type"] == "m.room.name"] == [
            {"name": "Tea"}
        ]


async def test_who_leaves_while_syncing_misses_nothing(
    server: Homeserver, alice: Client, bob: Client, monkeypatch: pytest.MonkeyPatch
) -> None:
    room_id = await alice.create_room(preset="public_chat")
    await bob.post(f"/join/{room_id}")
    since = (await sync(bob))["next_batch"]
    event_id = await alice.send(room_id, "goodbye")
    changed = server.services.personal.account_data.changed

    async def leaving(*args: Any) -> Any:
        monkeypatch.undo()
        await bob.post(f"/rooms/{room_id}/leave")
        return await changed(*args)

    monkeypatch.setattr(server.services.personal.account_data, "changed", leaving)
    first = await sync(bob, since)
    second = await sync(bob, first["next_batch"])
    assert event_id in json.dumps([first, second])
    assert room_id in second["rooms"]["leave"]


async def test_the_first_sync_tells_who_was_made_to_leave(alice: Client, bob: Client) -> None:
    room_id, _ = await banned_after_leaving(alice, bob)
    kicked, left, rescinded = [await alice.create_room(preset="public_chat") for _ in range(3)]
    for room in (kicked, left):
        await bob.post(f"/join/{room}")
    await bob.post(f"/rooms/{left}/leave")
    await alice.post(f"/rooms/{rescinded}/invite", {"user_id": bob.user_id})
    for room in (kicked, rescinded):
        await alice.post(f"/rooms/{room}/kick", {"user_id": bob.user_id})
    rooms = (await sync(bob))["rooms"]["leave"]
    assert set(rooms) == {room_id, kicked}
    assert rooms[kicked]["timeline"]["events"][-1]["content"]["membership"] == "leave"
    await bob.post(f"/rooms/{kicked}/forget")
    assert set((await sync(bob))["rooms"]["leave"]) == {room_id}
