"""GET /notifications."""

from __future__ import annotations

from typing import Any

from tests.support.homeserver import Client, Homeserver


async def listed(client: Client, **params: Any) -> dict[str, Any]:
    found: dict[str, Any] = await client.get("/notifications", params=params)
    return found


async def room_of_two(server: Homeserver) -> tuple[Client, Client, str]:
    alice, bob = await server.register("alice"), await server.register("bob")
    room_id = await bob.create_room(preset="public_chat")
    await bob.send(room_id, "before alice came")
    await alice.post(f"/join/{room_id}")
    return alice, bob, room_id


async def test_newest_first_with_what_is_read(server: Homeserver) -> None:
    alice, bob, room_id = await room_of_two(server)
    first = await bob.send(room_id, "one")
    second = await bob.send(room_id, "two")
    await alice.post(f"/rooms/{room_id}/receipt/m.read/{first}")
    found = (await listed(alice))["notifications"]
    assert [(item["event"]["event_id"], item["read"]) for item in found] == [(second, False), (first, True)]
    assert found[0]["room_id"] == room_id
    assert found[0]["actions"][0] == "notify"
    assert "room_id" not in found[0]["event"]
    assert (await listed(bob))["notifications"] == []


async def test_pages(server: Homeserver) -> None:
    alice, bob, room_id = await room_of_two(server)
    sent = [await bob.send(room_id, str(number)) for number in range(5)]
    seen: list[str] = []
    token: dict[str, str] = {}
    for _ in range(10):
        page = await listed(alice, limit=2, **token)
        seen += [item["event"]["event_id"] for item in page["notifications"]]
        if "next_token" not in page:
            break
        assert len(page["notifications"]) <= 2
        token = {"from": page["next_token"]}
    assert seen == sent[::-1]


async def test_highlights_only(server: Homeserver) -> None:
    alice, bob, room_id = await room_of_two(server)
    await bob.send(room_id, "nothing special")
    content = {"msgtype": "m.text", "body": "you!", "m.mentions": {"user_ids": [alice.user_id]}}
    path = f"/rooms/{room_id}/send/m.room.message/{bob.transaction_id()}"
    event_id = (await bob.put(path, content))["event_id"]
    found = (await listed(alice, only="highlight"))["notifications"]
    assert [item["event"]["event_id"] for item in found] == [event_id]


async def test_an_invite_notifies(server: Homeserver) -> None:
    alice, bob = await server.register("alice"), await server.register("bob")
    room_id = await bob.create_room(invite=[alice.user_id])
    found = (await listed(alice))["notifications"]
    assert [(item["room_id"], item["event"]["type"]) for item in found] == [(room_id, "m.room.member")]


async def test_tokens_of_others(server: Homeserver) -> None:
    alice = await server.register("alice")
    for token in ("x", "n", "n-1", "n" + "9" * 30):
        error = await alice.get("/notifications", params={"from": token}, status=400)
        assert error["errcode"] == "M_INVALID_PARAM"


async def test_invites_that_are_not_wanted_notify_nobody(server: Homeserver) -> None:
    alice, bob = await server.register("alice"), await server.register("bob")
    path = f"/user/{alice.user_id}/account_data/org.matrix.msc4155.invite_permission_config"
    await alice.put(path, {"ignored_users": [bob.user_id]})
    await bob.create_room(invite=[alice.user_id])
    assert (await listed(alice))["notifications"] == []
    assert (await alice.get("/initialSync"))["rooms"] == []
    await alice.put(path, {"enabled": False, "ignored_users": [bob.user_id]})
    assert len((await listed(alice))["notifications"]) == 1
    assert len((await alice.get("/initialSync"))["rooms"]) == 1
