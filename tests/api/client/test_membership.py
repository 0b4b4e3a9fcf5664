"""Joining, inviting, leaving, kicking, banning, knocking, forgetting."""

from __future__ import annotations

import asyncio
from typing import Any

import pytest

from palpo.services.history.drafts import Draft
from tests.support.homeserver import Client, Homeserver


async def member(server: Homeserver, room_id: str, user: Client) -> dict[str, Any] | None:
    """The content of a user's membership."""
    head = await server.services.history.room_heads.get(room_id)
    found = await server.services.history.events.state_event(head.state_root, "m.room.member", user.user_id)
    return found.event.content if found else None


async def membership(server: Homeserver, room_id: str, user: Client) -> str | None:
    content = await member(server, room_id, user)
    return content["membership"] if content else None


async def test_join_by_id_and_by_alias(server: Homeserver, alice: Client, bob: Client) -> None:
    room_id = await alice.create_room(preset="public_chat", room_alias_name="here")
    carol = await server.register("carol")
    assert await bob.post(f"/rooms/{room_id}/join", {"foo": "bar"}) == {"room_id": room_id}
    assert await carol.post("/join/%23here:test.example?server_name=x") == {"room_id": room_id}
    expected = {"membership": "join", "foo": "bar", "displayname": "bob"}
    assert await member(server, room_id, bob) == expected
    assert await bob.get("/joined_rooms") == {"joined_rooms": [room_id]}
    mutual = await bob.request("GET", f"/client/v1/mutual_rooms?user_id={carol.user_id}")
    assert mutual == {"joined": [room_id], "count": 1}


async def test_joining_again_writes_nothing(server: Homeserver, alice: Client, bob: Client) -> None:
    room_id = await alice.create_room(preset="public_chat")
    await asyncio.gather(*(bob.post(f"/join/{room_id}") for _ in range(4)))
    head = await server.services.history.room_heads.get(room_id)
    await bob.post(f"/join/{room_id}", {"foo": "bar"})
    again = await server.services.history.room_heads.get(room_id)
    assert again.row.depth == head.row.depth == 6


@pytest.mark.parametrize(
    ("target", "status", "errcode"),
    [
        ("!nowhere:test.example", 404, "M_NOT_FOUND"),
        ("%23nowhere:test.example", 404, "M_NOT_FOUND"),
        ("nothing", 400, "M_INVALID_PARAM"),
        ("!" + "a" * 300, 400, "M_INVALID_PARAM"),
        ("!a%00b", 400, "M_INVALID_PARAM"),
    ],
)
async def test_joining_nothing(alice: Client, target: str, status: int, errcode: str) -> None:
    for verb in ("join", "knock"):
        answer = await alice.post(f"/{verb}/{target}", status=status)
        assert answer["errcode"] == errcode


async def test_invite_join_leave_forget(server: Homeserver, alice: Client, bob: Client) -> None:
    room_id = await alice.create_room()
    assert (await bob.post(f"/join/{room_id}", status=403))["errcode"] == "M_FORBIDDEN"
    await alice.post(f"/rooms/{room_id}/invite", {"user_id": bob.user_id, "reason": "hi"})
    expected = {"membership": "invite", "reason": "hi", "displayname": "bob"}
    assert await member(server, room_id, bob) == expected
    await bob.post(f"/join/{room_id}")
    await alice.post(f"/rooms/{room_id}/invite", {"user_id": bob.user_id}, status=403)
    refused = await bob.post(f"/rooms/{room_id}/forget", status=400)
    assert refused["errcode"] == "M_UNKNOWN"
    await bob.post(f"/rooms/{room_id}/leave", {"reason": "bye"})
    await bob.post(f"/rooms/{room_id}/leave")
    assert await member(server, room_id, bob) == {"membership": "leave", "reason": "bye"}
    await bob.post(f"/rooms/{room_id}/forget")
    await bob.post(f"/join/{room_id}", status=403)


