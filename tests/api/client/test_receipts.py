"""Receipts, read markers, and the unread counts that they bring down."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import orjson

from palpo.services.push.unread import UnreadCounts
from tests.support.homeserver import Client, Homeserver, homeserver


async def room_of_two(alice: Client, bob: Client) -> str:
    room_id = await alice.create_room(preset="public_chat")
    await bob.post(f"/rooms/{room_id}/join")
    return room_id


async def relate(client: Client, room_id: str, body: str, rel_type: str, target: str) -> str:
    content = {"msgtype": "m.text", "body": body, "m.relates_to": {"rel_type": rel_type, "event_id": target}}
    path = f"/rooms/{room_id}/send/m.room.message/{client.transaction_id()}"
    return str((await client.put(path, content))["event_id"])


async def read(
    client: Client, room_id: str, event_id: str, kind: str = "m.read", status: int = 200, **body: Any
) -> Any:
    return await client.post(f"/rooms/{room_id}/receipt/{kind}/{event_id}", body, status=status)


async def shown(server: Homeserver, client: Client, room_id: str, after: int = 0) -> dict[str, Any]:
    services = server.services
    events = await services.personal.receipts.changed(
        client.user_id, [room_id], after, services.server.wakeups.position
    )
    return dict(orjson.loads(events[room_id])["content"]) if room_id in events else {}


async def unread(server: Homeserver, client: Client, room_id: str) -> UnreadCounts:
    services = server.services
    return await services.push.unread.counts(client.user_id, room_id, services.server.wakeups.position)


async def test_receipts_go_forward_only(server: Homeserver, alice: Client, bob: Client) -> None:
    room_id = await room_of_two(alice, bob)
    first, second = await alice.send(room_id, "one"), await alice.send(room_id, "two")
    await read(bob, room_id, second)
    before = server.services.server.wakeups.position
    await read(bob, room_id, first)
    now = server.clock.now_ms()
    assert await shown(server, alice, room_id) == {second: {"m.read": {bob.user_id: {"ts": now}}}}
    assert await shown(server, alice, room_id, before) == {}


async def test_private_receipts_are_private(server: Homeserver, alice: Client, bob: Client) -> None:
    room_id = await room_of_two(alice, bob)
    event_id = await alice.send(room_id, "one")
    await read(bob, room_id, event_id, "m.read.private")
    assert await shown(server, alice, room_id) == {}
    assert list((await shown(server, bob, room_id))[event_id]) == ["m.read.private"]
    assert (await unread(server, bob, room_id)).notifications == 0


async def test_the_unthreaded_receipt_wins(server: Homeserver, alice: Client, bob: Client) -> None:
    room_id = await room_of_two(alice, bob)
    root = await alice.send(room_id, "root")
    reply = await relate(alice, room_id, "reply", "m.thread", root)
    await read(bob, room_id, reply)
    await read(bob, room_id, reply, thread_id=root)
    assert "thread_id" not in (await shown(server, alice, room_id))[reply]["m.read"][bob.user_id]
    await read(bob, room_id, root, thread_id="main")
    assert (await shown(server, alice, room_id))[root]["m.read"][bob.user_id]["thread_id"] == "main"


async def test_refused(server: Homeserver, alice: Client, bob: Client) -> None:
    room_id = await room_of_two(alice, bob)
    event_id, other = await alice.send(room_id, "one"), await alice.send(room_id, "two")
    for body in ({"thread_id": ""}, {"thread_id": 5}, {"thread_id": None}, {"thread_id": other}):
        answer = await read(bob, room_id, event_id, status=400, **body)
        assert answer["errcode"] == "M_INVALID_PARAM"
    reply = await relate(alice, room_id, "in a thread", "m.thread", event_id)
    answer = await read(bob, room_id, reply, status=400, thread_id="main")
    assert answer["errcode"] == "M_INVALID_PARAM"
    await read(bob, room_id, event_id, "m.fully_read", status=400, thread_id="main")
    await read(bob, room_id, event_id, "m.unheard", status=400)
    await read(bob, room_id, "nonsense", status=400)
    await read(bob, room_id, "$unknown", status=404)
    elsewhere = await alice.create_room()
    await read(bob, elsewhere, event_id, status=403)
    await read(alice, elsewhere, event_id, status=404)


async def test_read_markers(server: Homeserver, alice: Client, bob: Client) -> None:
    room_id = await room_of_two(alice, bob)
    first, second = await alice.send(room_id, "one"), await alice.send(room_id, "two")
    path = f"/user/{bob.user_id}/rooms/{room_id}/account_data/m.fully_read"
    await bob.post(f"/rooms/{room_id}/read_markers", {"m.fully_read": second, "m.read": first})
    assert await bob.get(path) == {"event_id": second}
    assert list(await shown(server, bob, room_id)) == [first]
    await read(bob, room_id, first, "m.fully_read")
    assert await bob.get(path) == {"event_id": second}
    await bob.post(f"/rooms/{room_id}/read_markers", {})


async def test_unread_counts_by_thread(tmp_path: Path) -> None:
    async with homeserver(tmp_path, push={"legacy_mentions": True}) as server:
        alice, bob = await server.register("alice"), await server.register("bob")
        room_id = await room_of_two(alice, bob)
        a = await alice.send(room_id, "Hello world!")
        b = await relate(alice, room_id, "Start thread!", "m.thread", a)
        await relate(alice, room_id, f"Thread response {bob.user_id}!", "m.thread", a)
        d = await alice.send(room_id, f"Hello {bob.user_id}!")
        await relate(alice, room_id, "End thread", "m.thread", a)
        f = await relate(alice, room_id, "Reference!", "m.reference", a)
        g = await relate(alice, room_id, "Of a reference", "m.reference", f)
        assert await unread(server, alice, room_id) == UnreadCounts()
        found = await unread(server, bob, room_id)
        assert (found.notifications, found.highlights, found.threads) == (7, 2, {a: (3, 1)})
        assert found.without_threads() == (4, 1)
        await read(bob, room_id, a, thread_id="main")
        assert (await unread(server, bob, room_id)).without_threads() == (3, 1)
        await read(bob, room_id, b, thread_id=a)
        assert (await unread(server, bob, room_id)).threads == {a: (2, 1)}
        await read(bob, room_id, d)
        found = await unread(server, bob, room_id)
        assert (found.notifications, found.highlights, found.threads) == (3, 0, {a: (1, 0)})
        await read(bob, room_id, g, thread_id=a)
        assert await unread(server, bob, room_id) == UnreadCounts(notifications=2)


async def test_sending_reads(server: Homeserver, alice: Client, bob: Client) -> None:
    room_id = await room_of_two(alice, bob)
    root = await alice.send(room_id, "one")
    await relate(alice, room_id, "in the thread", "m.thread", root)
    assert (await unread(server, bob, room_id)).notifications == 2
    await bob.send(room_id, "answer")
    assert await unread(server, bob, room_id) == UnreadCounts(notifications=1, threads={root: (1, 0)})
    await relate(bob, room_id, "answer", "m.thread", root)
    assert (await unread(server, bob, room_id)).notifications == 0


async def test_what_is_redacted_is_not_unread(server: Homeserver, alice: Client, bob: Client) -> None:
    room_id = await room_of_two(alice, bob)
    sent = [await alice.send(room_id, str(number)) for number in range(3)]
    assert (await unread(server, bob, room_id)).notifications == 3
    await alice.put(f"/rooms/{room_id}/redact/{sent[1]}/a", {})
    assert (await unread(server, bob, room_id)).notifications == 2
    sent.append(await alice.send(room_id, "regretted at once"))
    await alice.put(f"/rooms/{room_id}/redact/{sent[3]}/b", {})
    assert (await unread(server, bob, room_id)).notifications == 2
    await read(bob, room_id, sent[0])
    assert (await unread(server, bob, room_id)).notifications == 1


async def test_joining_again_begins_anew(server: Homeserver, alice: Client, bob: Client) -> None:
    room_id = await room_of_two(alice, bob)
    await alice.send(room_id, "one")
    assert (await unread(server, bob, room_id)).notifications == 1
    await bob.post(f"/rooms/{room_id}/leave")
    await alice.send(room_id, "two")
    await bob.post(f"/rooms/{room_id}/join")
    assert (await unread(server, bob, room_id)).notifications == 0
    await bob.put(f"/profile/{bob.user_id}/displayname", {"displayname": "Bob"})
    await alice.send(room_id, "three")
    assert (await unread(server, bob, room_id)).notifications == 1


async def test_the_ignored_and_the_muted_do_not_count(server: Homeserver, alice: Client, bob: Client) -> None:
    room_id = await room_of_two(alice, bob)
    await bob.put(f"/pushrules/global/room/{room_id}", {"actions": []}, headers={})
    await alice.send(room_id, "muted")
    assert (await unread(server, bob, room_id)).notifications == 0
    await bob.delete(f"/pushrules/global/room/{room_id}")
    await alice.send(room_id, "heard")
    assert (await unread(server, bob, room_id)).notifications == 1
    content = {"ignored_users": {alice.user_id: {}}}
    await bob.put(f"/user/{bob.user_id}/account_data/m.ignored_user_list", content)
    await alice.send(room_id, "ignored")
    assert (await unread(server, bob, room_id)).notifications == 0


async def test_a_long_absence_and_a_restart(tmp_path: Path) -> None:
    async with homeserver(tmp_path) as server:
        alice, bob = await server.register("alice"), await server.register("bob")
        room_id = await room_of_two(alice, bob)
        sent = [await alice.send(room_id, str(number)) for number in range(620)]
        assert (await unread(server, bob, room_id)).notifications == 620
    async with homeserver(tmp_path) as server:
        alice.http = bob.http = server.http
        assert (await unread(server, bob, room_id)).notifications == 620
        sent.append(await alice.send(room_id, "more"))
        assert (await unread(server, bob, room_id)).notifications == 621
        await read(bob, room_id, sent[9])
        assert (await unread(server, bob, room_id)).notifications == 611
        await read(bob, room_id, sent[600])
        assert (await unread(server, bob, room_id)).notifications == 20
        await read(bob, room_id, sent[-1])
        assert await unread(server, bob, room_id) == UnreadCounts()
