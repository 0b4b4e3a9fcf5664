"""Events that are sent later (MSC4140)."""

from __future__ import annotations

import asyncio
from pathlib import Path
from typing import Any

import pytest
from structlog.testing import capture_logs

from palpo.db.errors import Unreachable
from palpo.services.rooms import delayed_events
from palpo.services.rooms.delayed_events import MAX_PER_USER
from palpo.storage import accounts
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
        "delay_ms": 1000,
        "delay": 1000,
        "scheduled_at": server.clock.now_ms(),
        "running_since": server.clock.now_ms(),
        "content": {"n": 1},
    }
    assert await waiting(bob) == []
    await server.services.rooms.delayed_events.send_due()
    assert len(await waiting(alice)) == 1
    server.clock.advance(1000)
    await server.services.rooms.delayed_events.send_due()
    await server.services.rooms.delayed_events.send_due()
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
    await server.services.rooms.delayed_events.send_due()
    await alice.get(f"/rooms/{room_id}/state/org.example/restart", status=404)
    server.clock.advance(500)
    await server.services.rooms.delayed_events.send_due()
    await alice.get(f"/rooms/{room_id}/state/org.example/restart")
    await alice.get(f"/rooms/{room_id}/state/org.example/cancel", status=404)
    for delay_id, action in zip(ids, ("cancel", "send", "send"), strict=True):
        assert await anyone.request("POST", f"{ROOT}/{delay_id}/{action}", {}) == {}
    for delay_id, action in ((ids[0], "send"), (ids[0], "restart"), (ids[1], "cancel"), (ids[2], "restart")):
        refused = await anyone.request("POST", f"{ROOT}/{delay_id}/{action}", {}, status=409)
        assert refused["errcode"] == "M_UNKNOWN"
    await anyone.request("POST", f"{ROOT}/unknown/send", {}, status=404)
    await anyone.request("POST", f"{ROOT}/{ids[0]}/oops", {}, status=404)
    await anyone.request("POST", f"{ROOT}/{ids[0]}", {}, status=400)


async def test_what_is_refused(server: Homeserver, alice: Client, bob: Client) -> None:
    room_id = await make_room(server, alice)
    path = f"/rooms/{room_id}/send/org.example/1"
    await delayed(bob, path, 1000, status=403)
    await delayed(alice, path, 0, status=400)
    late = await delayed(alice, path, 10**12, status=403)
    assert late["errcode"] == "M_FORBIDDEN"
    assert late["org.matrix.msc4140.errcode"] == "M_MAX_DELAY_EXCEEDED"
    await delayed(alice, path, 1000, {"x": "y" * 70000}, status=413)


async def test_what_can_no_longer_be_sent_has_failed(server: Homeserver, alice: Client, bob: Client) -> None:
    room_id = await make_room(server, alice)
    await member(server, room_id, bob, "join")
    gone = await delayed(bob, f"/rooms/{room_id}/send/org.example/1", 1000)
    await delayed(alice, f"/rooms/{room_id}/state/m.room.topic", 1000, {"topic": "late"})
    await member(server, room_id, bob, "leave")
    server.clock.advance(1000)
    await server.services.rooms.delayed_events.send_due()
    assert await waiting(bob) == []
    failed = await bob.request("GET", f"{ROOT}/{gone['delay_id']}")
    assert failed["error"]["errcode"] == "M_FORBIDDEN"
    assert failed["finalised_ts"] == server.clock.now_ms()
    assert "event_id" not in failed
    await alice.request("GET", f"{ROOT}/{gone['delay_id']}", status=404)
    await bob.request("POST", f"{ROOT}/{gone['delay_id']}/cancel", {})
    await bob.request("POST", f"{ROOT}/{gone['delay_id']}/send", {}, status=409)
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
        await server.services.rooms.delayed_events.send_due()
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
    await server.services.rooms.delayed_events.send_due()
    page = await alice.get(f"/rooms/{room_id}/messages", params={"dir": "b"})
    assert [event["content"] for event in page["chunk"] if event["type"] == "org.example"] == [{"n": 1}] * 2
    assert await alice.get(f"/rooms/{room_id}/state/org.example/k") == {"n": 1}


async def test_they_are_managed_by_their_own_user(server: Homeserver, alice: Client, bob: Client) -> None:
    room_id = await make_room(server, alice)
    delay_id = (await delayed(alice, f"/rooms/{room_id}/send/org.example/1", 1000))["delay_id"]
    for action in ("cancel", "restart", "send"):
        await bob.request("POST", f"{ROOT}/{delay_id}/{action}", {}, status=404)
    assert len(await waiting(alice)) == 1
    await alice.request("POST", f"{ROOT}/{delay_id}", {"action": "cancel"})
    cancelled = await alice.request("GET", f"{ROOT}/{delay_id}")
    assert cancelled["finalised_ts"] == server.clock.now_ms()
    assert "event_id" not in cancelled
    assert "error" not in cancelled


