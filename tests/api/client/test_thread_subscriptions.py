"""Following threads (MSC4306, MSC4308)."""

from __future__ import annotations

from pathlib import Path
from typing import Any

from tests.support.homeserver import Client, Homeserver, homeserver
from tests.support.rooms import make_room, member

UNSTABLE = "/client/unstable/io.element."


async def say(client: Client, room_id: str, root: str) -> str:
    content = {"body": "x", "m.relates_to": {"rel_type": "m.thread", "event_id": root}}
    path = f"/rooms/{room_id}/send/m.room.message/{client.transaction_id()}"
    event_id: str = (await client.put(path, content))["event_id"]
    return event_id


async def test_following_and_leaving_a_thread(server: Homeserver, alice: Client, bob: Client) -> None:
    room_id = await make_room(server, alice)
    root = await alice.send(room_id, "root")
    path = f"{UNSTABLE}msc4306/rooms/{room_id}/thread/{root}/subscription"

    async def call(method: str, body: Any = None, status: int = 200) -> Any:
        return await alice.request(method, path, body, status=status)

    assert (await call("GET", status=404))["errcode"] == "M_NOT_FOUND"
    await call("DELETE")
    assert await call("PUT", {}) == {}
    assert await call("GET") == {"automatic": False}
    await call("DELETE")
    await call("GET", status=404)
    await bob.request("PUT", path, {}, status=404)
    nowhere = path.replace(root, "$nowhere")
    await alice.request("PUT", nowhere, {}, status=404)


async def test_following_by_itself(server: Homeserver, alice: Client) -> None:
    room_id = await make_room(server, alice)
    root = await alice.send(room_id, "root")
    path = f"{UNSTABLE}msc4306/rooms/{room_id}/thread/{root}/subscription"
    refused = await alice.request("PUT", path, {"automatic": root}, status=400)
    assert refused["errcode"] == "IO.ELEMENT.MSC4306.M_NOT_IN_THREAD"
    first = await say(alice, room_id, root)
    await alice.request("PUT", path, {"automatic": first})
    assert await alice.request("GET", path) == {"automatic": True}
    await alice.request("DELETE", path)
    conflict = await alice.request("PUT", path, {"automatic": first}, status=409)
    assert conflict["errcode"] == "IO.ELEMENT.MSC4306.M_CONFLICTING_UNSUBSCRIPTION"
    second = await say(alice, room_id, root)
    await alice.request("DELETE", path)
    await alice.request("PUT", path, {"automatic": second}, status=409)
    await alice.request("PUT", path, {"automatic": await say(alice, room_id, root)})
    await alice.request("PUT", path, {})
    assert await alice.request("GET", path) == {"automatic": False}
    await alice.request("PUT", path, {"automatic": first})
    assert await alice.request("GET", path) == {"automatic": False}


async def test_listing_changes(server: Homeserver, alice: Client) -> None:
    room_id = await make_room(server, alice)
    roots = [await alice.send(room_id, str(number)) for number in range(3)]
    for root in roots:
        await alice.request("PUT", f"{UNSTABLE}msc4306/rooms/{room_id}/thread/{root}/subscription", {})
    await alice.request("DELETE", f"{UNSTABLE}msc4306/rooms/{room_id}/thread/{roots[0]}/subscription")
    url = f"{UNSTABLE}msc4308/thread_subscriptions"
    page = await alice.request("GET", url, params={"limit": 2})
    assert list(page["unsubscribed"][room_id]) == [roots[0]]
    assert list(page["subscribed"][room_id]) == [roots[2]]
    page = await alice.request("GET", url, params={"limit": 2, "from": page["end"]})
    assert list(page["subscribed"][room_id]) == [roots[1]]
    assert "end" not in page


async def unread(client: Client, room_id: str) -> int:
    room = (await client.get("/sync"))["rooms"]["join"][room_id]
    count: int = room["unread_notifications"]["notification_count"]
    return count


async def test_threads_that_are_not_followed_are_silent(tmp_path: Path) -> None:
    async with homeserver(tmp_path, push={"thread_subscriptions": True}) as server:
        alice, bob = await server.register("alice"), await server.register("bob")
        room_id = await make_room(server, alice)
        await member(server, room_id, bob, "join")
        root = await alice.send(room_id, "root")
        path = f"{UNSTABLE}msc4306/rooms/{room_id}/thread/{root}/subscription"
        await bob.put(f"/pushrules/global/room/{room_id}", {"actions": []})
        assert await unread(bob, room_id) == 1
        await bob.post(f"/rooms/{room_id}/receipt/m.read/{root}")
        assert await unread(bob, room_id) == 0
        await say(alice, room_id, root)
        assert await unread(bob, room_id) == 0
        await bob.request("PUT", path, {})
        followed = await say(alice, room_id, root)
        assert await unread(bob, room_id) == 1
        notifications = (await bob.get("/notifications"))["notifications"]
        assert followed in [item["event"]["event_id"] for item in notifications]
        await bob.request("DELETE", path)
        await say(alice, room_id, root)
        assert await unread(bob, room_id) == 1


async def test_the_rules_are_the_servers(tmp_path: Path) -> None:
    rules = "/pushrules/global/postcontent"
    name = f"{rules}/.io.element.msc4306.rule.subscribed_thread"
    async with homeserver(tmp_path, push={"thread_subscriptions": True}) as server:
        alice = await server.register("alice")
        assert (await alice.get(name))["enabled"]
        await alice.put(f"{name}/enabled", {"enabled": False})
        assert not (await alice.get("/pushrules/"))["global"]["postcontent"][1]["enabled"]
        for body in ({"actions": ["notify"]}, {"actions": [], "conditions": []}):
            refused = await alice.put(f"{rules}/mine", body, status=400)
            assert refused["errcode"] == "M_INVALID_PARAM"
        await alice.delete(name, status=400)


async def test_without_the_setting_there_are_no_such_rules(server: Homeserver, alice: Client) -> None:
    assert "postcontent" not in (await alice.get("/pushrules/"))["global"]
    await alice.get("/pushrules/global/postcontent/.io.element.msc4306.rule.subscribed_thread", status=404)
