"""The extensions of sliding sync: MSC3884, MSC3885, MSC3959, MSC3960 and MSC3961."""

from __future__ import annotations

import asyncio
from pathlib import Path
from typing import Any

from tests.support.encryption import device_keys, one_time_keys
from tests.support.homeserver import Client, Homeserver, homeserver
from tests.sync.sliding import Connection, Json, all_rooms, make_rooms, room_list


def with_extension(client: Client, name: str, *ranges: list[int], **config: Any) -> Connection:
    connection = Connection(client, lists={"all": room_list(*ranges)})
    connection.body["extensions"] = {name: {"enabled": True, **config}}
    return connection


async def extension(connection: Connection, name: str, **options: Any) -> Json:
    answer: Json = (await connection.sync(**options))["extensions"].get(name, {})
    return answer


async def send_to_device(sender: Client, to: Client, body: str) -> None:
    messages = {"messages": {to.user_id: {to.device_id: {"body": body}}}}
    await sender.put(f"/sendToDevice/org.test/{sender.transaction_id()}", messages)


def texts(answer: Json) -> list[str]:
    return [event["content"]["body"] for event in answer.get("events", ())]


async def test_nothing_that_is_not_asked_for(alice: Client) -> None:
    await alice.create_room()
    connection = all_rooms(alice)
    assert (await connection.sync())["extensions"] == {}
    off = {name: {"enabled": False} for name in ("to_device", "e2ee", "account_data", "receipts", "typing")}
    assert (await connection.sync(extensions=off))["extensions"] == {}


async def test_to_device(alice: Client, bob: Client) -> None:
    await send_to_device(bob, alice, "early")
    connection = with_extension(alice, "to_device")
    first = await extension(connection, "to_device")
    assert texts(first) == ["early"]
    # Not acknowledged: again, whatever the pos says.
    assert texts(await extension(connection, "to_device")) == ["early"]
    connection.body["extensions"]["to_device"]["since"] = first["next_batch"]
    second = await extension(connection, "to_device")
    assert texts(second) == []
    assert second["next_batch"]
    for number in range(3):
        await send_to_device(bob, alice, str(number))
    connection.body["extensions"]["to_device"]["limit"] = 2
    third = await extension(connection, "to_device")
    assert texts(third) == ["0", "1"]
    connection.body["extensions"]["to_device"]["since"] = third["next_batch"]
    fourth = await extension(connection, "to_device")
    assert texts(fourth) == ["2"]
    # What was acknowledged is gone, also for another connection.
    fresh = with_extension(alice, "to_device")
    fresh.body["conn_id"] = "fresh"
    assert texts(await extension(fresh, "to_device")) == ["2"]
    connection.body["extensions"]["to_device"] |= {"limit": 0}
    assert texts(await extension(connection, "to_device")) == []


async def test_a_message_to_the_device_ends_the_waiting(alice: Client, bob: Client) -> None:
    connection = with_extension(alice, "to_device")
    since = (await extension(connection, "to_device"))["next_batch"]
    connection.body["extensions"]["to_device"]["since"] = since
    waiting = asyncio.create_task(extension(connection, "to_device", timeout=30_000))
    await asyncio.sleep(0.05)
    assert not waiting.done()
    await send_to_device(bob, alice, "hello")
    assert texts(await asyncio.wait_for(waiting, 5)) == ["hello"]


async def test_e2ee(alice: Client, bob: Client) -> None:
    room_id = await alice.create_room(preset="public_chat")
    await bob.post(f"/join/{room_id}")
    connection = with_extension(alice, "e2ee")
    first = await extension(connection, "e2ee")
    assert first["device_one_time_keys_count"].get("signed_curve25519", 0) == 0
    assert first["device_unused_fallback_key_types"] == []
    assert "device_lists" not in first
    await bob.post("/keys/upload", {"device_keys": device_keys(bob.user_id, bob.device_id)})
    changed = await extension(connection, "e2ee")
    assert changed["device_lists"]["changed"] == [bob.user_id]
    assert "device_lists" not in await extension(connection, "e2ee")
    keys = one_time_keys(alice.user_id, alice.device_id, 1, 2)
    await alice.post("/keys/upload", {"one_time_keys": keys})
    counts = (await extension(connection, "e2ee"))["device_one_time_keys_count"]
    assert counts["signed_curve25519"] == 2
    await bob.post(f"/rooms/{room_id}/leave")
    assert (await extension(connection, "e2ee"))["device_lists"]["left"] == [bob.user_id]


