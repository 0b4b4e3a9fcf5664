"""GET /sync: coming into rooms, leaving them and coming back."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

from tests.support.homeserver import Client, Homeserver, homeserver

Json = dict[str, Any]


async def sync(client: Client, since: str | None = None, **params: Any) -> Json:
    """A sync."""
    answer: Json = await client.get("/sync", params={**params, **({"since": since} if since else {})})
    return answer


def bodies(room: Json) -> list[str]:
    """The texts in a room's timeline."""
    return [event["content"]["body"] for event in room["timeline"]["events"] if "body" in event["content"]]


def state(room: Json) -> dict[str, Json]:
    """The state that a client has which knew nothing: by type, of the empty key."""
    events = [*room["state"]["events"], *room["timeline"]["events"]]
    return {event["type"]: event["content"] for event in events if event.get("state_key") == ""}


async def test_leaving_and_coming_back_between_two_syncs(alice: Client, bob: Client) -> None:
    room_id = await alice.create_room(preset="public_chat", name="Tea")
    path = f"/rooms/{room_id}/state/m.room.history_visibility"
    await alice.put(path, {"history_visibility": "joined"})
    await bob.post(f"/join/{room_id}")
    since = (await sync(bob))["next_batch"]
    await alice.send(room_id, "one")
    await bob.post(f"/rooms/{room_id}/leave")
    await alice.send(room_id, "not for Bob")
    await alice.put(f"/rooms/{room_id}/state/m.room.name", {"name": "Coffee"})
    await bob.post(f"/join/{room_id}")
    await alice.send(room_id, "two")
    answer = await sync(bob, since)
    assert "leave" not in answer["rooms"]
    room = answer["rooms"]["join"][room_id]
    assert bodies(room) == ["one", "two"]
    assert state(room)["m.room.name"] == {"name": "Coffee"}


async def test_a_room_that_was_joined_and_left_between_two_syncs(alice: Client, bob: Client) -> None:
    room_id = await alice.create_room(preset="public_chat", name="Tea")
    since = (await sync(bob))["next_batch"]
    await bob.post(f"/join/{room_id}")
    await alice.send(room_id, "hello")
    await bob.post(f"/rooms/{room_id}/leave")
    await alice.send(room_id, "not for Bob")
    answer = await sync(bob, since)
    assert "join" not in answer["rooms"]
    room = answer["rooms"]["leave"][room_id]
    assert "hello" in bodies(room)
    assert "not for Bob" not in bodies(room)
    assert state(room)["m.room.name"] == {"name": "Tea"}


async def test_an_invitation_that_is_accepted_turned_down_or_taken_back(alice: Client, bob: Client) -> None:
    rooms = [await alice.create_room(name=str(number), invite=[bob.user_id]) for number in range(3)]
    answer = await sync(bob)
    assert set(answer["rooms"]["invite"]) == set(rooms)
    accepted, declined, revoked = rooms
    await bob.post(f"/join/{accepted}")
    await bob.post(f"/rooms/{declined}/leave")
    await alice.post(f"/rooms/{revoked}/kick", {"user_id": bob.user_id})
    answer = await sync(bob, answer["next_batch"])
    assert set(answer["rooms"]) == {"join", "leave"}
    assert set(answer["rooms"]["join"]) == {accepted}
    assert set(answer["rooms"]["leave"]) == {declined, revoked}
    for room in answer["rooms"]["leave"].values():
        assert [event["content"]["membership"] for event in room["timeline"]["events"]] == ["leave"]
        assert room["state"]["events"] == []


async def test_messages_to_the_device_wait_for_their_acknowledgement(
    tmp_path: Path,
) -> None:
    async with homeserver(tmp_path) as server:
        alice = await server.register("alice")
        since = (await sync(alice))["next_batch"]
        for number in range(150):
            messages = {alice.user_id: {alice.device_id: {"number": number}}}
            await alice.put(f"/sendToDevice/a.b/{number}", {"messages": messages})
    async with homeserver(tmp_path) as server:
        alice = Client(server.http, alice.user_id, alice.token, alice.device_id)
        first = await sync(alice, since)
        assert len(first["to_device"]["events"]) == 100
        again = await sync(alice, since)
        assert [event["content"] for event in again["to_device"]["events"]] == [
            {"number": number} for number in range(100)
        ]
        second = await sync(alice, first["next_batch"])
        assert [event["content"]["number"] for event in second["to_device"]["events"]] == [*range(100, 150)]
        assert "to_device" not in await sync(alice, second["next_batch"])
        assert "to_device" not in await sync(alice, since)


