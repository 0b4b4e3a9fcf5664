"""Events that are sent later (MSC4140)."""

from __future__ import annotations

from pathlib import Path
from typing import Any

from tests.support.homeserver import PASSWORD, Client, Homeserver, homeserver
from tests.support.rooms import make_room, member, state

ROOT = "/client/unstable/org.matrix.msc4140/delayed_events"
DELAY = "org.matrix.msc4140.delay"


async def delayed(client: Client, path: str, delay: int, content: Any = None, status: int = 200) -> Any:
    return await client.put(path, content or {"n": 1}, params={DELAY: delay}, status=status)


async def waiting(client: Client) -> list[dict[str, Any]]:
    found: list[dict[str, Any]] = (await client.request("GET", ROOT))["delayed_events"]
    return found


async def test_a_message_is_sent_once_its_time_has_come(
    server: Homeserver, alice: Client, bob: Client
) -> None:
    room_id = await make_room(server, alice)
    path = f"/rooms/{room_id}/send/org.example/1"
    scheduled = await delayed(alice, path, 1000)
    assert await delayed(alice, path, 1000) == scheduled
    [item] = await waiting(alice)
    assert item == {
        "delay_id": scheduled["delay_id"],
        "room_id": room_id,
        "type": "org.example",
        "delay": 1000,
        "running_since": server.clock.now_ms(),
        "content": {"n": 1},
    }
    assert await waiting(bob) == []
    await server.services.delayed_events.send_due()
    assert len(await waiting(alice)) == 1
    server.clock.advance(1000)
    await server.services.delayed_events.send_due()
    await server.services.delayed_events.send_due()
    assert await waiting(alice) == []
    page = await alice.get(f"/rooms/{room_id}/messages", params={"dir": "b"})
    assert [event["type"] for event in page["chunk"]].count("org.example") == 1
    assert await delayed(alice, path, 1000) == scheduled


async def test_actions(server: Homeserver, alice: Client) -> None:
    room_id = await make_room(server, alice)
    anyone = server.client()
    ids = [
        (await delayed(alice, f"/rooms/{room_id}/state/org.example/{key}", 1000))["delay_id"]
        for key in ("cancel", "restart", "send")
    ]
    server.clock.advance(500)
    for delay_id, action in zip(ids, ("cancel", "restart", "send"), strict=True):
        assert await anyone.request("POST", f"{ROOT}/{delay_id}/{action}", {}) == {}
    assert [item["delay_id"] for item in await waiting(alice)] == [ids[1]]
    await alice.get(f"/rooms/{room_id}/state/org.example/send")
    server.clock.advance(500)
    await server.services.delayed_events.send_due()
    await alice.get(f"/rooms/{room_id}/state/org.example/restart", status=404)
    server.clock.advance(500)
    await server.services.delayed_events.send_due()
    await alice.get(f"/rooms/{room_id}/state/org.example/restart")
    await alice.get(f"/rooms/{room_id}/state/org.example/cancel", status=404)
    await anyone.request("POST", f"{ROOT}/{ids[0]}/send", {}, status=404)
    await anyone.request("POST", f"{ROOT}/{ids[0]}/oops", {}, status=404)
    await anyone.request("POST", f"{ROOT}/{ids[0]}", {}, status=400)


async def test_what_is_refused(server: Homeserver, alice: Client, bob: Client) -> None:
    room_id = await make_room(server, alice)
    path = f"/rooms/{room_id}/send/org.example/1"
    await delayed(bob, path, 1000, status=403)
    await delayed(alice, path, 0, status=400)
    late = await delayed(alice, path, 10**12, status=400)
    assert late["org.matrix.msc4140.errcode"] == "M_MAX_DELAY_EXCEEDED"
    await delayed(alice, path, 1000, {"x": "y" * 70000}, status=413)


async def test_what_can_no_longer_be_sent_is_dropped(server: Homeserver, alice: Client, bob: Client) -> None:
    room_id = await make_room(server, alice)
    await member(server, room_id, bob, "join")
    await delayed(bob, f"/rooms/{room_id}/send/org.example/1", 1000)
    await delayed(alice, f"/rooms/{room_id}/state/m.room.topic", 1000, {"topic": "late"})
    await member(server, room_id, bob, "leave")
    await state(server, room_id, alice, "m.room.power_levels", {"users": {alice.user_id: 100}})
    server.clock.advance(1000)
    await server.services.delayed_events.send_due()
    assert await waiting(bob) == []
    assert (await alice.get(f"/rooms/{room_id}/state/m.room.topic"))["topic"] == "late"


async def test_a_restart_loses_none(tmp_path: Path) -> None:
    async with homeserver(tmp_path) as server:
        alice = await server.register("alice")
        room_id = await make_room(server, alice)
        await delayed(alice, f"/rooms/{room_id}/state/org.example/1", 1000)
    async with homeserver(tmp_path) as server:
        login = {"type": "m.login.password", "identifier": {"type": "m.id.user", "user": "alice"}}
        token = (await server.client().post("/login", {**login, "password": PASSWORD}))["access_token"]
        alice = Client(server.http, alice.user_id, token)
        assert len(await waiting(alice)) == 1
        server.clock.advance(1000)
        await server.services.delayed_events.send_due()
        await alice.get(f"/rooms/{room_id}/state/org.example/1")


async def test_the_endpoint_that_schedules(server: Homeserver, alice: Client, bob: Client) -> None:
    room_id = await make_room(server, alice)
    path = f"/client/unstable/org.matrix.msc4140/rooms/{room_id}/delayed_event/org.example"
    body = {"delay_ms": 1000, "content": {"n": 1}}
    made = await alice.request("PUT", f"{path}/1", body)
    assert await alice.request("PUT", f"{path}/1", body) == made
    await alice.request("PUT", f"{path}/2", {**body, "state_key": "k"})
    assert {item.get("state_key") for item in await waiting(alice)} == {None, "k"}
    await bob.request("PUT", f"{path}/1", body, status=403)
    await alice.request("PUT", f"{path}/3", {"delay_ms": 1000}, status=400)
    await alice.request("PUT", f"{path}/3", {**body, "delay_ms": -1}, status=400)
    server.clock.advance(1000)
    await server.services.delayed_events.send_due()
    page = await alice.get(f"/rooms/{room_id}/messages", params={"dir": "b"})
    assert [event["content"] for event in page["chunk"] if event["type"] == "org.example"] == [{"n": 1}] * 2
    assert await alice.get(f"/rooms/{room_id}/state/org.example/k") == {"n": 1}
