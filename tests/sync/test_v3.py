"""GET /sync."""

from __future__ import annotations

import asyncio
from pathlib import Path
from typing import Any

from tests.support.homeserver import Client, Homeserver, homeserver

Json = dict[str, Any]


async def sync(client: Client, since: str | None = None, **params: Any) -> Json:
    query = {**params, **({"since": since} if since else {})}
    answer: Json = await client.get("/sync", params=query)
    return answer


def bodies(room: Json) -> list[str]:
    return [event["content"]["body"] for event in room["timeline"]["events"] if "body" in event["content"]]


async def test_a_room_from_its_beginning(alice: Client) -> None:
    room_id = await alice.create_room(name="Tea")
    await alice.send(room_id, "hello")
    answer = await sync(alice)
    room = answer["rooms"]["join"][room_id]
    timeline = room["timeline"]["events"]
    assert timeline[0]["type"] == "m.room.create"
    assert bodies(room) == ["hello"]
    assert not room["timeline"]["limited"]
    assert room["state"]["events"] == []
    assert room["summary"]["m.joined_member_count"] == 1
    assert timeline[-1]["unsigned"]["transaction_id"] == "txn1"


async def test_only_what_is_new(alice: Client) -> None:
    room_id = await alice.create_room()
    before = await sync(alice)
    assert "rooms" not in await sync(alice, before["next_batch"])
    await alice.send(room_id, "one")
    await alice.send(room_id, "two")
    after = await sync(alice, before["next_batch"])
    room = after["rooms"]["join"][room_id]
    assert bodies(room) == ["one", "two"]
    assert room["state"]["events"] == []
    assert "rooms" not in await sync(alice, after["next_batch"])


async def test_a_gap_is_limited_and_carries_the_state_it_hides(alice: Client, bob: Client) -> None:
    room_id = await alice.create_room(preset="public_chat")
    since = (await sync(alice))["next_batch"]
    await bob.post(f"/join/{room_id}")
    for number in range(12):
        await alice.send(room_id, str(number))
    room = (await sync(alice, since))["rooms"]["join"][room_id]
    assert room["timeline"]["limited"]
    assert bodies(room) == [str(number) for number in range(2, 12)]
    assert [(event["type"], event["state_key"]) for event in room["state"]["events"]] == [
        ("m.room.member", bob.user_id)
    ]
    older = await alice.get(
        f"/rooms/{room_id}/messages", params={"dir": "b", "from": room["timeline"]["prev_batch"], "limit": 2}
    )
    assert [event["content"]["body"] for event in older["chunk"]] == ["1", "0"]


async def test_waiting_ends_with_a_message(alice: Client, bob: Client) -> None:
    room_id = await alice.create_room(preset="public_chat")
    await bob.post(f"/join/{room_id}")
    since = (await sync(bob))["next_batch"]
    waiting = asyncio.create_task(sync(bob, since, timeout=30_000))
    await asyncio.sleep(0.05)
    assert not waiting.done()
    await alice.send(room_id, "wake up")
    answer = await asyncio.wait_for(waiting, 5)
    assert bodies(answer["rooms"]["join"][room_id]) == ["wake up"]


async def test_waiting_is_not_ended_by_rooms_of_others(alice: Client, bob: Client) -> None:
    await alice.create_room()
    since = (await sync(alice))["next_batch"]
    waiting = asyncio.create_task(sync(alice, since, timeout=300))
    other = await bob.create_room()
    await bob.send(other, "not for alice")
    answer = await waiting
    assert "rooms" not in answer


async def test_tokens_survive_a_restart(tmp_path: Path) -> None:
    async with homeserver(tmp_path) as server:
        alice = await server.register("alice")
        room_id = await alice.create_room()
        since = (await sync(alice))["next_batch"]
        await alice.send(room_id, "before the restart")
    async with homeserver(tmp_path) as server:
        alice.http = server.http
        await alice.send(room_id, "after the restart")
        answer = await sync(alice, since)
        assert bodies(answer["rooms"]["join"][room_id]) == ["before the restart", "after the restart"]