async def test_one_that_cannot_be_sent_now_waits_on(server: Homeserver, alice: Client, bob: Client) -> None:
    room_id = await make_room(server, alice)
    await member(server, room_id, bob, "join")
    delay_id = (await delayed(bob, f"/rooms/{room_id}/send/org.example/1", 1000))["delay_id"]
    await state(server, room_id, alice, "m.room.power_levels", levels(alice, 50))
    await bob.request("POST", f"{ROOT}/{delay_id}/send", {}, status=403)
    assert len(await waiting(bob)) == 1
    await state(server, room_id, alice, "m.room.power_levels", levels(alice, 0))
    await bob.request("POST", f"{ROOT}/{delay_id}/send", {})
    sent = await bob.request("GET", f"{ROOT}/{delay_id}")
    assert sent["finalised_ts"] < sent["scheduled_at"] + sent["delay_ms"]
    assert (await alice.get(f"/rooms/{room_id}/event/{sent['event_id']}"))["content"] == {"n": 1}


def levels(admin: Client, events_default: int) -> dict[str, Any]:
    return {"users": {admin.user_id: 100}, "events_default": events_default}


async def test_its_sender_is_told_the_delay_id(server: Homeserver, alice: Client, bob: Client) -> None:
    room_id = await make_room(server, alice)
    await member(server, room_id, bob, "join")
    paths = ("send/org.example/1", "state/org.example/k", f"state/m.room.member/{alice.user_id}")
    contents: list[Any] = [{"n": 1}, {"n": 1}, {"membership": "join", "displayname": "Later"}]
    for path, content in zip(paths, contents, strict=True):
        delay_id = (await delayed(alice, f"/rooms/{room_id}/{path}", 1000, content))["delay_id"]
        await alice.request("POST", f"{ROOT}/{delay_id}/send", {})
        event_id = (await alice.request("GET", f"{ROOT}/{delay_id}"))["event_id"]
        for client, told in ((alice, delay_id), (await server.login("alice"), delay_id), (bob, None)):
            unsigned = (await client.get(f"/rooms/{room_id}/event/{event_id}"))["unsigned"]
            assert unsigned.get("org.matrix.msc4140.delay_id") == told
            assert "transaction_id" not in unsigned


async def test_there_is_a_limit_to_how_many_wait(server: Homeserver, alice: Client) -> None:
    room_id = await make_room(server, alice)
    await delayed(alice, f"/rooms/{room_id}/send/org.example/first", 5500)
    for number in range(MAX_PER_USER - 1):
        await delayed(alice, f"/rooms/{room_id}/send/org.example/{number}", 60_000)
    response = await server.http.put(
        f"/_matrix/client/v3/rooms/{room_id}/send/org.example/more",
        json={},
        params={DELAY: 1000},
        headers={"Authorization": f"Bearer {alice.token}"},
    )
    assert response.status_code == 429
    assert response.json()["errcode"] == "M_LIMIT_EXCEEDED"
    assert response.headers["retry-after"] == "6"
    server.clock.advance(5500)
    await server.services.rooms.delayed_events.send_due()
    await delayed(alice, f"/rooms/{room_id}/send/org.example/more", 1000)


async def test_what_falls_due_is_sent_in_the_order_of_the_times(server: Homeserver, alice: Client) -> None:
    room_id = await make_room(server, alice)
    for number, delay in enumerate((3000, 1000, 2000)):
        await delayed(alice, f"/rooms/{room_id}/send/org.example/{number}", delay, {"delay": delay})
    server.clock.advance(10_000)
    await server.services.rooms.delayed_events.send_due()
    page = await alice.get(f"/rooms/{room_id}/messages", params={"dir": "f"})
    sent = [event["content"]["delay"] for event in page["chunk"] if event["type"] == "org.example"]
    assert sent == [1000, 2000, 3000]


async def test_a_state_event_overwrites_what_others_have_set_meanwhile(
    server: Homeserver, alice: Client, bob: Client
) -> None:
    room_id = await make_room(server, alice)
    await member(server, room_id, bob, "join")
    users = {alice.user_id: 100, bob.user_id: 50}
    await state(server, room_id, alice, "m.room.power_levels", {"users": users})
    await delayed(alice, f"/rooms/{room_id}/state/m.room.topic", 1000, {"topic": "alice's"})
    await state(server, room_id, bob, "m.room.topic", {"topic": "bob's"})
    server.clock.advance(1000)
    await server.services.rooms.delayed_events.send_due()
    assert (await alice.get(f"/rooms/{room_id}/state/m.room.topic"))["topic"] == "alice's"


