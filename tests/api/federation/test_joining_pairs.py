"""Users of two servers of ours in one room."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from pathlib import Path
from typing import Any

import pytest

from tests.support.homeserver import Client, Homeserver
from tests.support.pairs import pair

Pair = tuple[Homeserver, Homeserver]


@pytest.fixture
async def servers(tmp_path: Path) -> AsyncIterator[Pair]:
    async with pair(tmp_path) as both:
        yield both


async def members(client: Client, room_id: str) -> set[str]:
    return set((await client.get(f"/rooms/{room_id}/joined_members"))["joined"])


async def of_room(client: Client, room_id: str) -> Any:
    """What a sync tells of a room, and its token, once the room's state is whole."""
    async with asyncio.timeout(20):
        while room_id not in (news := await client.get("/sync")).get("rooms", {}).get("join", {}):
            await client.get("/sync", params={"since": news["next_batch"], "timeout": 200})
    return news["rooms"]["join"][room_id], news["next_batch"]


@pytest.mark.parametrize("version", ["1", "2", "3", "6", "8", "11", "12"])
async def test_a_join(servers: Pair, version: str) -> None:
    one, two = servers
    alice, bob = await one.register("alice"), await two.register("bob")
    room_id = await alice.create_room(preset="public_chat", room_version=version, room_alias_name="tea")
    await alice.send(room_id, "before")
    assert await bob.post("/join/%23tea%3Ahs1.test") == {"room_id": room_id}
    both = {alice.user_id, bob.user_id}
    assert await members(alice, room_id) == await members(bob, room_id) == both


