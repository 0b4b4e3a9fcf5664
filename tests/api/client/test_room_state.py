"""Room state and members."""

from __future__ import annotations

from typing import Any

import pytest

from tests.support.homeserver import Client, Homeserver


async def test_get_and_set(server: Homeserver, alice: Client) -> None:
    room_id = await alice.create_room(name="One")
    for path in ("m.room.name", "m.room.name/"):
        assert await alice.get(f"/rooms/{room_id}/state/{path}") == {"name": "One"}
    set_ = await alice.put(f"/rooms/{room_id}/state/m.room.name", {"name": "Two"})
    assert await alice.put(f"/rooms/{room_id}/state/m.room.name/", {"name": "Two"}) == set_
    event = await alice.get(f"/rooms/{room_id}/state/m.room.name?format=event")
    assert event["event_id"] == set_["event_id"]
    assert event["content"] == {"name": "Two"}
    assert event["room_id"] == room_id
    await alice.put(f"/rooms/{room_id}/state/a%2Fb/c%2Fd", {"x": 2**53 - 1})
    assert await alice.get(f"/rooms/{room_id}/state/a%2Fb/c%2Fd") == {"x": 2**53 - 1}
    everything = await alice.get(f"/rooms/{room_id}/state")
    assert {(item["type"], item["state_key"]) for item in everything} >= {
        ("m.room.create", ""),
        ("a/b", "c/d"),
        ("m.room.member", alice.user_id),
    }


async def test_nothing_there(alice: Client) -> None:
    room_id = await alice.create_room()
    answer = await alice.get(f"/rooms/{room_id}/state/nothing", status=404)
    assert answer["errcode"] == "M_NOT_FOUND"


@pytest.mark.parametrize(
    "path", ["state", "state/m.room.create", "members", "joined_members", "aliases", "state/x/y"]
)
async def test_outsiders_see_nothing(alice: Client, bob: Client, path: str) -> None:
    room_id = await alice.create_room(invite=[bob.user_id])
    for room in (room_id, "!nowhere:test.example"):
        answer = await bob.get(f"/rooms/{room}/{path}", status=403)
        assert answer["errcode"] == "M_FORBIDDEN"


async def test_anybody_may_look_into_a_world_readable_room(alice: Client, bob: Client) -> None:
    shown = {"type": "m.room.history_visibility", "content": {"history_visibility": "world_readable"}}
    room_id = await alice.create_room(initial_state=[shown])
    assert await bob.get(f"/rooms/{room_id}/state/m.room.create")
    assert len((await bob.get(f"/rooms/{room_id}/members"))["chunk"]) == 1


async def test_who_left_sees_the_state_as_it_was(server: Homeserver, alice: Client, bob: Client) -> None:
    room_id = await alice.create_room(preset="public_chat", name="Before")
    await bob.post(f"/join/{room_id}")
    await bob.post(f"/rooms/{room_id}/leave")
    await alice.put(f"/rooms/{room_id}/state/m.room.name", {"name": "After"})
    carol = await server.register("carol")
    await carol.post(f"/join/{room_id}")
    assert await bob.get(f"/rooms/{room_id}/state/m.room.name") == {"name": "Before"}
    chunk = (await bob.get(f"/rooms/{room_id}/members"))["chunk"]
    shown = {(item["state_key"], item["content"]["membership"]) for item in chunk}
    assert shown == {(alice.user_id, "join"), (bob.user_id, "leave")}
    now = server.services.server.wakeups.position
    later = (await bob.get(f"/rooms/{room_id}/members?at=s{now}"))["chunk"]
    assert {item["state_key"] for item in later} == {alice.user_id, bob.user_id}
    await alice.post(f"/rooms/{room_id}/ban", {"user_id": bob.user_id})
    assert await bob.get(f"/rooms/{room_id}/state/m.room.name") == {"name": "Before"}
    await alice.post(f"/rooms/{room_id}/unban", {"user_id": bob.user_id})
    await bob.post(f"/rooms/{room_id}/forget")
    await bob.get(f"/rooms/{room_id}/state/m.room.name", status=403)


async def test_members(server: Homeserver, alice: Client, bob: Client) -> None:
    room_id = await alice.create_room(preset="public_chat")
    before = server.services.server.wakeups.position
    await bob.post(f"/join/{room_id}")
    carol = await server.register("carol")
    await carol.post(f"/join/{room_id}")
    await carol.post(f"/rooms/{room_id}/leave")

    async def members(query: str) -> set[str]:
        chunk = (await alice.get(f"/rooms/{room_id}/members{query}"))["chunk"]
        return {item["state_key"] for item in chunk}

    assert await members("") == {alice.user_id, bob.user_id, carol.user_id}
    assert await members("?membership=join") == {alice.user_id, bob.user_id}
    assert await members("?not_membership=join") == {carol.user_id}
    assert await members("?membership=leave&not_membership=leave") == await members("")
    assert await members(f"?at=s{before}") == {alice.user_id}
    for start in ("s0", "t1-0", "t1-9-0"):
        assert await members(f"?at={start}") == {alice.user_id}
    for query in ("?membership=x", "?at=x"):
        answer = await alice.get(f"/rooms/{room_id}/members{query}", status=400)
        assert answer["errcode"] == "M_INVALID_PARAM"
    joined = (await bob.get(f"/rooms/{room_id}/joined_members"))["joined"]
    assert set(joined) == {alice.user_id, bob.user_id}