async def test_what_is_forgotten_stays_so(server: Homeserver, alice: Client, bob: Client) -> None:
    room_id = await alice.create_room(preset="public_chat")
    await bob.post(f"/join/{room_id}")
    await bob.post(f"/rooms/{room_id}/leave")
    await bob.post(f"/rooms/{room_id}/forget")
    since = (await bob.get("/sync"))["next_batch"]
    everything = {"filter": '{"room": {"include_leave": true}}'}
    for verb in ("ban", "unban"):
        await alice.post(f"/rooms/{room_id}/{verb}", {"user_id": bob.user_id})
        await bob.get(f"/rooms/{room_id}/state", status=403)
        assert "rooms" not in await bob.get("/sync", params=everything)
        news = await bob.get("/sync", params={"since": since})
        assert "rooms" not in news
        since = news["next_batch"]
    await alice.post(f"/rooms/{room_id}/invite", {"user_id": bob.user_id})
    assert (await bob.get("/sync"))["rooms"]["invite"].keys() == {room_id}


async def test_leaving_where_one_never_was(alice: Client, bob: Client) -> None:
    room_id = await alice.create_room()
    assert (await bob.post(f"/rooms/{room_id}/leave", status=403))["errcode"] == "M_FORBIDDEN"
    assert (await bob.post("/rooms/!nowhere:x/leave", status=404))["errcode"] == "M_NOT_FOUND"


async def test_rejecting_an_invite(server: Homeserver, alice: Client, bob: Client) -> None:
    room_id = await alice.create_room(invite=[bob.user_id])
    await bob.post(f"/rooms/{room_id}/leave")
    assert await membership(server, room_id, bob) == "leave"
    await bob.post(f"/rooms/{room_id}/forget")


async def test_kick(server: Homeserver, alice: Client, bob: Client) -> None:
    room_id = await alice.create_room(preset="public_chat")
    kick = {"user_id": bob.user_id, "reason": "rude"}
    refused = await alice.post(f"/rooms/{room_id}/kick", kick, status=403)
    assert refused["errcode"] == "M_FORBIDDEN"
    await bob.post(f"/join/{room_id}")
    await bob.post(f"/rooms/{room_id}/kick", {"user_id": alice.user_id}, status=403)
    await alice.post(f"/rooms/{room_id}/kick", kick)
    assert await member(server, room_id, bob) == {"membership": "leave", "reason": "rude"}
    await alice.post(f"/rooms/{room_id}/kick", kick, status=403)
    await alice.post(f"/rooms/{room_id}/ban", kick)
    await alice.post(f"/rooms/{room_id}/kick", kick, status=403)
    assert await membership(server, room_id, bob) == "ban"


async def test_ban_and_unban(server: Homeserver, alice: Client, bob: Client) -> None:
    room_id = await alice.create_room(preset="public_chat")
    target = {"user_id": bob.user_id}
    assert (await alice.post(f"/rooms/{room_id}/unban", target, status=403))["errcode"] == "M_BAD_STATE"
    await alice.post(f"/rooms/{room_id}/ban", target)
    await bob.post(f"/join/{room_id}", status=403)
    await alice.post(f"/rooms/{room_id}/invite", target, status=403)
    await bob.post(f"/rooms/{room_id}/leave", status=403)
    await alice.post(f"/rooms/{room_id}/unban", target)
    await bob.post(f"/join/{room_id}")
    assert await membership(server, room_id, bob) == "join"


async def test_knock(server: Homeserver, alice: Client, bob: Client) -> None:
    closed = await alice.create_room()
    await bob.post(f"/knock/{closed}", status=403)
    rule = {"type": "m.room.join_rules", "content": {"join_rule": "knock"}}
    room_id = await alice.create_room(initial_state=[rule])
    assert await bob.post(f"/knock/{room_id}", {"reason": "please"}) == {"room_id": room_id}
    await bob.post(f"/knock/{room_id}")
    await bob.post(f"/rooms/{room_id}/leave")
    await bob.post(f"/knock/{room_id}")
    await bob.post(f"/join/{room_id}", status=403)
    await alice.post(f"/rooms/{room_id}/invite", {"user_id": bob.user_id})
    await bob.post(f"/knock/{room_id}", status=403)
    await bob.post(f"/join/{room_id}")
    assert await membership(server, room_id, bob) == "join"


