"""Rooms, for administrators."""

from __future__ import annotations

from typing import Any

from tests.support.homeserver import Client, Homeserver

ADMIN = "//_synapse/admin/v1"
ROOMS = f"{ADMIN}/rooms"


async def say(client: Client, room_id: str, body: str) -> str:
    """A message; its event ID."""
    path = f"/rooms/{room_id}/send/m.room.message/{client.transaction_id()}"
    event_id: str = (await client.put(path, {"msgtype": "m.text", "body": body}))["event_id"]
    return event_id


async def make(client: Client, **more: Any) -> str:
    """A room."""
    room_id: str = (await client.post("/createRoom", more))["room_id"]
    return room_id


async def get(client: Client, path: str, *, status: int = 200) -> Any:
    return await client.request("GET", path, status=status)


async def listed(admin: Client, query: str) -> list[str]:
    """The names of the rooms of a list."""
    answer = await get(admin, f"{ROOMS}?{query}")
    return [room["name"] for room in answer["rooms"]]


async def test_lists(admin: Client, alice: Client) -> None:
    await make(alice, name="Beta", preset="public_chat", visibility="public", room_alias_name="second")
    await make(alice, name="alpha", preset="private_chat")
    left = await make(alice, name="Gamma", room_version="9")
    await alice.post(f"/rooms/{left}/leave", {})
    assert await listed(admin, "") == ["alpha", "Beta", "Gamma"]
    assert await listed(admin, "dir=b") == ["Gamma", "Beta", "alpha"]
    assert await listed(admin, "order_by=version") == ["alpha", "Beta", "Gamma"]
    assert (await listed(admin, "order_by=size"))[-1] == "Gamma"
    assert await listed(admin, "search_term=bet") == ["Beta"]
    assert await listed(admin, "search_term=SECO") == ["Beta"]
    assert await listed(admin, f"search_term={left[1:]}") == ["Gamma"]
    assert await listed(admin, "public_rooms=true") == ["Beta"]
    assert await listed(admin, "public_rooms=false") == ["alpha", "Gamma"]
    assert await listed(admin, "empty_rooms=true") == ["Gamma"]
    assert await listed(admin, "empty_rooms=false") == ["alpha", "Beta"]
    for order in ("alphabetical", "canonical_alias", "joined_local_members", "creator", "encryption"):
        assert len(await listed(admin, f"order_by={order}")) == 3
    for order in ("federatable", "join_rules", "guest_access", "history_visibility", "state_events"):
        assert len(await listed(admin, f"order_by={order}")) == 3
    await get(admin, f"{ROOMS}?order_by=colour", status=400)
    await get(alice, ROOMS, status=403)


async def test_pages(admin: Client, alice: Client) -> None:
    for name in "abc":
        await make(alice, name=name)
    first = await get(admin, f"{ROOMS}?limit=2")
    assert (first["offset"], first["total_rooms"], first["next_batch"]) == (0, 3, 2)
    assert "prev_batch" not in first
    rest = await get(admin, f"{ROOMS}?limit=2&from=2")
    assert [room["name"] for room in rest["rooms"]] == ["c"]
    assert (rest["offset"], rest["prev_batch"]) == (2, 0)
    assert "next_batch" not in rest


async def test_what_a_list_says_is_what_is_so_now(admin: Client, alice: Client) -> None:
    room_id = await make(alice, name="old")
    assert await listed(admin, "") == ["old"]
    await alice.put(f"/rooms/{room_id}/state/m.room.name", {"name": "new"})
    assert await listed(admin, "") == ["new"]
    names = await alice.get(f"/rooms/{room_id}/messages?dir=b&limit=1")
    await alice.put(f"/rooms/{room_id}/redact/{names['chunk'][0]['event_id']}/t1", {})
    assert await listed(admin, "") == [None]
    assert await listed(admin, "search_term=new") == []