async def test_who_has_left_is_known_to_have_left_where_they_ask_next(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("palpo.workers.federation_sender.GATHER_SECONDS", 0.3)
    async with pair(tmp_path) as (one, two):
        alice, bob = await one.register("alice"), await two.register("bob")
        room_id = await alice.create_room(invite=[bob.user_id])
        await bob.post(f"/rooms/{room_id}/join")
        await of_room(bob, room_id)
        await bob.post(f"/rooms/{room_id}/leave")
        await bob.post(f"/join/{room_id}", params={"via": "hs1.test"}, status=403)
        assert await members(alice, room_id) == {alice.user_id}


async def test_an_invite_is_taken(servers: Pair) -> None:
    one, two = servers
    alice, bob = await one.register("alice"), await two.register("bob")
    room_id = await alice.create_room(invite=[bob.user_id], name="Tea", is_direct=True)
    invited = (await bob.get("/sync"))["rooms"]["invite"][room_id]["invite_state"]["events"]
    assert {"m.room.name", "m.room.create", "m.room.member"} <= {item["type"] for item in invited}
    await bob.post(f"/rooms/{room_id}/join")
    synced, _ = await of_room(bob, room_id)
    (event,) = synced["timeline"]["events"]
    assert event["unsigned"]["prev_content"] == {"membership": "invite", "is_direct": True}
    assert event["unsigned"]["prev_sender"] == alice.user_id
    assert await members(alice, room_id) == {alice.user_id, bob.user_id}


async def test_an_invite_is_turned_down(servers: Pair) -> None:
    one, two = servers
    alice, bob = await one.register("alice"), await two.register("bob")
    room_id = await alice.create_room(preset="private_chat")
    for _ in range(3):
        await alice.post(f"/rooms/{room_id}/invite", {"user_id": bob.user_id})
        await bob.post(f"/rooms/{room_id}/leave")
        state = await alice.get(f"/rooms/{room_id}/state/m.room.member/{bob.user_id}")
        assert state["membership"] == "leave"


async def test_a_knock_is_heard(servers: Pair) -> None:
    one, two = servers
    alice, bob = await one.register("alice"), await two.register("bob")
    room_id = await alice.create_room(
        preset="private_chat",
        room_version="7",
        initial_state=[{"type": "m.room.join_rules", "content": {"join_rule": "knock"}}],
    )
    via = {"via": "hs1.test"}
    await bob.post(f"/join/{room_id}", params=via, status=403)
    await bob.post(f"/knock/{room_id}", {"reason": "me"}, params=via)
    state = await alice.get(f"/rooms/{room_id}/state/m.room.member/{bob.user_id}")
    assert (state["membership"], state["reason"]) == ("knock", "me")
    await alice.post(f"/rooms/{room_id}/invite", {"user_id": bob.user_id})
    assert room_id in (await bob.get("/sync"))["rooms"]["invite"]
    await bob.post(f"/knock/{room_id}", params=via, status=403)
    await bob.post(f"/rooms/{room_id}/join")
    assert await members(alice, room_id) == {alice.user_id, bob.user_id}


async def restricted(alice: Client, version: str = "8", **more: Any) -> tuple[str, str]:
    """A room, and another whose members may join it."""
    space = await alice.create_room(preset="public_chat")
    allow = [{"type": "m.room_membership", "room_id": space, "via": ["hs1.test"]}]
    content = {"join_rule": "restricted", "allow": allow}
    state = [{"type": "m.room.join_rules", "content": content}]
    room_id = await alice.create_room(preset="public_chat", room_version=version, initial_state=state, **more)
    return room_id, space


@pytest.mark.parametrize("version", ["8", "12"])
async def test_a_restricted_join(servers: Pair, version: str) -> None:
    one, two = servers
    alice, bob = await one.register("alice"), await two.register("bob")
    room_id, space = await restricted(alice, version)
    via = {"via": "hs1.test"}
    await bob.post(f"/join/{room_id}", params=via, status=403)
    await bob.post(f"/join/{space}", params=via)
    await bob.post(f"/join/{room_id}", params=via)
    state = await alice.get(f"/rooms/{room_id}/state/m.room.member/{bob.user_id}")
    assert state["join_authorised_via_users_server"] == alice.user_id


async def test_a_restricted_join_of_somebody_elses_room_that_is_here(servers: Pair) -> None:
    """Nobody here may invite, so another server lets the user in; the room goes on here."""
    one, two = servers
    alice = await one.register("alice")
    bob, carol = await two.register("bob"), await two.register("carol")
    levels = {"invite": 100}
    room_id, space = await restricted(alice, power_level_content_override=levels)
    via = {"via": "hs1.test"}
    for user in (bob, carol):
        await user.post(f"/join/{space}", params=via)
    async with asyncio.timeout(20):
        # Carol joined where Bob is; the server that lets her in hears of it in a moment.
        news = await alice.get("/sync")
        while carol.user_id not in await members(alice, space):
            news = await alice.get("/sync", params={"since": news["next_batch"], "timeout": 200})
    await bob.post(f"/join/{room_id}", params=via)
    _, since = await of_room(bob, room_id)
    await carol.post(f"/join/{room_id}", params={"via": "hs2.test"})
    state = await bob.get(f"/rooms/{room_id}/state/m.room.member/{carol.user_id}")
    assert state["join_authorised_via_users_server"] == alice.user_id
    timeline = (await bob.get("/sync", params={"since": since}))["rooms"]["join"][room_id]["timeline"]
    assert [item["state_key"] for item in timeline["events"]] == [carol.user_id]
    assert timeline["limited"] is False


async def test_an_invite_is_taken_back(servers: Pair) -> None:
    one, two = servers
    alice, bob = await one.register("alice"), await two.register("bob")
    room_id = await alice.create_room(preset="private_chat", invite=[bob.user_id])
    since = (await bob.get("/sync"))["next_batch"]
    await alice.post(f"/rooms/{room_id}/kick", {"user_id": bob.user_id, "reason": "no"})
    news = await bob.get("/sync", params={"since": since, "timeout": 20_000})
    (event,) = news["rooms"]["leave"][room_id]["timeline"]["events"]
    assert event["content"] == {"membership": "leave", "reason": "no"}
    assert "rooms" not in await bob.get("/sync")