@pytest.mark.parametrize("version", ["1", "6"])
async def test_nobody_knocks_at_old_rooms(alice: Client, bob: Client, version: str) -> None:
    rule = {"type": "m.room.join_rules", "content": {"join_rule": "knock"}}
    room_id = await alice.create_room(room_version=version, initial_state=[rule])
    assert (await bob.post(f"/knock/{room_id}", status=403))["errcode"] == "M_FORBIDDEN"
    path = f"/rooms/{room_id}/state/m.room.member/{bob.user_id}"
    assert (await bob.put(path, {"membership": "knock"}, status=403))["errcode"] == "M_FORBIDDEN"


async def test_what_a_knock_shows(alice: Client, bob: Client) -> None:
    rule = {"type": "m.room.join_rules", "content": {"join_rule": "knock"}}
    room_id = await alice.create_room(name="Shy", initial_state=[rule])
    for _ in range(2):
        await bob.post(f"/knock/{room_id}")
        shown = (await bob.get("/sync"))["rooms"]["knock"][room_id]["knock_state"]["events"]
        state = {event["type"]: event for event in shown}
        assert len(state) == len(shown)
        assert state["m.room.member"]["state_key"] == bob.user_id
        assert state["m.room.member"]["content"]["membership"] == "knock"
        assert state["m.room.name"]["content"] == {"name": "Shy"}
        assert "m.room.create" in state
        await bob.post(f"/rooms/{room_id}/leave")


async def restricted(alice: Client, allow: Any) -> str:
    content = {"join_rule": "restricted", "allow": allow}
    rule = {"type": "m.room.join_rules", "content": content}
    return await alice.create_room(preset="public_chat", initial_state=[rule])


async def test_restricted_join(server: Homeserver, alice: Client, bob: Client) -> None:
    space = await alice.create_room(preset="public_chat")
    room_id = await restricted(alice, [{"type": "m.room_membership", "room_id": space}])
    await bob.post(f"/join/{room_id}", {"join_authorised_via_users_server": alice.user_id}, status=403)
    await bob.post(f"/join/{space}")
    await bob.post(f"/join/{room_id}")
    content = await member(server, room_id, bob)
    assert content is not None
    assert content["join_authorised_via_users_server"] == alice.user_id
    await server.services.rooms.memberships.refresh_profile(bob.user_id, "displayname")
    await bob.post(f"/rooms/{room_id}/leave")
    await alice.post(f"/rooms/{room_id}/leave")
    refused = await bob.post(f"/join/{room_id}", status=403)
    assert refused["errcode"] == "M_FORBIDDEN"


@pytest.mark.parametrize("allow", [["invalid"], "invalid", [{"type": 1, "room_id": []}], None])
async def test_mangled_restrictions_let_nobody_in(alice: Client, bob: Client, allow: Any) -> None:
    await bob.post(f"/join/{await restricted(alice, allow)}", status=403)


async def test_guests_join_where_they_may(server: Homeserver, alice: Client) -> None:
    answer = await server.client().request("POST", "/client/v3/register?kind=guest", {})
    guest = Client(server.http, answer["user_id"], answer["access_token"])
    closed = await alice.create_room(preset="public_chat")
    refused = await guest.post(f"/join/{closed}", status=403)
    assert refused["errcode"] == "M_GUEST_ACCESS_FORBIDDEN"
    access = {"type": "m.room.guest_access", "content": {"guest_access": "can_join"}}
    room_id = await alice.create_room(preset="public_chat", initial_state=[access])
    await guest.post(f"/join/{room_id}")
    await guest.post(f"/rooms/{room_id}/leave")


async def test_guests_go_when_a_room_takes_them_no_more(server: Homeserver, alice: Client) -> None:
    answer = await server.client().request("POST", "/client/v3/register?kind=guest", {})
    guest = Client(server.http, answer["user_id"], answer["access_token"])
    access = {"type": "m.room.guest_access", "content": {"guest_access": "can_join"}}
    room_id = await alice.create_room(preset="public_chat", initial_state=[access])
    await guest.post(f"/join/{room_id}")
    await alice.put(f"/rooms/{room_id}/state/m.room.guest_access", {"guest_access": "forbidden"})
    assert await membership(server, room_id, guest) == "leave"
    assert await membership(server, room_id, alice) == "join"


