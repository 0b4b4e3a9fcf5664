"""EDUs: of a server's own users, in rooms that they are in, and that let the server take part."""

from __future__ import annotations

from collections.abc import AsyncIterator
from pathlib import Path
from typing import Any

import pytest

from palpo.core.state_keys import MEMBER
from tests.support.encryption import cross_signing_keys, device_keys
from tests.support.remote_users import BOB, CAROL, SERVER
from tests.support.transactions import Sender, sender_in

OTHERS = ("@eve:elsewhere.example", "@alice:hs1.test")


@pytest.fixture
async def sender(tmp_path: Path) -> AsyncIterator[Sender]:
    async with sender_in(tmp_path) as sender:
        yield sender


def of_user(sender: Sender, user_id: str, event_id: str) -> list[dict[str, Any]]:
    """All that can be said of a user."""
    room_id, alice = sender.room.room_id, sender.alice.user_id
    keys = cross_signing_keys(user_id, user_id)
    device = device_keys(user_id, "PHONE")
    contents: dict[str, Any] = {
        "m.typing": {"room_id": room_id, "user_id": user_id, "typing": True},
        "m.receipt": {room_id: {"m.read": {user_id: {"event_ids": [event_id], "data": {"ts": 1}}}}},
        "m.presence": {"push": [{"user_id": user_id, "presence": "online"}]},
        "m.device_list_update": {
            "user_id": user_id, "device_id": "PHONE", "stream_id": 1, "prev_id": [], "keys": device
        },
        "m.signing_key_update": {"user_id": user_id, **keys},
        "m.direct_to_device": {
            "sender": user_id, "type": "m.x", "message_id": f"of {user_id}", "messages": {alice: {"*": {}}}
        },
    }  # fmt: skip
    return [{"edu_type": name, "content": content} for name, content in contents.items()]


async def shown(sender: Sender, since: str) -> dict[str, Any]:
    """What Alice is told by EDUs: of each kind, the users."""
    synced = await sender.alice.get("/sync", params={"since": since})
    room = synced.get("rooms", {}).get("join", {}).get(sender.room.room_id, {})
    ephemeral = {item["type"]: item["content"] for item in room.get("ephemeral", {}).get("events", [])}
    return {
        "typing": ephemeral.get("m.typing", {}).get("user_ids", []),
        "receipts": [
            user for item in ephemeral.get("m.receipt", {}).values() for user in item.get("m.read", {})
        ],
        "presence": [item["sender"] for item in synced.get("presence", {}).get("events", [])],
        "devices": synced.get("device_lists", {}).get("changed", []),
        "messages": [item["sender"] for item in synced.get("to_device", {}).get("events", [])],
    }


@pytest.mark.parametrize("user_id", OTHERS)
async def test_edus_of_other_servers_users_are_refused(sender: Sender, user_id: str) -> None:
    event_id = await sender.alice.send(sender.room.room_id, "hello")
    # As if the user were in the room.
    if user_id != sender.alice.user_id:
        other = type(sender.room)(sender.ours, sender.room.room_id)
        await other.send(await other.event(user_id, (MEMBER, user_id), {"membership": "join"}))
    since = (await sender.alice.get("/sync"))["next_batch"]
    await sender.send(edus=of_user(sender, user_id, event_id))
    assert not any((await shown(sender, since)).values())


async def test_edus_of_its_own_users_are_taken(sender: Sender) -> None:
    """So the other tests are of some use."""
    event_id = await sender.alice.send(sender.room.room_id, "hello")
    since = (await sender.alice.get("/sync"))["next_batch"]
    await sender.send(edus=of_user(sender, BOB, event_id))
    told = await shown(sender, since)
    assert all(users == [BOB] for users in told.values()), told


async def test_room_edus_by_membership(sender: Sender) -> None:
    """Carol is of the same server, and not in the room; Bob is not any more."""
    event_id = await sender.alice.send(sender.room.room_id, "hello")
    await sender.send(await sender.room.event(BOB, (MEMBER, BOB), {"membership": "leave"}))
    since = (await sender.alice.get("/sync"))["next_batch"]
    for user_id in (BOB, CAROL):
        await sender.send(edus=of_user(sender, user_id, event_id))
    told = await shown(sender, since)
    assert (told["typing"], told["receipts"], told["presence"]) == ([], [], [])


async def test_room_edus_by_acl(sender: Sender) -> None:
    event_id = await sender.alice.send(sender.room.room_id, "hello")
    acl = {"allow": ["*"], "deny": [SERVER]}
    await sender.alice.put(f"/rooms/{sender.room.room_id}/state/m.room.server_acl", acl)
    since = (await sender.alice.get("/sync"))["next_batch"]
    await sender.send(edus=of_user(sender, BOB, event_id))
    told = await shown(sender, since)
    assert (told["typing"], told["receipts"]) == ([], [])


async def test_replays_of_edus_do_nothing(sender: Sender) -> None:
    """Neither in the same transaction nor in another."""
    event_id = await sender.alice.send(sender.room.room_id, "hello")
    edus = of_user(sender, BOB, event_id)
    since = (await sender.alice.get("/sync"))["next_batch"]
    await sender.send(edus=[*edus, *edus], name="same")
    await sender.send(edus=edus, name="same")
    await sender.send(edus=edus, name="another")
    assert (await shown(sender, since))["messages"] == [BOB]
