"""Sending, and reading a room's history."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest

from tests.support.homeserver import Client, Homeserver, homeserver
from tests.support.rooms import make_room, member, state


def bodies(events: list[dict[str, Any]]) -> list[str]:
    return [event["content"]["body"] for event in events if event["type"] == "m.room.message"]


async def test_one_transaction_one_event(server: Homeserver, alice: Client) -> None:
    room_id = await make_room(server, alice)
    path = f"/rooms/{room_id}/send/m.room.message/one%2Fid"
    first = await alice.put(path, {"body": "x"})
    assert await alice.put(path, {"body": "x"}) == first
    other_type = await alice.put(f"/rooms/{room_id}/send/org.example/one%2Fid", {"body": "x"})
    assert other_type != first
    other_device = await server.login("alice")
    assert await other_device.put(path, {"body": "x"}) != first
    event = await alice.get(f"/rooms/{room_id}/event/{first['event_id']}")
    assert event["unsigned"]["transaction_id"] == "one/id"
    event = await other_device.get(f"/rooms/{room_id}/event/{first['event_id']}")
    assert "transaction_id" not in event["unsigned"]


async def test_a_repeated_request_that_is_no_longer_allowed(server: Homeserver, alice: Client) -> None:
    room_id = await make_room(server, alice)
    path = f"/rooms/{room_id}/send/m.room.message/1"
    first = await alice.put(path, {"body": "x"})
    await member(server, room_id, alice, "leave")
    assert await alice.put(path, {"body": "x"}) == first
    await alice.put(f"/rooms/{room_id}/send/m.room.message/2", {"body": "x"}, status=403)


async def test_what_is_not_sent(server: Homeserver, alice: Client, bob: Client) -> None:
    room_id = await make_room(server, alice)
    path = f"/rooms/{room_id}/send/m.room.message/"
    assert (await bob.put(path + "1", {}, status=403))["errcode"] == "M_FORBIDDEN"
    assert (await alice.put(path + "t" * 256, {}, status=400))["errcode"] == "M_INVALID_PARAM"
    assert (await alice.put(path + "1", [], status=400))["errcode"] == "M_BAD_JSON"
    assert (await alice.put(path + "1", {"n": 1.5}, status=400))["errcode"] == "M_BAD_JSON"
    assert (await alice.put(path + "1", {"b": "x" * 70000}, status=413))["errcode"] == "M_TOO_LARGE"
    await alice.put("/rooms/!no:test.example/send/m.room.message/1", {}, status=404)


async def test_redactions(server: Homeserver, alice: Client, bob: Client) -> None:
    room_id = await make_room(server, alice)
    await member(server, room_id, bob, "join")
    of_alice, of_bob, also = [
        await client.send(room_id, body) for client, body in ((alice, "a"), (bob, "b"), (bob, "c"))
    ]
    answer = await bob.put(f"/rooms/{room_id}/redact/{of_alice}/1", {}, status=403)
    assert answer["errcode"] == "M_FORBIDDEN"
    redacted = await bob.put(f"/rooms/{room_id}/redact/{of_bob}/1", {"reason": "no"})
    assert await bob.put(f"/rooms/{room_id}/redact/{of_bob}/1", {"reason": "no"}) == redacted
    event = await alice.get(f"/rooms/{room_id}/event/{of_bob}")
    assert event["content"] == {}
    assert event["unsigned"]["redacted_because"]["event_id"] == redacted["event_id"]
    sent = {"redacts": also, "reason": "mine to"}
    await alice.put(f"/rooms/{room_id}/send/m.room.redaction/1", sent)
    assert (await alice.get(f"/rooms/{room_id}/event/{also}"))["content"] == {}
    await bob.put(f"/rooms/{room_id}/redact/$unknown/2", {}, status=404)
    await bob.put(f"/rooms/{room_id}/redact/nonsense/2", {}, status=400)


async def test_paging_both_ways(server: Homeserver, alice: Client) -> None:
    room_id = await make_room(server, alice)
    for number in range(7):
        await alice.send(room_id, str(number))
    path = f"/rooms/{room_id}/messages"
    seen: list[str] = []
    query: dict[str, Any] = {"dir": "b", "limit": 3}
    types = []
    for _ in range(5):
        page = await alice.get(path, params=query)
        types += [event["type"] for event in page["chunk"]]
        seen += bodies(page["chunk"])
        query["from"] = page.get("end")
    assert "end" not in page
    assert seen == [str(number) for number in range(6, -1, -1)]
    assert types[-1] == "m.room.create"
    assert len(types) == 12
    forwards: list[str] = []
    query = {"dir": "f", "limit": 5}
    for _ in range(4):
        page = await alice.get(path, params=query)
        forwards += [event["type"] for event in page["chunk"]]
        query["from"] = page.get("end")
    assert "end" not in page
    assert forwards == types[::-1]


async def test_paging_between_tokens(server: Homeserver, alice: Client) -> None:
    room_id = await make_room(server, alice)
    await alice.send(room_id, "0")
    path = f"/rooms/{room_id}/messages"
    start = (await alice.get(path, params={"dir": "b", "limit": 1}))["start"]
    stream = f"s{server.services.server.wakeups.position}"
    for number in range(1, 4):
        await alice.send(room_id, str(number))
    end = (await alice.get(path, params={"dir": "b", "limit": 1}))["end"]
    for token in (start, stream):
        page = await alice.get(path, params={"dir": "f", "from": token, "to": end})
        assert bodies(page["chunk"]) == ["1", "2"]
        page = await alice.get(path, params={"dir": "b", "from": end, "to": token})
        assert bodies(page["chunk"]) == ["2", "1"]
    await alice.get(path, params={"dir": "b", "from": "nonsense"}, status=400)
    await alice.get(path, params={"dir": "x"}, status=400)


async def test_filters_and_lazy_members(server: Homeserver, alice: Client, bob: Client) -> None:
    room_id = await make_room(server, alice)
    await member(server, room_id, bob, "join")
    for number in range(3):
        await alice.send(room_id, f"a{number}")
        await bob.send(room_id, f"b{number}")
    path = f"/rooms/{room_id}/messages"
    chosen = {"types": ["m.room.mess*"], "not_senders": [alice.user_id], "lazy_load_members": True}
    page = await alice.get(path, params={"dir": "b", "filter": json.dumps(chosen), "limit": 2})
    assert bodies(page["chunk"]) == ["b2", "b1"]
    assert [event["state_key"] for event in page["state"]] == [bob.user_id]
    page = await alice.get(path, params={"dir": "b", "filter": json.dumps(chosen), "from": page["end"]})
    assert bodies(page["chunk"]) == ["b0"]
    await alice.get(path, params={"dir": "b", "filter": "{"}, status=400)
    await alice.get(path, params={"dir": "b", "filter": '{"types": 1}'}, status=400)


async def test_who_left_sees_no_further(server: Homeserver, alice: Client, bob: Client) -> None:
    room_id = await make_room(server, alice)
    await alice.send(room_id, "before")
    path = f"/rooms/{room_id}/messages"
    await bob.get(path, params={"dir": "b"}, status=403)
    await member(server, room_id, bob, "join")
    await alice.send(room_id, "during")
    await member(server, room_id, bob, "leave")
    after = await alice.send(room_id, "after")
    page = await bob.get(path, params={"dir": "b", "limit": 100})
    assert bodies(page["chunk"]) == ["during", "before"]
    page = await bob.get(path, params={"dir": "f", "limit": 100})
    assert bodies(page["chunk"]) == ["before", "during"]
    answer = await bob.get(f"/rooms/{room_id}/event/{after}", status=404)
    assert answer["errcode"] == "M_NOT_FOUND"


@pytest.mark.parametrize(
    ("visibility", "expected"),
    [
        ("world_readable", ["before", "invited", "joined"]),
        ("shared", ["before", "invited", "joined"]),
        ("invited", ["invited", "joined"]),
        ("joined", ["joined"]),
    ],
)
async def test_history_visibility(
    server: Homeserver, alice: Client, bob: Client, visibility: str, expected: list[str]
) -> None:
    room_id = await make_room(server, alice, visibility=visibility)
    await alice.send(room_id, "before")
    await member(server, room_id, bob, "invite", by=alice)
    await alice.send(room_id, "invited")
    await member(server, room_id, bob, "join")
    await alice.send(room_id, "joined")
    page = await bob.get(f"/rooms/{room_id}/messages", params={"dir": "f", "limit": 100})
    assert bodies(page["chunk"]) == expected


async def test_peeking(server: Homeserver, alice: Client, bob: Client) -> None:
    room_id = await make_room(server, alice, visibility="world_readable")
    await alice.send(room_id, "open")
    path = f"/rooms/{room_id}/messages"
    page = await bob.get(path, params={"dir": "b"})
    assert "open" in bodies(page["chunk"])
    await state(server, room_id, alice, "m.room.history_visibility", {"history_visibility": "joined"})
    await bob.get(path, params={"dir": "b"}, status=403)


async def test_context(server: Homeserver, alice: Client, bob: Client) -> None:
    room_id = await make_room(server, alice)
    ids = [await alice.send(room_id, str(number)) for number in range(7)]
    path = f"/rooms/{room_id}/context/{ids[3]}"
    around = await alice.get(path, params={"limit": 4})
    assert around["event"]["event_id"] == ids[3]
    assert bodies(around["events_before"]) == ["2", "1"]
    assert bodies(around["events_after"]) == ["4", "5"]
    assert {event["type"] for event in around["state"]} >= {"m.room.create", "m.room.member"}
    earlier = await alice.get(
        f"/rooms/{room_id}/messages", params={"dir": "b", "from": around["start"], "limit": 1}
    )
    assert bodies(earlier["chunk"]) == ["0"]
    later = await alice.get(f"/rooms/{room_id}/messages", params={"dir": "f", "from": around["end"]})
    assert bodies(later["chunk"]) == ["6"]
    alone = await alice.get(path, params={"limit": 0})
    assert alone["events_before"] == alone["events_after"] == []
    await bob.get(path, status=404)


async def test_the_event_near_a_time(server: Homeserver, alice: Client, bob: Client) -> None:
    room_id = await make_room(server, alice)
    server.clock.advance(1000)
    first = await alice.send(room_id, "first")
    second = await alice.send(room_id, "second")
    time = server.clock.now_ms()
    path = f"/client/v1/rooms/{room_id}/timestamp_to_event"

    async def near(ts: int, direction: str, client: Client = alice, status: int = 200) -> Any:
        return await client.request("GET", path, params={"ts": ts, "dir": direction}, status=status)

    assert await near(time - 1, "f") == {"event_id": first, "origin_server_ts": time}
    assert (await near(time, "b"))["event_id"] == second
    assert (await near(time + 1, "f", status=404))["errcode"] == "M_NOT_FOUND"
    await near(0, "b", status=404)
    await near(time, "b", client=bob, status=403)


async def test_what_is_forgotten_is_read_no_more(server: Homeserver, alice: Client, bob: Client) -> None:
    room_id = await make_room(server, alice)
    await member(server, room_id, bob, "join")
    event_id = await alice.send(room_id, "hello")
    paths = [f"v3/rooms/{room_id}/event/{event_id}", f"v3/rooms/{room_id}/context/{event_id}"]
    paths.append(f"v1/rooms/{room_id}/relations/{event_id}")
    await bob.post(f"/rooms/{room_id}/leave")
    for path in paths:
        await bob.request("GET", f"/client/{path}")
    await bob.post(f"/rooms/{room_id}/forget")
    for path in paths:
        await bob.request("GET", f"/client/{path}", status=404)
    await bob.post(f"/join/{room_id}")
    for path in paths:
        await bob.request("GET", f"/client/{path}")


async def test_an_event_has_a_type(server: Homeserver, alice: Client) -> None:
    room_id = await make_room(server, alice)
    assert (await alice.put(f"/rooms/{room_id}/send//1", {}, status=400))["errcode"] == "M_INVALID_PARAM"


@pytest.mark.parametrize("version", ["1", "11"])
async def test_administrators_may_redact(tmp_path: Path, version: str) -> None:
    async with homeserver(tmp_path, admins=["@admin:test.example"]) as server:
        alice, admin, bob = [await server.register(name) for name in ("alice", "admin", "bob")]
        room_id = await make_room(server, alice, version=version)
        event_id = await alice.send(room_id, "hello")
        path = f"/rooms/{room_id}/redact/{event_id}/1"
        await admin.put(path, status=403)
        for client in (admin, bob):
            await member(server, room_id, client, "join")
        await bob.put(path, status=403)
        await admin.put(path)
        assert (await bob.get(f"/rooms/{room_id}/event/{event_id}"))["content"] == {}