async def test_invite_join_and_leave(alice: Client, bob: Client) -> None:
    room_id = await alice.create_room(name="Tea", invite=[bob.user_id])
    first = await sync(bob)
    shown = first["rooms"]["invite"][room_id]["invite_state"]["events"]
    assert {"m.room.create", "m.room.name", "m.room.member"} <= {event["type"] for event in shown}
    assert "join" not in first["rooms"]

    await bob.post(f"/join/{room_id}")
    second = await sync(bob, first["next_batch"])
    room = second["rooms"]["join"][room_id]
    assert room["timeline"]["events"][-1]["content"]["membership"] == "join"
    assert "invite" not in second["rooms"]

    await bob.post(f"/rooms/{room_id}/leave")
    await alice.send(room_id, "secret")
    third = await sync(bob, second["next_batch"])
    left = third["rooms"]["leave"][room_id]
    assert left["timeline"]["events"][-1]["content"]["membership"] == "leave"
    assert bodies(left) == []
    assert "join" not in third["rooms"]
    assert "rooms" not in await sync(bob, third["next_batch"])
    assert "rooms" not in await sync(bob)


async def test_a_rejected_invite_is_left(alice: Client, bob: Client) -> None:
    room_id = await alice.create_room(invite=[bob.user_id])
    since = (await sync(bob))["next_batch"]
    await bob.post(f"/rooms/{room_id}/leave")
    left = (await sync(bob, since))["rooms"]["leave"][room_id]
    assert [event["type"] for event in left["timeline"]["events"]] == ["m.room.member"]
    assert left["state"]["events"] == []


async def test_a_newly_joined_room_comes_whole(alice: Client, bob: Client) -> None:
    room_id = await alice.create_room(preset="public_chat", name="Tea")
    for number in range(12):
        await alice.send(room_id, str(number))
    since = (await sync(bob))["next_batch"]
    await bob.post(f"/join/{room_id}")
    room = (await sync(bob, since))["rooms"]["join"][room_id]
    assert room["timeline"]["limited"]
    assert "m.room.name" in {event["type"] for event in room["state"]["events"]}
    assert room["summary"]["m.joined_member_count"] == 2


async def test_lazy_members_come_with_who_speaks(server: Homeserver, alice: Client, bob: Client) -> None:
    carol = await server.register("carol")
    room_id = await alice.create_room(preset="public_chat", name="Tea")
    for user in (bob, carol):
        await user.post(f"/join/{room_id}")
    await bob.send(room_id, "hi")
    lazy = '{"room":{"timeline":{"limit":1},"state":{"lazy_load_members":true}}}'

    def members(room: Json) -> set[str]:
        return {e["state_key"] for e in room["state"]["events"] if e["type"] == "m.room.member"}

    first = await sync(alice, filter=lazy)
    assert members(first["rooms"]["join"][room_id]) == {alice.user_id, bob.user_id}
    await bob.send(room_id, "again")
    second = await sync(alice, first["next_batch"], filter=lazy)
    assert members(second["rooms"]["join"][room_id]) == set()
    await carol.send(room_id, "and me")
    third = await sync(alice, second["next_batch"], filter=lazy)
    assert members(third["rooms"]["join"][room_id]) == {carol.user_id}
    again = await sync(alice, second["next_batch"], filter=lazy)
    assert members(again["rooms"]["join"][room_id]) == {carol.user_id}, "the response may have been lost"


async def test_state_after(alice: Client) -> None:
    room_id = await alice.create_room(name="Old")
    since = (await sync(alice))["next_batch"]
    await alice.put(f"/rooms/{room_id}/state/m.room.name", {"name": "New"})
    names = ["state_after", "org.matrix.msc4222.state_after"]
    for asked, name in (("use_state_after", names[0]), ("org.matrix.msc4222.use_state_after", names[1])):
        room = (await sync(alice, since, **{asked: True}))["rooms"]["join"][room_id]
        assert {"state", *names} & set(room) == {name}
        assert [event["content"] for event in room[name]["events"]] == [{"name": "New"}]