async def test_account_data(alice: Client) -> None:
    rooms = await make_rooms(alice, 2)
    await alice.put(f"/user/{alice.user_id}/account_data/org.test", {"a": 1})
    for room_id in rooms:
        await alice.put(f"/user/{alice.user_id}/rooms/{room_id}/account_data/org.test", {"b": 1})
    connection = with_extension(alice, "account_data", [0, 0])
    first = await extension(connection, "account_data")
    assert {"m.push_rules", "org.test"} <= {event["type"] for event in first["global"]}
    of_room = [{"type": "org.test", "content": {"b": 1}}]
    assert first["rooms"] == {rooms[1]: of_room}
    assert await extension(connection, "account_data") == {}
    await alice.put(f"/user/{alice.user_id}/account_data/org.test", {"a": 2})
    await alice.put(f"/user/{alice.user_id}/rooms/{rooms[1]}/account_data/org.other", {"c": 1})
    await alice.put(f"/user/{alice.user_id}/rooms/{rooms[0]}/account_data/org.other", {"d": 1})
    second = await extension(connection, "account_data")
    assert second["global"] == [{"type": "org.test", "content": {"a": 2}}]
    assert second["rooms"] == {rooms[1]: [{"type": "org.other", "content": {"c": 1}}]}
    # A room that is new brings all of its own, and nothing else comes again.
    third = await extension(connection, "account_data", lists={"all": room_list([0, 9])})
    assert "global" not in third
    assert list(third["rooms"]) == [rooms[0]]
    assert {event["type"] for event in third["rooms"][rooms[0]]} == {"org.test", "org.other"}


async def test_account_data_that_is_asked_for_later(alice: Client) -> None:
    room_id = await alice.create_room()
    await alice.put(f"/user/{alice.user_id}/rooms/{room_id}/account_data/org.test", {"b": 1})
    connection = all_rooms(alice)
    await connection.sync()
    answer = await extension(connection, "account_data", extensions={"account_data": {"enabled": True}})
    assert {event["type"] for event in answer["global"]} >= {"m.push_rules"}
    assert list(answer["rooms"]) == [room_id]
    assert await extension(connection, "account_data") == {}


async def test_account_data_of_a_room_that_was_out_of_reach(alice: Client) -> None:
    rooms = await make_rooms(alice, 2)
    connection = with_extension(alice, "account_data", [0, 9])
    await connection.sync()
    await connection.sync(lists={"all": room_list([0, 0])})
    await alice.put(f"/user/{alice.user_id}/rooms/{rooms[0]}/account_data/org.test", {"b": 1})
    assert await extension(connection, "account_data") == {}
    answer = await extension(connection, "account_data", lists={"all": room_list([0, 9])})
    assert answer == {"rooms": {rooms[0]: [{"type": "org.test", "content": {"b": 1}}]}}


async def test_receipts(server: Homeserver, alice: Client, bob: Client) -> None:
    room_id = await alice.create_room(preset="public_chat")
    carol = await server.register("carol")
    for user in (bob, carol):
        await user.post(f"/join/{room_id}")
    old = await alice.send(room_id, "old")
    for user in (alice, carol):
        await user.post(f"/rooms/{room_id}/receipt/m.read.private/{old}")
        await user.post(f"/rooms/{room_id}/receipt/m.read/{old}")
    new = await alice.send(room_id, "new")
    await bob.post(f"/rooms/{room_id}/receipt/m.read/{new}")
    connection = with_extension(alice, "receipts")
    connection.body["lists"] = {"all": room_list(limit=1)}
    content = (await extension(connection, "receipts"))["rooms"][room_id]["content"]
    assert list(content[new]["m.read"]) == [bob.user_id]
    # Of what is not in the timeline only the user's own.
    assert list(content[old]["m.read"]) == [alice.user_id]
    assert list(content[old]["m.read.private"]) == [alice.user_id]
    assert await extension(connection, "receipts") == {}
    await carol.post(f"/rooms/{room_id}/receipt/m.read.private/{new}")
    assert await extension(connection, "receipts") == {}
    await carol.post(f"/rooms/{room_id}/receipt/m.read/{new}")
    receipt = (await extension(connection, "receipts"))["rooms"][room_id]
    assert receipt["type"] == "m.receipt"
    assert list(receipt["content"][new]["m.read"]) == [carol.user_id]


async def test_receipts_that_are_asked_for_later(alice: Client, bob: Client) -> None:
    room_id = await alice.create_room(preset="public_chat")
    await bob.post(f"/join/{room_id}")
    event_id = await alice.send(room_id, "hello")
    await bob.post(f"/rooms/{room_id}/receipt/m.read/{event_id}")
    connection = all_rooms(alice)
    await connection.sync()
    answer = await extension(connection, "receipts", extensions={"receipts": {"enabled": True}})
    assert list(answer["rooms"][room_id]["content"][event_id]["m.read"]) == [bob.user_id]


