"""Push gateways are told of events and of numbers of unread messages, by a server of the test's own."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any

import pytest

from tests.support.homeserver import Client, Homeserver, homeserver
from tests.support.pairs import Town
from tests.support.post_server import PostServer, post_server
from tests.support.remote_invites import OtherRoom
from tests.support.remote_server import remote_server

SETTINGS: dict[str, Any] = {"push": {"allow_http": True}, "network": {"allow": ["127.0.0.0/8"]}}
PUSHKEY = "the-device"
BACKOFF_MS = 5000


@pytest.fixture
async def gateway() -> AsyncIterator[PostServer]:
    async with post_server() as server:
        server.answer = {"rejected": []}
        yield server


@pytest.fixture
async def server(tmp_path: Path) -> AsyncIterator[Homeserver]:
    async with homeserver(tmp_path, **SETTINGS) as running:
        yield running


@asynccontextmanager
async def hanging() -> AsyncIterator[str]:
    """The URL of a server that takes connections, and never answers."""
    writers: list[asyncio.StreamWriter] = []

    async def take(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        writers.append(writer)

    running = await asyncio.start_server(take, "127.0.0.1", 0)
    try:
        yield f"http://127.0.0.1:{running.sockets[0].getsockname()[1]}"
    finally:
        running.close()
        for writer in writers:
            writer.close()
        await running.wait_closed()


async def set_pusher(client: Client, gateway: PostServer, pushkey: str = PUSHKEY, **data: Any) -> None:
    body = {
        "kind": "http",
        "app_id": "org.example.app",
        "pushkey": pushkey,
        "app_display_name": "App",
        "device_display_name": "Phone",
        "lang": "en",
        "data": {"url": f"{gateway.url}/_matrix/push/v1/notify", "brand": "x", **data},
    }
    await client.post("/pushers/set", body)


async def conversation(server: Homeserver) -> tuple[Client, Client, str]:
    """Alice, Bob, and a room with only the two of them."""
    alice, bob = await server.register("alice"), await server.register("bob")
    room_id = await bob.create_room(name="The room", invite=[alice.user_id], preset="trusted_private_chat")
    await alice.post(f"/join/{room_id}")
    return alice, bob, room_id


async def notification(gateway: PostServer) -> dict[str, Any]:
    received = await gateway.next()
    assert received.path == "/_matrix/push/v1/notify"
    found: dict[str, Any] = received.body["notification"]
    return found


async def test_a_message(server: Homeserver, gateway: PostServer) -> None:
    alice, bob, room_id = await conversation(server)
    await set_pusher(alice, gateway)
    event_id = await bob.send(room_id, "hello")
    told = await notification(gateway)
    device = told["devices"][0]
    assert device.pop("pushkey_ts") == server.clock.now_ms() // 1000
    assert device == {
        "app_id": "org.example.app",
        "pushkey": PUSHKEY,
        "data": {"brand": "x"},
        "tweaks": {"sound": "default"},
    }
    del told["devices"]
    assert told == {
        "event_id": event_id,
        "room_id": room_id,
        "type": "m.room.message",
        "sender": bob.user_id,
        "sender_display_name": "bob",
        "room_name": "The room",
        "content": {"msgtype": "m.text", "body": "hello"},
        "prio": "high",
        "counts": {"unread": 1},
    }
    assert await gateway.quiet()


async def test_only_the_event_id(server: Homeserver, gateway: PostServer) -> None:
    alice, bob, room_id = await conversation(server)
    await set_pusher(alice, gateway, format="event_id_only")
    event_id = await bob.send(room_id, "a secret")
    told = await notification(gateway)
    assert set(told) == {"event_id", "room_id", "counts", "prio", "devices"}
    assert told["event_id"] == event_id
    assert told["devices"][0]["data"] == {"format": "event_id_only", "brand": "x"}


async def test_an_invite(server: Homeserver, gateway: PostServer) -> None:
    alice, bob = await server.register("alice"), await server.register("bob")
    await set_pusher(alice, gateway)
    await bob.create_room(invite=[alice.user_id], name="Inviting")
    told = await notification(gateway)
    assert (told["type"], told["user_is_target"]) == ("m.room.member", True)
    assert told["content"]["membership"] == "invite"


async def test_what_does_not_notify(server: Homeserver, gateway: PostServer) -> None:
    alice, bob, room_id = await conversation(server)
    await bob.send(room_id, "before there was a pusher")
    await set_pusher(alice, gateway)
    await alice.send(room_id, "one's own")
    assert "event_id" not in await notification(gateway), "only that nothing is unread now"
    await alice.put("/pushrules/global/room/" + room_id, {"actions": []})
    await bob.send(room_id, "in a room that is muted")
    assert await gateway.quiet()
    await alice.delete("/pushrules/global/room/" + room_id)
    await alice.put(
        f"/user/{alice.user_id}/account_data/m.ignored_user_list", {"ignored_users": {bob.user_id: {}}}
    )
    await bob.send(room_id, "by somebody who is ignored")
    assert await gateway.quiet()


async def test_reading_tells_the_number(server: Homeserver, gateway: PostServer) -> None:
    alice, bob, room_id = await conversation(server)
    await set_pusher(alice, gateway)
    await bob.send(room_id, "one")
    await notification(gateway)
    event_id = await bob.send(room_id, "two")
    assert (await notification(gateway))["counts"] == {"unread": 2}
    await alice.post(f"/rooms/{room_id}/receipt/m.read/{event_id}")
    told = await notification(gateway)
    assert set(told) == {"counts", "prio", "devices"}
    assert told["counts"] == {"unread": 0}
    await bob.post(f"/rooms/{room_id}/receipt/m.read/{event_id}")
    assert await gateway.quiet()


async def test_reading_what_is_being_told(server: Homeserver, gateway: PostServer) -> None:
    alice, bob, room_id = await conversation(server)
    await set_pusher(alice, gateway)
    event_id = await bob.send(room_id, "one")
    await notification(gateway)
    await alice.post(f"/rooms/{room_id}/receipt/m.read/{event_id}")
    assert (await notification(gateway))["counts"] == {"unread": 0}
    gateway.hold = asyncio.Event()
    event_id = await bob.send(room_id, "two")
    assert (await notification(gateway))["counts"] == {"unread": 1}
    await alice.post(f"/rooms/{room_id}/receipt/m.read/{event_id}")
    assert await gateway.quiet()
    gateway.hold.set()
    assert (await notification(gateway))["counts"] == {"unread": 0}


async def test_a_room_that_was_left_meanwhile(server: Homeserver, gateway: PostServer) -> None:
    alice, bob, room_id = await conversation(server)
    await set_pusher(alice, gateway)
    gateway.status = 500
    await bob.send(room_id, "while the gateway is away")
    await notification(gateway)
    await alice.post(f"/rooms/{room_id}/leave")
    gateway.status = 200
    server.clock.advance(BACKOFF_MS)
    await bob.create_room(invite=[alice.user_id])
    told = [await notification(gateway), await notification(gateway)]
    assert [item.get("type") for item in told] == [None, "m.room.member"]
    assert told[0]["counts"] == {"unread": 0}


async def test_redacting_tells_the_number(server: Homeserver, gateway: PostServer) -> None:
    alice, bob, room_id = await conversation(server)
    await set_pusher(alice, gateway)
    event_id = await bob.send(room_id, "a mistake")
    assert (await notification(gateway))["counts"] == {"unread": 1}
    await bob.put(f"/rooms/{room_id}/redact/{event_id}/1", {})
    assert (await notification(gateway))["counts"] == {"unread": 0}


async def test_any_success_is_one(server: Homeserver, gateway: PostServer) -> None:
    alice, bob, room_id = await conversation(server)
    await set_pusher(alice, gateway)
    gateway.status = 202
    await bob.send(room_id, "one")
    await notification(gateway)
    server.clock.advance(BACKOFF_MS)
    await bob.send(room_id, "two")
    assert (await notification(gateway))["content"]["body"] == "two"


async def test_sending_reads_too(server: Homeserver, gateway: PostServer) -> None:
    alice, bob, room_id = await conversation(server)
    await set_pusher(alice, gateway)
    await bob.send(room_id, "one")
    await notification(gateway)
    await alice.send(room_id, "an answer")
    assert (await notification(gateway))["counts"] == {"unread": 0}
    await alice.send(room_id, "and more")
    assert await gateway.quiet()


async def test_a_gateway_that_is_slow_holds_up_no_other(server: Homeserver, gateway: PostServer) -> None:
    alice, bob, room_id = await conversation(server)
    async with hanging() as url:
        for number in range(60):
            await set_pusher(alice, gateway, pushkey=str(number), url=f"{url}/_matrix/push/v1/notify")
        carol = await server.register("carol")
        await bob.post(f"/rooms/{room_id}/invite", {"user_id": carol.user_id})
        await carol.post(f"/join/{room_id}")
        await set_pusher(carol, gateway, pushkey="carol's")
        event_id = await bob.send(room_id, "hello")
        assert (await notification(gateway))["event_id"] == event_id


async def test_a_rejected_pushkey_removes_the_pusher(server: Homeserver, gateway: PostServer) -> None:
    alice, bob, room_id = await conversation(server)
    await set_pusher(alice, gateway)
    gateway.answer = {"rejected": ["another"]}
    await bob.send(room_id, "one")
    await notification(gateway)
    assert len((await alice.get("/pushers"))["pushers"]) == 1
    gateway.answer = {"rejected": [PUSHKEY]}
    await bob.send(room_id, "two")
    await notification(gateway)
    await bob.send(room_id, "three")
    assert await gateway.quiet()
    assert (await alice.get("/pushers"))["pushers"] == []


async def test_a_gateway_that_fails_is_tried_again(server: Homeserver, gateway: PostServer) -> None:
    alice, bob, room_id = await conversation(server)
    await set_pusher(alice, gateway)
    gateway.status = 502
    first = await bob.send(room_id, "one")
    assert (await notification(gateway))["event_id"] == first
    gateway.status = 200
    second = await bob.send(room_id, "two")
    assert await gateway.quiet(), "tried again at once"
    server.clock.advance(BACKOFF_MS)
    assert [(await notification(gateway))["event_id"] for _ in range(2)] == [first, second]


async def test_a_restart_loses_nothing(tmp_path: Path, gateway: PostServer) -> None:
    gateway.status = 503
    async with homeserver(tmp_path, **SETTINGS) as server:
        alice, bob, room_id = await conversation(server)
        await set_pusher(alice, gateway)
        first = await bob.send(room_id, "one")
        assert (await notification(gateway))["event_id"] == first
        second = await bob.send(room_id, "two")
    gateway.status = 200
    async with homeserver(tmp_path, **SETTINGS) as server:
        server.clock.advance(BACKOFF_MS)
        assert [(await notification(gateway))["event_id"] for _ in range(2)] == [first, second]
        assert await gateway.quiet()


async def test_what_was_read_meanwhile_is_not_told(server: Homeserver, gateway: PostServer) -> None:
    alice, bob, room_id = await conversation(server)
    await set_pusher(alice, gateway)
    gateway.status = 502
    event_id = await bob.send(room_id, "one")
    await notification(gateway)
    await alice.post(f"/rooms/{room_id}/receipt/m.read/{event_id}")
    gateway.status = 200
    server.clock.advance(BACKOFF_MS)
    told = await notification(gateway)
    assert "event_id" not in told
    assert told["counts"] == {"unread": 0}


async def test_a_device_that_is_gone(server: Homeserver, gateway: PostServer) -> None:
    _, bob, room_id = await conversation(server)
    phone = await server.login("alice")
    await set_pusher(phone, gateway)
    await phone.post("/logout")
    await bob.send(room_id, "hello")
    assert await gateway.quiet()


async def test_addresses_that_may_not_be_reached(tmp_path: Path, gateway: PostServer) -> None:
    async with homeserver(tmp_path, push={"allow_http": True}) as server:
        alice, bob, room_id = await conversation(server)
        await set_pusher(alice, gateway)
        await bob.send(room_id, "hello")
        assert await gateway.quiet(0.5)


async def test_an_invite_to_a_room_that_is_not_here(tmp_path: Path, gateway: PostServer) -> None:
    town = Town.of(tmp_path, "hs1.test", "remote.example")
    async with (
        town.homeserver("hs1.test", push={"allow_http": True}) as server,
        remote_server(town, "remote.example", now_ms=server.clock.now_ms) as remote,
    ):
        alice = await server.register("alice")
        await set_pusher(alice, gateway)
        room = OtherRoom(remote, clock=server.clock.now_ms())
        invite = room.membership(alice.user_id, "invite")
        await room.invite(server, invite)
        told = await notification(gateway)
        assert (told["event_id"], told["room_id"], told["room_name"]) == (
            invite.event_id,
            room.room_id,
            "tea",
        )
        assert (told["user_is_target"], told["sender"]) == (True, room.inviter)
        await server.services.federation.received_invites.end(room.membership(alice.user_id, "leave").pdu)
        assert await gateway.quiet()
