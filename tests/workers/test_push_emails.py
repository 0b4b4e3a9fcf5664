"""Pushers of the kind email gather what is unread, and write about it."""

from __future__ import annotations

import asyncio
from pathlib import Path
from typing import Any

from tests.api.client.test_threepids import ADDRESS, add_address
from tests.support.homeserver import Client, homeserver
from tests.support.mail import mailbox, text_of

PUSHER = {
    "kind": "email",
    "app_id": "m.email",
    "pushkey": ADDRESS,
    "app_display_name": "Email",
    "device_display_name": ADDRESS,
    "lang": "en",
    "data": {},
}
DELAY_MS = 600 * 1000


async def test_a_digest(tmp_path: Path) -> None:
    async with mailbox() as box, homeserver(tmp_path, email=box.settings) as server:
        alice, bob = await server.register("alice"), await server.register("bob")
        error = await alice.post("/pushers/set", PUSHER, status=400)
        assert error["errcode"] == "M_THREEPID_NOT_FOUND", "an address that is not hers"
        await add_address(alice, box)
        await alice.post("/pushers/set", PUSHER)
        room_id = await bob.create_room(name="The room", preset="public_chat")
        await alice.post(f"/join/{room_id}")
        read = await bob.send(room_id, "read")
        await bob.send(room_id, "one")
        await bob.send(room_id, "two\nlines")
        await alice.post(f"/rooms/{room_id}/receipt/m.read/{read}")
        await asyncio.sleep(0.3)
        assert box.received.empty(), "it waits for others"
        server.clock.advance(DELAY_MS)
        await wake(bob, room_id)
        message = await box.next()
        assert message["To"] == ADDRESS
        text = text_of(message)
        assert "The room" in text
        assert "bob: one" in text
        assert "bob: two lines" in text
        assert "bob: read" not in text
        await bob.send(room_id, "later")
        server.clock.advance(DELAY_MS)
        await wake(bob, room_id)
        await asyncio.sleep(0.3)
        assert box.received.empty(), "not two mails within the interval"
        await alice.post("/account/3pid/delete", {"medium": "email", "address": ADDRESS})
        assert (await alice.get("/pushers"))["pushers"] == []


async def test_a_digest_is_of_everything(tmp_path: Path) -> None:
    async with mailbox() as box, homeserver(tmp_path, email=box.settings) as server:
        alice, bob = await server.register("alice"), await server.register("bob")
        await add_address(alice, box)
        await alice.post("/pushers/set", PUSHER)
        room_id = await bob.create_room(preset="public_chat")
        await alice.post(f"/join/{room_id}")
        for number in range(60):
            await bob.send(room_id, str(number))
        await asyncio.sleep(0.3)
        server.clock.advance(DELAY_MS)
        await wake(bob, room_id)
        assert (await box.next())["Subject"].startswith("60 unread messages")


async def wake(client: Client, room_id: str) -> None:
    """Something that the worker looks up for, and that notifies nobody."""
    body: dict[str, Any] = {"topic": "x"}
    await client.put(f"/rooms/{room_id}/state/m.room.topic", body)