async def test_reading_changes_the_counts(alice: Client, bob: Client) -> None:
    room_id = await alice.create_room(preset="public_chat")
    await bob.post(f"/join/{room_id}")
    connection = all_rooms(bob)
    await connection.sync()
    event_id = await alice.send(room_id, f"for {bob.user_id}")
    room = (await connection.rooms())[room_id]
    assert room["notification_count"] == 1
    await bob.post(f"/rooms/{room_id}/receipt/m.read.private/{event_id}")
    room = (await connection.rooms())[room_id]
    assert room["notification_count"] == 0
    assert "timeline" not in room
    assert await connection.rooms() == {}


async def test_typing(alice: Client, bob: Client) -> None:
    room_id = await alice.create_room(preset="public_chat")
    await bob.post(f"/join/{room_id}")
    path = f"/rooms/{room_id}/typing/{bob.user_id}"
    early = with_extension(alice, "typing")
    assert await extension(early, "typing") == {}
    waiting = asyncio.create_task(extension(early, "typing", timeout=30_000))
    await asyncio.sleep(0.05)
    await bob.put(path, {"typing": True, "timeout": 20_000})
    answer = await asyncio.wait_for(waiting, 5)
    assert answer["rooms"][room_id] == {"type": "m.typing", "content": {"user_ids": [bob.user_id]}}
    late = with_extension(alice, "typing")
    late.body["conn_id"] = "late"
    assert (await extension(late, "typing"))["rooms"][room_id]["content"]["user_ids"] == [bob.user_id]
    await bob.put(path, {"typing": False})
    for connection in (early, late):
        assert (await extension(connection, "typing"))["rooms"][room_id]["content"]["user_ids"] == []
        assert await extension(connection, "typing") == {}


async def test_extensions_for_some_lists_and_rooms(alice: Client, bob: Client) -> None:
    one, two, three = await make_rooms(alice, 3, preset="public_chat")
    for room_id in (one, two, three):
        await bob.post(f"/join/{room_id}")
        await bob.put(f"/rooms/{room_id}/typing/{bob.user_id}", {"typing": True, "timeout": 20_000})

    async def typing_in(**config: Any) -> set[str]:
        connection = Connection(
            alice,
            lists={"top": room_list([0, 0]), "rest": room_list([1, 1])},
            room_subscriptions={one: {"timeline_limit": 1, "required_state": []}},
            extensions={"typing": {"enabled": True, **config}},
        )
        return set((await extension(connection, "typing")).get("rooms", {}))

    top, second = three, two
    assert await typing_in() == {one, top, second}
    assert await typing_in(lists=["top"]) == {one, top}
    assert await typing_in(lists=["*"], rooms=[]) == {top, second}
    assert await typing_in(lists=[], rooms=[one, "!no:test.example"]) == {one}
    assert await typing_in(lists=[], rooms=[]) == set()


async def test_extensions_after_a_restart(tmp_path: Path) -> None:
    async with homeserver(tmp_path) as server:
        alice = await server.register("alice")
        await alice.create_room()
        connection = with_extension(alice, "account_data")
        await connection.sync()
        await alice.put(f"/user/{alice.user_id}/account_data/org.test", {"a": 1})
    async with homeserver(tmp_path) as server:
        alice.http = server.http
        answer = await extension(connection, "account_data")
        assert answer == {"global": [{"type": "org.test", "content": {"a": 1}}]}


async def test_thread_subscriptions(alice: Client) -> None:
    name = "io.element.msc4308.thread_subscriptions"
    room_id = await alice.create_room()
    roots = [await alice.send(room_id, str(number)) for number in range(4)]

    async def follow(root: str, method: str = "PUT") -> None:
        path = f"/client/unstable/io.element.msc4306/rooms/{room_id}/thread/{root}/subscription"
        await alice.request(method, path, {})

    await follow(roots[0])
    connection = Connection(alice, extensions={name: {"enabled": True, "limit": 2}})
    first = await extension(connection, name)
    assert list(first["subscribed"][room_id]) == [roots[0]]
    assert first["subscribed"][room_id][roots[0]]["automatic"] is False
    assert await extension(connection, name) == {}
    before = connection.pos
    await follow(roots[0], "DELETE")
    for root in roots[1:]:
        await follow(root)
    second = await extension(connection, name)
    assert set(second["subscribed"][room_id]) == set(roots[2:])
    page = await alice.request(
        "GET",
        "/client/unstable/io.element.msc4308/thread_subscriptions",
        params={"dir": "b", "from": second["prev_batch"], "to": before},
    )
    assert list(page["subscribed"][room_id]) == [roots[1]]
    assert list(page["unsubscribed"][room_id]) == [roots[0]]
    assert await extension(connection, name) == {}