async def test_members_named_by_themselves(alice: Client, bob: Client) -> None:
    room_id = await alice.create_room(preset="public_chat")
    await bob.post(f"/join/{room_id}")
    content = {"membership": "join", "displayname": "Bobby", "join_authorised_via_users_server": "x"}
    path = f"/rooms/{room_id}/state/m.room.member/{bob.user_id}"
    set_ = await bob.put(path, content)
    assert await bob.put(path, content) == set_
    assert await bob.get(path) == {"membership": "join", "displayname": "Bobby"}
    joined = (await bob.get(f"/rooms/{room_id}/joined_members"))["joined"]
    assert joined[bob.user_id] == {"display_name": "Bobby", "avatar_url": None}


async def test_restrictions_hold_for_memberships_set_as_state(alice: Client, bob: Client) -> None:
    allow = [{"type": "m.room_membership", "room_id": await alice.create_room()}]
    rule = {"type": "m.room.join_rules", "content": {"join_rule": "restricted", "allow": allow}}
    room_id = await alice.create_room(preset="public_chat", initial_state=[rule])
    content = {"membership": "join", "join_authorised_via_users_server": alice.user_id}
    await bob.put(f"/rooms/{room_id}/state/m.room.member/{bob.user_id}", content, status=403)


@pytest.mark.parametrize(
    ("type_", "content", "errcode"),
    [
        ("m.room.power_levels/", {"users": "x"}, "M_BAD_JSON"),
        ("m.room.power_levels", {"users": {"@alice:test.example": 100}}, "M_BAD_JSON"),
        ("m.room.power_levels", {"ban": 2**53}, "M_BAD_JSON"),
        ("m.room.power_levels", {"ban": 1.5}, "M_BAD_JSON"),
        ("m.room.create", {}, "M_BAD_JSON"),
        ("m.room.member/@bob:test.example", {"membership": 1}, "M_BAD_JSON"),
        ("m.room.member/@bob:test.example", {"membership": "dance"}, "M_BAD_JSON"),
        ("m.room.member/", {"membership": "join"}, "M_INVALID_PARAM"),
        ("x/%00", {}, "M_INVALID_PARAM"),
        ("m.room.canonical_alias", {"alias": "#nothing:test.example"}, "M_BAD_ALIAS"),
        ("m.room.canonical_alias", {"alias": "%x:test.example"}, "M_INVALID_PARAM"),
        ("m.room.canonical_alias", {"alt_aliases": "x"}, "M_INVALID_PARAM"),
        ("m.room.canonical_alias", {"alt_aliases": ["#x:y"]}, "M_BAD_ALIAS"),
    ],
)
async def test_refused(alice: Client, type_: str, content: dict[str, Any], errcode: str) -> None:
    room_id = await alice.create_room()
    answer = await alice.put(f"/rooms/{room_id}/state/{type_}", content, status=400)
    assert answer["errcode"] == errcode


async def test_too_large(alice: Client) -> None:
    room_id = await alice.create_room()
    answer = await alice.put(f"/rooms/{room_id}/state/x", {"body": "a" * 70_000}, status=413)
    assert answer["errcode"] == "M_TOO_LARGE"
    await alice.put(f"/rooms/{room_id}/state/{'x' * 300}", {}, status=413)


async def test_a_long_state_key_that_its_owner_begins(alice: Client) -> None:
    """MSC3757: a user ID, an underscore, and 255 bytes."""
    key = f"{alice.user_id}_{'x' * 255}"
    owned = await alice.create_room(room_version="org.matrix.msc3757.11")
    await alice.put(f"/rooms/{owned}/state/m.x/{key}", {"n": 1})
    assert await alice.get(f"/rooms/{owned}/state/m.x/{key}") == {"n": 1}
    await alice.put(f"/rooms/{owned}/state/m.x/{key}x", {"n": 1}, status=403)
    await alice.put(f"/rooms/{owned}/state/m.x/{'x' * 256}", {"n": 1}, status=413)
    plain = await alice.create_room(room_version="11")
    await alice.put(f"/rooms/{plain}/state/m.x/{key}", {"n": 1}, status=413)