async def test_device_lists(server: Homeserver, alice: Client, bob: Client) -> None:
    carol = await server.register("carol")
    room_id = await alice.create_room(preset="public_chat")
    since = (await sync(alice))["next_batch"]
    await bob.post(f"/join/{room_id}")
    answer = await sync(alice, since)
    assert answer["device_lists"]["changed"] == [bob.user_id]
    keys = {
        "device_keys": {
            "user_id": bob.user_id,
            "device_id": bob.device_id,
            "algorithms": [],
            "keys": {},
            "signatures": {},
        }
    }
    await bob.post("/keys/upload", keys)
    answer = await sync(alice, answer["next_batch"])
    assert answer["device_lists"]["changed"] == [bob.user_id]
    await carol.post("/keys/upload", {"one_time_keys": {}})
    await bob.post(f"/rooms/{room_id}/leave")
    answer = await sync(alice, answer["next_batch"])
    assert answer["device_lists"]["left"] == [bob.user_id]
    await server.login("alice")
    answer = await sync(alice, answer["next_batch"])
    assert "rooms" not in answer


async def test_the_user_s_own_settings(alice: Client) -> None:
    answer = await sync(alice)
    assert "m.push_rules" in {event["type"] for event in answer["account_data"]["events"]}
    await alice.put(f"/user/{alice.user_id}/account_data/a.b", {"c": 1})
    answer = await sync(alice, answer["next_batch"])
    assert answer["account_data"]["events"] == [{"type": "a.b", "content": {"c": 1}}]
    filter_ = json.dumps({"account_data": {"not_types": ["a.*"]}})
    answer = await sync(alice, filter=filter_)
    assert "a.b" not in {event["type"] for event in answer["account_data"]["events"]}


async def test_threads_are_counted_by_themselves_where_that_is_asked_for(alice: Client, bob: Client) -> None:
    room_id = await alice.create_room(preset="public_chat")
    await bob.post(f"/join/{room_id}")
    root = await alice.send(room_id, "root")
    for number in range(2):
        content = {
            "msgtype": "m.text",
            "body": f"{number} {alice.user_id}",
            "m.mentions": {"user_ids": [alice.user_id]},
            "m.relates_to": {"rel_type": "m.thread", "event_id": root},
        }
        await bob.put(f"/rooms/{room_id}/send/m.room.message/t{number}", content)
    await bob.send(room_id, "main")
    room = (await sync(alice))["rooms"]["join"][room_id]
    assert room["unread_notifications"] == {"notification_count": 3, "highlight_count": 2}
    assert "unread_thread_notifications" not in room
    threads = json.dumps({"room": {"timeline": {"unread_thread_notifications": True}}})
    answer = await sync(alice, filter=threads)
    room = answer["rooms"]["join"][room_id]
    assert room["unread_notifications"] == {"notification_count": 1, "highlight_count": 0}
    assert room["unread_thread_notifications"] == {root: {"notification_count": 2, "highlight_count": 2}}
    last = room["timeline"]["events"][-2]["event_id"]
    await alice.post(f"/rooms/{room_id}/receipt/m.read.private/{last}", {"thread_id": root})
    room = (await sync(alice, answer["next_batch"], filter=threads))["rooms"]["join"][room_id]
    assert room["unread_notifications"]["notification_count"] == 1
    assert "unread_thread_notifications" not in room


async def test_odd_tokens(alice: Client) -> None:
    for since in ("s1.2.3", "s-1", "s9" * 20, "t1-2", "0", "s1_", "s٣", "\0"):
        answer = await alice.get("/sync", params={"since": since}, status=400)
        assert answer["errcode"] == "M_INVALID_PARAM"
    for since in ("s0", "s999999999999999999", "s5.999"):
        await sync(alice, since)


async def test_timeouts_without_end(alice: Client) -> None:
    await sync(alice, timeout="9" * 400)
    await sync(alice, timeout="-" + "9" * 400)
    await alice.get("/sync", params={"timeout": "9" * 5000}, status=400)