async def test_full_state(alice: Client) -> None:
    room_id = await alice.create_room(name="Tea")
    since = (await sync(alice))["next_batch"]
    room = (await sync(alice, since, full_state=True))["rooms"]["join"][room_id]
    assert "m.room.name" in {event["type"] for event in room["state"]["events"]}


async def test_bad_tokens_and_filters(alice: Client) -> None:
    for params in ({"since": "nonsense"}, {"filter": "{"}, {"filter": '{"room":1}'}, {"timeout": "x"}):
        answer = await alice.get("/sync", params=params, status=400)
        assert answer["errcode"] in ("M_INVALID_PARAM", "M_BAD_JSON", "M_NOT_JSON")


async def test_typing_receipts_and_account_data(alice: Client, bob: Client) -> None:
    room_id = await alice.create_room(preset="public_chat")
    await bob.post(f"/join/{room_id}")
    event_id = await alice.send(room_id, "read me")
    since = (await sync(alice))["next_batch"]
    await bob.put(f"/rooms/{room_id}/typing/{bob.user_id}", {"typing": True, "timeout": 20_000})
    await bob.post(f"/rooms/{room_id}/receipt/m.read/{event_id}")
    await alice.put(f"/user/{alice.user_id}/rooms/{room_id}/account_data/org.test", {"a": 1})
    await alice.put(f"/user/{alice.user_id}/account_data/org.test", {"b": 2})
    answer = await sync(alice, since)
    room = answer["rooms"]["join"][room_id]
    ephemeral = {event["type"]: event["content"] for event in room["ephemeral"]["events"]}
    assert ephemeral["m.typing"] == {"user_ids": [bob.user_id]}
    assert list(ephemeral["m.receipt"][event_id]["m.read"]) == [bob.user_id]
    assert room["account_data"]["events"] == [{"type": "org.test", "content": {"a": 1}}]
    assert answer["account_data"]["events"] == [{"type": "org.test", "content": {"b": 2}}]
    again = await sync(alice, answer["next_batch"])
    assert "rooms" not in again
    assert "account_data" not in again


async def test_unread_counts_go_with_a_receipt(alice: Client, bob: Client) -> None:
    room_id = await alice.create_room(preset="public_chat")
    await bob.post(f"/join/{room_id}")
    since = (await sync(bob))["next_batch"]
    event_id = await alice.send(room_id, "one")
    answer = await sync(bob, since)
    assert answer["rooms"]["join"][room_id]["unread_notifications"]["notification_count"] == 1
    await bob.post(f"/rooms/{room_id}/receipt/m.read/{event_id}")
    answer = await sync(bob, answer["next_batch"])
    assert answer["rooms"]["join"][room_id]["unread_notifications"]["notification_count"] == 0


async def test_ignored_users_are_not_heard(alice: Client, bob: Client) -> None:
    room_id = await alice.create_room(preset="public_chat")
    await bob.post(f"/join/{room_id}")
    ignored = {"ignored_users": {bob.user_id: {}}}
    await alice.put(f"/user/{alice.user_id}/account_data/m.ignored_user_list", ignored)
    since = (await sync(alice))["next_batch"]
    await bob.send(room_id, "hear me")
    await alice.send(room_id, "silence")
    room = (await sync(alice, since))["rooms"]["join"][room_id]
    assert bodies(room) == ["silence"]


async def test_invites_that_are_not_wanted_are_not_shown(alice: Client, bob: Client) -> None:
    since = (await sync(bob))["next_batch"]
    path = f"/user/{bob.user_id}/account_data/org.matrix.msc4155.invite_permission_config"
    await bob.put(path, {"ignored_users": [alice.user_id]})
    await alice.create_room(invite=[bob.user_id])
    assert "rooms" not in await sync(bob, since)
    await bob.put(path, {})
    room_id = await alice.create_room(invite=[bob.user_id])
    assert room_id in (await sync(bob, since))["rooms"]["invite"]
