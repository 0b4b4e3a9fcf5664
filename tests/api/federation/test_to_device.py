"""Messages from device to device, from server to server."""

from __future__ import annotations

from collections.abc import AsyncIterator, Sequence
from pathlib import Path
from typing import Any

import orjson
import pytest

from palpo.core.identifiers import ServerName
from palpo.services.encryption.to_device import MAX_EVENT, TRANSACTION_MS
from palpo.services.federation.sending.outgoing_to_device import MAX_EDU
from palpo.storage import destination_edus
from palpo.storage.destination_edus import StoredEdu
from tests.support.homeserver import Client, Homeserver, homeserver

SERVER = "remote.example"
BOB, CAROL = f"@bob:{SERVER}", "@carol:other.example"


@pytest.fixture
async def server(tmp_path: Path) -> AsyncIterator[Homeserver]:
    async with homeserver(tmp_path, federation={"enabled": True}) as server:
        yield server


def message(messages: Any, message_id: str = "one", **more: Any) -> dict[str, Any]:
    """The content of an m.direct_to_device."""
    return {"sender": BOB, "type": "m.test", "message_id": message_id, "messages": messages, **more}


async def tell(server: Homeserver, content: Any, origin: str = SERVER) -> None:
    await server.services.federation.edus.receive(ServerName(origin), "m.direct_to_device", content)


async def inbox(client: Client) -> list[Any]:
    """What waits for a device, which goes on waiting."""
    events: list[Any] = (await client.get("/sync")).get("to_device", {}).get("events", [])
    return events


async def waiting(server: Homeserver, destination: str = SERVER) -> Sequence[StoredEdu]:
    """The EDUs that are to be sent to a server."""
    db = server.services.server.db
    return await db.read(lambda tx: destination_edus.waiting(tx, destination, 1000))


async def test_messages_arrive_once(tmp_path: Path, server: Homeserver, alice: Client) -> None:
    other = await server.login("alice")
    content = message(
        {alice.user_id: {alice.device_id: {"a": 1}, "GONE": {}}, "@nobody:test.example": {"*": {}}}
    )
    event = {"type": "m.test", "sender": BOB, "content": {"a": 1}}
    for _ in range(2):
        await tell(server, content)
        assert (await inbox(alice), await inbox(other)) == ([event], [])
    server.clock.advance(TRANSACTION_MS + 1)
    await tell(server, content)
    assert await inbox(alice) == [event], "a server may repeat it after days"
    await tell(server, message({alice.user_id: {"*": {"b": 1}}}, "two"))
    all_devices = {"type": "m.test", "sender": BOB, "content": {"b": 1}}
    assert (await inbox(alice), await inbox(other)) == ([event, all_devices], [all_devices])
    await tell(server, {**content, "sender": CAROL}, "other.example")
    assert len(await inbox(alice)) == 3, "another server's messages have IDs of their own"


async def test_a_message_is_known_after_a_restart(tmp_path: Path) -> None:
    async with homeserver(tmp_path) as server:
        alice = await server.register("alice")
        await tell(server, message({alice.user_id: {alice.device_id: {}}}))
    async with homeserver(tmp_path) as server:
        await tell(server, message({alice.user_id: {alice.device_id: {}}}))
        again = Client(server.http, alice.user_id, alice.token)
        assert len(await inbox(again)) == 1


async def test_messages_that_are_refused(server: Homeserver, alice: Client) -> None:
    to_alice = {alice.user_id: {alice.device_id: {}}}
    large = {alice.user_id: {alice.device_id: {"a": "x" * MAX_EVENT}}}
    for wrong in (
        {},
        message(to_alice, sender=alice.user_id),
        message(to_alice, sender=CAROL),
        message(to_alice, "x" * 256),
        message(to_alice, "a\0"),
        message(to_alice, type=""),
        message([]),
        message({alice.user_id: {alice.device_id: 1}}),
        message(large),
        message({alice.user_id: {alice.device_id: {"a": float("nan")}}}),
    ):
        await tell(server, wrong)
    assert await inbox(alice) == []
    await tell(server, message(to_alice))
    assert len(await inbox(alice)) == 1, "nothing refused has used up an ID"


async def test_messages_to_other_servers(server: Homeserver, alice: Client) -> None:
    messages = {
        BOB: {"PHONE": {"a": 1}, "*": {}},
        CAROL: {"X": {"b": 1}},
        alice.user_id: {alice.device_id: {"c": 1}},
        "nonsense:x": {"X": {}},
    }
    for _ in range(2):
        await alice.put("/sendToDevice/m.test/txn", {"messages": messages})
    (edu,) = await waiting(server)
    content = orjson.loads(edu.content)
    assert edu.edu_type == "m.direct_to_device"
    message_id = content.pop("message_id")
    assert 0 < len(message_id) <= 32
    assert content == {"sender": alice.user_id, "type": "m.test", "messages": {BOB: messages[BOB]}}
    (edu,) = await waiting(server, "other.example")
    assert orjson.loads(edu.content)["messages"] == {CAROL: messages[CAROL]}
    assert [event["content"] for event in await inbox(alice)] == [{"c": 1}]


async def test_many_messages_are_sent_in_pieces(server: Homeserver, alice: Client) -> None:
    content = {"a": "x" * 1000}
    messages = {BOB: {f"D{number}": content for number in range(200)}}
    await alice.put("/sendToDevice/m.test/txn", {"messages": messages})
    edus = [orjson.loads(edu.content) for edu in await waiting(server)]
    assert len({edu["message_id"] for edu in edus}) == len(edus) == 4
    assert all(len(edu.content) < MAX_EDU + 5000 for edu in await waiting(server))
    sent = {device: content for edu in edus for device, content in edu["messages"][BOB].items()}
    assert sent == messages[BOB]


async def test_what_other_servers_could_not_take(server: Homeserver, alice: Client) -> None:
    for content in ({"a": 1.5}, {"a": 2**60}):
        messages = {BOB: {"PHONE": content}}
        answer = await alice.put("/sendToDevice/m.test/txn", {"messages": messages}, status=400)
        assert answer["errcode"] == "M_BAD_JSON"
    messages = {BOB: {"PHONE": {"a": "x" * MAX_EVENT}}}
    await alice.put("/sendToDevice/m.test/txn", {"messages": messages}, status=413)
    assert await waiting(server) == []


async def test_a_server_that_speaks_to_no_other_keeps_nothing_for_them(tmp_path: Path) -> None:
    async with homeserver(tmp_path) as server:
        alice = await server.register("alice")
        await alice.put("/sendToDevice/m.test/txn", {"messages": {BOB: {"PHONE": {}}}})
        assert await waiting(server) == []