async def test_sending_is_charged_to_the_users_budget(tmp_path: Path) -> None:
    limits = {"enabled": True, "message": {"per_second": 0.001, "burst": 4}}
    async with homeserver(tmp_path, rate_limits=limits) as server:
        alice = await server.register("alice")
        room_id = await make_room(server, alice)
        made = [await delayed(alice, f"/rooms/{room_id}/send/org.example/{n}", 900 + n) for n in range(3)]
        server.clock.advance(1000)
        await server.services.rooms.delayed_events.send_due()
        found = [await alice.request("GET", f"{ROOT}/{item['delay_id']}") for item in made]
        assert "event_id" in found[0]
        assert [item["error"]["errcode"] for item in found[1:]] == ["M_LIMIT_EXCEEDED"] * 2


async def test_the_same_request_twice_at_once_schedules_one(server: Homeserver, alice: Client) -> None:
    room_id = await make_room(server, alice)
    path = f"/rooms/{room_id}/send/org.example/1"
    first, second = await asyncio.gather(delayed(alice, path, 1000), delayed(alice, path, 1000))
    assert first == second
    assert len(await waiting(alice)) == 1


async def test_guests_may(server: Homeserver, alice: Client) -> None:
    room_id = await make_room(server, alice)
    await state(server, room_id, alice, "m.room.guest_access", {"guest_access": "can_join"})
    answer = await server.client().post("/register", {}, params={"kind": "guest"})
    guest = Client(server.http, answer["user_id"], answer["access_token"])
    await guest.post(f"/join/{room_id}")
    path = f"/client/unstable/org.matrix.msc4140/rooms/{room_id}/delayed_event/org.example/1"
    made = await guest.request("PUT", path, {"delay_ms": 1000, "content": {}})
    assert len(await waiting(guest)) == 1
    await guest.request("POST", f"{ROOT}/{made['delay_id']}/restart", {})
    await guest.request("GET", f"{ROOT}/{made['delay_id']}")


async def test_final_ones_are_forgotten_after_a_time_or_when_there_are_many(
    server: Homeserver, alice: Client, monkeypatch: pytest.MonkeyPatch
) -> None:
    room_id = await make_room(server, alice)
    monkeypatch.setattr(server.services.rooms.delayed_events, "_keep_per_user", 2)
    ids = []
    for number in range(4):
        made = await delayed(alice, f"/rooms/{room_id}/send/org.example/{number}", 10)
        ids.append(made["delay_id"])
        server.clock.advance(10)
        await server.services.rooms.delayed_events.send_due()
    for delay_id, status in zip(ids, (404, 404, 200, 200), strict=True):
        await alice.request("GET", f"{ROOT}/{delay_id}", status=status)
    server.clock.advance(delayed_events.KEEP_MS + 1)
    await server.services.rooms.delayed_events.send_due()
    await alice.request("GET", f"{ROOT}/{ids[3]}", status=404)


async def test_nothing_is_sent_for_accounts_that_are_gone_or_locked(
    server: Homeserver, alice: Client, bob: Client
) -> None:
    room_id = await make_room(server, alice)
    await member(server, room_id, bob, "join")
    path = f"/rooms/{room_id}/state/m.room.member/{bob.user_id}"
    join = (await delayed(bob, path, 1000, {"membership": "join", "displayname": "Back"}))["delay_id"]
    message = (await delayed(alice, f"/rooms/{room_id}/send/org.example/1", 1000))["delay_id"]
    auth = {"type": "m.login.password", "identifier": {"type": "m.id.user", "user": "bob"}}
    await bob.post("/account/deactivate", {"auth": {**auth, "password": PASSWORD}})
    await server.services.server.db.write(lambda tx: accounts.set_flags(tx, alice.user_id, locked=True))
    server.clock.advance(1000)
    await server.services.rooms.delayed_events.send_due()
    await server.client().request("POST", f"{ROOT}/{join}/send", {}, status=404)
    await server.services.server.db.write(lambda tx: accounts.set_flags(tx, alice.user_id, locked=False))
    failed = await server.services.rooms.delayed_events.one(message, alice.user_id)
    assert failed.error is not None
    assert b"M_USER_LOCKED" in failed.error
    members = await alice.get(f"/rooms/{room_id}/joined_members")
    assert list(members["joined"]) == [alice.user_id]


async def test_a_database_that_is_away_is_no_fault_of_theirs(
    server: Homeserver, monkeypatch: pytest.MonkeyPatch
) -> None:
    tried = asyncio.Event()
    failure: Exception = Unreachable("away")

    async def fail(unit: Any) -> Any:
        tried.set()
        raise failure

    monkeypatch.setattr(server.services.server.db.engine, "read", fail)
    for expected in ([], ["delayed_events_failed"]):
        with capture_logs() as lines:
            running = asyncio.ensure_future(server.services.rooms.delayed_events.run())
            await tried.wait()
            await asyncio.sleep(0.05)
            running.cancel()
            await asyncio.gather(running, return_exceptions=True)
        assert [line["event"] for line in lines if line["event"].startswith("delayed")] == expected
        failure = RuntimeError("a fault")
        tried.clear()
