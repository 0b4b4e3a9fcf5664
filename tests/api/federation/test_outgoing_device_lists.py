"""What other servers are told of the devices of users here."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from pathlib import Path
from typing import Any

import orjson
import pytest

from palpo.db.transaction import Transaction
from palpo.services.federation.sending.outgoing_device_lists import MAX_UPDATES
from palpo.storage import destination_edus
from palpo.workers.device_list_teller import DeviceListTeller
from tests.support.encryption import cross_signing_keys, device_keys, sign_as, signing_key
from tests.support.homeserver import Client, Homeserver, homeserver
from tests.support.remote_users import BOB, SERVER, Remote

MEMBER = "m.room.member"
DEVICE, SIGNING = "m.device_list_update", "m.signing_key_update"


@pytest.fixture
async def server(tmp_path: Path) -> AsyncIterator[Homeserver]:
    async with homeserver(tmp_path, federation={"enabled": True}) as server:
        yield server


@pytest.fixture
async def room(server: Homeserver, alice: Client) -> Remote:
    """A room of Alice's that Bob is in."""
    room = Remote(server, await alice.create_room(preset="public_chat"))
    await room.send(await room.event(BOB, (MEMBER, BOB), {"membership": "join"}))
    return room


async def told(server: Homeserver, destination: str = SERVER) -> list[tuple[str, dict[str, Any]]]:
    """What a server is to be told, once all there is has been looked at; it is as if it were told now."""
    ours = server.services.server
    db = ours.db
    teller = DeviceListTeller(ours.name, db, ours.wakeups, server.services.history.events)
    await teller.consumer.catch_up(batches=50)
    edus = await db.read(lambda tx: destination_edus.waiting(tx, destination, 1000))
    positions = [edu.position for edu in edus]
    await db.write(lambda tx: destination_edus.sent(tx, destination, positions))
    return [(edu.edu_type, orjson.loads(edu.content)) for edu in edus]


async def upload(client: Client, name: str = "device") -> dict[str, Any]:
    keys = device_keys(client.user_id, client.device_id, name)
    await client.post("/keys/upload", {"device_keys": keys})
    return keys


async def test_each_change_follows_the_one_before(server: Homeserver, alice: Client, room: Remote) -> None:
    keys = await upload(alice)
    ((type_, first),) = await told(server)
    assert type_ == DEVICE
    assert first == {
        "user_id": alice.user_id,
        "device_id": alice.device_id,
        "keys": keys,
        "stream_id": first["stream_id"],
        "prev_id": [],
    }
    await alice.put(f"/devices/{alice.device_id}", {"display_name": "Phone"})
    ((_, second),) = await told(server)
    assert second == {
        **first,
        "device_display_name": "Phone",
        "stream_id": second["stream_id"],
        "prev_id": [first["stream_id"]],
    }
    assert second["stream_id"] > first["stream_id"]
    stream_id, _ = await server.services.encryption.keys.published(alice.user_id)  # type: ignore[arg-type]
    assert stream_id == second["stream_id"]
    await upload(alice)
    assert await told(server) == []
    await alice.post("/logout")
    ((_, third),) = await told(server)
    assert third == {
        "user_id": alice.user_id,
        "device_id": alice.device_id,
        "deleted": True,
        "stream_id": third["stream_id"],
        "prev_id": [second["stream_id"]],
    }
    assert await told(server) == []


async def test_cross_signing_keys_and_signatures(server: Homeserver, alice: Client, room: Remote) -> None:
    await upload(alice)
    await told(server)
    signing = cross_signing_keys(alice.user_id, "alice")
    await alice.post("/keys/device_signing/upload", signing)
    shown = {name: signing[name] for name in ("master_key", "self_signing_key")}
    assert await told(server) == [(SIGNING, {"user_id": alice.user_id, **shown})]
    key = signing_key("aliceself_signing")
    keys = device_keys(alice.user_id, alice.device_id)
    signed = sign_as(keys, alice.user_id, key, f"ed25519:{key.verify_key_base64}")
    await alice.post("/keys/signatures/upload", {alice.user_id: {alice.device_id: signed}})
    ((type_, update),) = await told(server)
    assert (type_, update["keys"]) == (DEVICE, signed)
    name = next(iter(signing["master_key"]["keys"].values()))
    by_device = sign_as(
        signing["master_key"],
        alice.user_id,
        signing_key("device" + alice.device_id),
        f"ed25519:{alice.device_id}",
    )
    await alice.post("/keys/signatures/upload", {alice.user_id: {name: by_device}})
    assert await told(server) == [(SIGNING, {"user_id": alice.user_id, **shown, "master_key": by_device})]