async def test_details(admin: Client, alice: Client) -> None:
    room_id = await make(alice, name="a", topic="t", creation_content={"type": "m.space"})
    found = await get(admin, f"{ROOMS}/{room_id}")
    assert {
        "room_id": room_id,
        "name": "a",
        "topic": "t",
        "avatar": None,
        "canonical_alias": None,
        "joined_members": 1,
        "joined_local_members": 1,
        "joined_local_devices": 1,
        "creator": alice.user_id,
        "encryption": None,
        "federatable": True,
        "public": False,
        "join_rules": "invite",
        "guest_access": "can_join",
        "history_visibility": "shared",
        "room_type": "m.space",
        "forgotten": False,
        "tombstoned": False,
        "replacement_room": None,
    }.items() <= found.items()
    state = (await get(admin, f"{ROOMS}/{room_id}/state"))["state"]
    assert found["state_events"] == len(state)
    await alice.post(f"/rooms/{room_id}/leave", {})
    await alice.post(f"/rooms/{room_id}/forget", {})
    assert (await get(admin, f"{ROOMS}/{room_id}"))["forgotten"]
    await get(admin, f"{ROOMS}/!nothing:test.example", status=404)


async def test_members_and_state(admin: Client, alice: Client) -> None:
    room_id = await make(alice, name="a")
    assert await get(admin, f"{ROOMS}/{room_id}/members") == {"members": [alice.user_id], "total": 1}
    names = (await get(admin, f"{ROOMS}/{room_id}/state?type=m.room.name"))["state"]
    assert [event["content"] for event in names] == [{"name": "a"}]
    await get(admin, f"{ROOMS}/!nothing:test.example/members", status=404)
    await get(admin, f"{ROOMS}/!nothing:test.example/state", status=404)


async def test_histories_are_read_from_outside(admin: Client, alice: Client) -> None:
    room_id = await make(
        alice,
        initial_state=[
            {
                "type": "m.room.history_visibility",
                "state_key": "",
                "content": {"history_visibility": "joined"},
            }
        ],
    )
    first, second, third = [await say(alice, room_id, body) for body in "abc"]
    page = await get(admin, f"{ROOMS}/{room_id}/messages?dir=b&limit=2")
    assert [event["event_id"] for event in page["chunk"]] == [third, second]
    rest = await get(admin, f"{ROOMS}/{room_id}/messages?dir=b&limit=1&from={page['end']}")
    assert [event["event_id"] for event in rest["chunk"]] == [first]
    around = await get(admin, f"{ROOMS}/{room_id}/context/{second}?limit=2")
    assert around["event"]["event_id"] == second
    assert [event["event_id"] for event in around["events_after"]] == [third]
    near = await get(admin, f"{ROOMS}/{room_id}/timestamp_to_event?ts=0")
    assert near["origin_server_ts"] <= around["event"]["origin_server_ts"]
    await get(admin, f"{ROOMS}/{room_id}/timestamp_to_event?ts=0&dir=b", status=404)
    await get(admin, f"{ROOMS}/{room_id}/timestamp_to_event?ts=-1", status=400)
    event = (await get(admin, f"{ADMIN}/fetch_event/{second}"))["event"]
    assert event["event_id"] == second
    assert event["prev_events"] == [first]
    await get(admin, f"{ADMIN}/fetch_event/$nothing", status=404)
    await get(admin, f"{ROOMS}/!nothing:test.example/messages", status=404)


async def test_spaces(admin: Client, alice: Client) -> None:
    space = await make(alice, name="space", creation_content={"type": "m.space"})
    rooms = [await make(alice, name=name) for name in ("a", "b")]
    for room_id in rooms:
        await alice.put(f"/rooms/{space}/state/m.space.child/{room_id}", {"via": ["test.example"]})
    page = await get(admin, f"{ROOMS}/{space}/hierarchy")
    assert sorted(room["name"] for room in page["rooms"]) == ["a", "b", "space"]
    first = await get(admin, f"{ROOMS}/{space}/hierarchy?limit=2")
    rest = await get(admin, f"{ROOMS}/{space}/hierarchy?limit=2&from={first['next_batch']}")
    assert [room["room_id"] for room in first["rooms"] + rest["rooms"]] == [
        room["room_id"] for room in page["rooms"]
    ]
    only = await get(admin, f"{ROOMS}/{space}/hierarchy?max_depth=0")
    assert [room["name"] for room in only["rooms"]] == ["space"]