async def test_guests_go_when_what_let_them_in_is_redacted(server: Homeserver, alice: Client) -> None:
    answer = await server.client().request("POST", "/client/v3/register?kind=guest", {})
    guest = Client(server.http, answer["user_id"], answer["access_token"])
    room_id = await alice.create_room(preset="public_chat")
    path = f"/rooms/{room_id}/state/m.room.guest_access"
    event_id = (await alice.put(path, {"guest_access": "can_join"}))["event_id"]
    await guest.post(f"/join/{room_id}")
    await alice.put(f"/rooms/{room_id}/redact/{event_id}/1")
    assert await membership(server, room_id, guest) == "leave"


async def test_a_guest_joins_while_guests_are_sent_away(server: Homeserver, alice: Client) -> None:
    """The rule is looked at when the join is written, not before."""
    answer = await server.client().request("POST", "/client/v3/register?kind=guest", {})
    guest = Client(server.http, answer["user_id"], answer["access_token"])
    access = {"type": "m.room.guest_access", "content": {"guest_access": "can_join"}}
    room_id = await alice.create_room(preset="public_chat", initial_state=[access])
    forbidden = {"guest_access": "forbidden"}
    _, refused = await asyncio.gather(
        alice.put(f"/rooms/{room_id}/state/m.room.guest_access", forbidden),
        guest.post(f"/join/{room_id}", status=None),
    )
    assert await membership(server, room_id, guest) in (None, "leave"), refused


async def test_guests_go_even_if_the_server_was_stopped_before(server: Homeserver, alice: Client) -> None:
    answer = await server.client().request("POST", "/client/v3/register?kind=guest", {})
    guest = Client(server.http, answer["user_id"], answer["access_token"])
    access = {"type": "m.room.guest_access", "content": {"guest_access": "can_join"}}
    room_id = await alice.create_room(preset="public_chat", initial_state=[access])
    await guest.post(f"/join/{room_id}")
    content = {"guest_access": "forbidden"}
    draft = Draft(type="m.room.guest_access", sender=alice.user_id, state_key="", content=content)
    await server.services.history.room_writer.send(room_id, draft)
    assert await membership(server, room_id, guest) == "join"
    await alice.put(f"/rooms/{room_id}/state/m.room.guest_access", content)
    assert await membership(server, room_id, guest) == "leave"


@pytest.mark.parametrize(
    ("type_", "content"),
    [
        ("m.invite_permission_config", {"default_action": "block"}),
        ("org.matrix.msc4155.invite_permission_config", {"blocked_servers": ["test.*"]}),
    ],
)
async def test_who_wants_no_invites(alice: Client, bob: Client, type_: str, content: Any) -> None:
    await bob.put(f"/user/{bob.user_id}/account_data/{type_}", content)
    room_id = await alice.create_room()
    member = f"/rooms/{room_id}/state/m.room.member/{bob.user_id}"
    for refused in (
        await alice.post(f"/rooms/{room_id}/invite", {"user_id": bob.user_id}, status=403),
        await alice.post("/createRoom", {"invite": [bob.user_id]}, status=403),
        await alice.put(member, {"membership": "invite"}, status=403),
    ):
        assert refused["errcode"] == "M_INVITE_BLOCKED"


@pytest.mark.parametrize(
    ("verb", "body", "status"),
    [
        ("invite", {}, 400),
        ("invite", {"user_id": "bob"}, 400),
        ("invite", {"user_id": "@" + "a" * 300 + ":x"}, 400),
        ("invite", {"user_id": "@bob:elsewhere.example"}, 403),
        ("invite", {"medium": "email", "address": "a@b", "id_server": "x", "id_access_token": "y"}, 400),
        ("kick", {}, 400),
        ("ban", {"user_id": "bob"}, 400),
        ("ban", {"user_id": "@a:b", "reason": 3}, 400),
        ("leave", {"reason": "a\0b"}, 400),
        ("join", {"reason": 3}, 400),
    ],
)
async def test_refused(alice: Client, verb: str, body: dict[str, Any], status: int) -> None:
    room_id = await alice.create_room()
    await alice.post(f"/rooms/{room_id}/{verb}", body, status=status)