async def test_only_servers_in_the_users_rooms_are_told(
    server: Homeserver, alice: Client, room: Remote
) -> None:
    carol = await server.register("carol")
    await upload(carol)
    assert await told(server) == []
    await upload(alice)
    assert len(await told(server)) == 1
    await room.send(await room.event(BOB, (MEMBER, BOB), {"membership": "leave"}))
    await upload(alice, "new")
    assert await told(server) == []
    await room.send(await room.event(BOB, (MEMBER, BOB), {"membership": "join"}))
    assert await told(server) == [], "it sees Alice in the room, and asks"
    await upload(alice, "newer")
    assert len(await told(server)) == 1


async def test_who_joins_is_told_of_to_servers_that_know_nothing_of_them(
    server: Homeserver, alice: Client, room: Remote
) -> None:
    carol = await server.register("carol")
    await carol.post(f"/join/{room.room_id}")
    ((type_, first),) = await told(server)
    assert (type_, first["device_id"]) == (DEVICE, carol.device_id)
    assert "keys" not in first
    await carol.put(f"/profile/{carol.user_id}/displayname", {"displayname": "Carol"})
    assert await told(server) == []

    second = Remote(server, await alice.create_room(preset="public_chat"))
    for user in (BOB, "@dora:other.example"):
        await second.send(await second.event(user, (MEMBER, user), {"membership": "join"}))
    await carol.post(f"/join/{second.room_id}")
    assert await told(server) == []
    ((_, again),) = await told(server, "other.example")
    assert again == {**first, "prev_id": []}


async def test_devices_without_keys(server: Homeserver, alice: Client, room: Remote) -> None:
    await alice.put(f"/devices/{alice.device_id}", {"display_name": "Phone"})
    ((_, update),) = await told(server)
    assert (update["device_display_name"], "keys" in update) == ("Phone", False)
    other = await server.login("alice")
    ((_, update),) = await told(server)
    assert update["device_id"] == other.device_id
    await other.post("/logout")
    ((_, update),) = await told(server)
    assert (update["device_id"], update["deleted"]) == (other.device_id, True)


async def test_of_many_changes_the_last_is_told(server: Homeserver, alice: Client) -> None:
    for _ in range(MAX_UPDATES):
        await server.login("alice")
    room = Remote(server, await alice.create_room(preset="public_chat"))
    await room.send(await room.event(BOB, (MEMBER, BOB), {"membership": "join"}))
    await upload(alice)
    ((_, first),) = await told(server)
    await alice.put(f"/devices/{alice.device_id}", {"display_name": "Phone"})
    ((_, second),) = await told(server)
    assert second["prev_id"] == [first["stream_id"]]


async def test_nothing_is_lost_or_told_twice_over_a_restart(tmp_path: Path) -> None:
    options: dict[str, Any] = {"federation": {"enabled": True}}
    async with homeserver(tmp_path, **options) as server:
        alice = await server.register("alice")
        room = Remote(server, await alice.create_room(preset="public_chat"))
        await room.send(await room.event(BOB, (MEMBER, BOB), {"membership": "join"}))
        await upload(alice)
        assert len(await told(server)) == 1
        await upload(alice, "new")
    async with homeserver(tmp_path, **options) as server:
        assert len(await told(server)) == 1
    async with homeserver(tmp_path, **options) as server:
        assert await told(server) == []


async def test_it_is_told_by_itself(server: Homeserver, alice: Client, room: Remote) -> None:
    await upload(alice)
    db = server.services.server.db
    async with asyncio.timeout(20):
        while not await db.read(waits):  # noqa: ASYNC110 - nothing says when
            await asyncio.sleep(0.02)


async def waits(tx: Transaction) -> bool:
    return bool(await destination_edus.waiting(tx, SERVER, 10))