async def test_blocked_rooms(server: Homeserver, admin: Client, alice: Client) -> None:
    room_id = await make(alice, preset="public_chat")
    bob = await server.register("bob")
    assert await get(admin, f"{ROOMS}/{room_id}/block") == {"block": False}
    assert await admin.request("PUT", f"{ROOMS}/{room_id}/block", {"block": True}) == {"block": True}
    assert await get(admin, f"{ROOMS}/{room_id}/block") == {"block": True, "user_id": admin.user_id}
    await bob.post(f"/join/{room_id}", {}, status=403)
    await alice.post(f"/rooms/{room_id}/invite", {"user_id": bob.user_id}, status=403)
    await alice.put("/directory/room/%23x:test.example", {"room_id": room_id}, status=403)
    await say(alice, room_id, "those who are in it go on")
    await admin.request("PUT", f"{ROOMS}/{room_id}/block", {"block": False})
    await bob.post(f"/join/{room_id}", {})
    await admin.request("PUT", f"{ROOMS}/!elsewhere:other.example/block", {"block": True})
    await bob.post("/join/!elsewhere:other.example?server_name=other.example", {}, status=403)


async def test_who_is_made_admin(server: Homeserver, admin: Client, alice: Client) -> None:
    bob = await server.register("bob")
    for version in ("11", "12"):
        room_id = await make(alice, room_version=version)
        await admin.request("POST", f"{ROOMS}/{room_id}/make_room_admin", {"user_id": bob.user_id})
        await bob.post(f"/join/{room_id}", {})
        levels = await alice.get(f"/rooms/{room_id}/state/m.room.power_levels")
        assert levels["users"][bob.user_id] >= 100
        await bob.put(f"/rooms/{room_id}/state/m.room.name", {"name": "x"})
        await admin.request("POST", f"{ROOMS}/{room_id}/make_room_admin", {})
        await admin.post(f"/join/{room_id}", {})
        await admin.put(
            f"/rooms/{room_id}/state/m.room.power_levels",
            {**levels, "users": {**levels["users"], admin.user_id: levels["users"][bob.user_id]}},
        )
    await alice.post(f"/rooms/{room_id}/leave", {})
    await bob.post(f"/rooms/{room_id}/leave", {})
    await admin.post(f"/rooms/{room_id}/leave", {})
    await admin.request("POST", f"{ROOMS}/{room_id}/make_room_admin", {}, status=400)
    await admin.request("POST", f"{ROOMS}/!nothing:test.example/make_room_admin", {}, status=404)


async def test_having_others_join(server: Homeserver, admin: Client, alice: Client) -> None:
    bob = await server.register("bob")
    room_id = await make(alice, preset="public_chat", room_alias_name="open")
    answer = await admin.request("POST", f"{ADMIN}/join/%23open:test.example", {"user_id": bob.user_id})
    assert answer == {"room_id": room_id}
    closed = await make(alice)
    await admin.request("POST", f"{ADMIN}/join/{closed}", {"user_id": bob.user_id}, status=403)
    await alice.post(f"/rooms/{closed}/invite", {"user_id": admin.user_id})
    await admin.post(f"/join/{closed}", {})
    await admin.request("POST", f"{ADMIN}/join/{closed}", {"user_id": bob.user_id})
    joined = (await bob.get("/joined_rooms"))["joined_rooms"]
    assert sorted(joined) == sorted([room_id, closed])
    await admin.request("POST", f"{ADMIN}/join/{room_id}", {"user_id": "@x:other.example"}, status=400)
    await admin.request("POST", f"{ADMIN}/join/{room_id}", {"user_id": "@x:test.example"}, status=404)
    await admin.request("POST", f"{ADMIN}/join/{room_id}", {}, status=400)


async def test_forward_extremities(admin: Client, alice: Client) -> None:
    room_id = await make(alice)
    last = await say(alice, room_id, "a")
    found = await get(admin, f"{ROOMS}/{room_id}/forward_extremities")
    assert found["count"] == 1
    assert found["results"][0]["event_id"] == last
    assert found["results"][0]["depth"] > 1
    assert await admin.request("DELETE", f"{ROOMS}/{room_id}/forward_extremities") == {"deleted": 0}
    await get(admin, f"{ROOMS}/!nothing:test.example/forward_extremities", status=404)
