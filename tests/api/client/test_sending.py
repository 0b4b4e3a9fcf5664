"""PUT /send, PUT /redact and other requests with transaction IDs."""

from __future__ import annotations

import pytest

from tests.support.homeserver import Client


@pytest.mark.parametrize(
    "path",
    [
        "/rooms/{room}/send/m.room.message/",
        "/rooms/{room}/send//1",
        "/rooms/{room}/redact/{event}/",
        "/rooms/{room}/redact//1",
        "/sendToDevice/m.x/",
        "/sendToDevice//1",
        "/rooms/{room}/typing/",
        "/user/{user}/account_data/",
        "/user/{user}/rooms/{room}/tags/",
        "/pushrules/global/override/",
        "/profile/{user}/",
        "/devices/",
        "/directory/room/",
    ],
)
async def test_no_parameter_of_a_path_is_empty(alice: Client, path: str) -> None:
    room_id = await alice.create_room()
    event_id = await alice.send(room_id, "kept")
    path = path.format(room=room_id, event=event_id, user=alice.user_id)
    for _ in range(2):
        answer = await alice.put(path, {"messages": {}}, status=None)
        assert answer["errcode"] in ("M_INVALID_PARAM", "M_UNRECOGNIZED")
    found = (await alice.get(f"/rooms/{room_id}/messages?dir=b&limit=1"))["chunk"][0]
    assert (found["event_id"], found["content"]["body"]) == (event_id, "kept")


async def test_an_empty_state_key_is_one(alice: Client) -> None:
    room_id = await alice.create_room()
    await alice.put(f"/rooms/{room_id}/state/org.example.x/", {"a": 1})
    assert await alice.get(f"/rooms/{room_id}/state/org.example.x/") == {"a": 1}


@pytest.mark.parametrize("version", ["2", "10", "12"])
async def test_an_event_of_another_room_is_not_redacted(alice: Client, bob: Client, version: str) -> None:
    """Neither with the power to redact anything, nor by who sent it."""
    room_id = await alice.create_room(preset="public_chat", room_version=version)
    other = await bob.create_room(preset="public_chat", room_version=version)
    await alice.post(f"/join/{other}")
    event_id = await alice.send(room_id, "kept")
    for user in (alice, bob):
        since = (await user.get("/sync"))["next_batch"]
        answer = await user.put(f"/rooms/{other}/redact/{event_id}/1", status=404)
        assert answer["errcode"] == "M_NOT_FOUND"
        path = f"/rooms/{other}/send/m.room.redaction/2"
        answer = await user.put(path, {"redacts": event_id}, status=404)
        assert answer["errcode"] == "M_NOT_FOUND"
        assert other not in (await user.get(f"/sync?since={since}")).get("rooms", {}).get("join", {})
    assert (await alice.get(f"/rooms/{room_id}/event/{event_id}"))["content"]["body"] == "kept"
