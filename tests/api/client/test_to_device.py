"""PUT /sendToDevice, and the queues that sync reads."""

import json
from pathlib import Path
from typing import Any

import pytest

from palpo.services.encryption.to_device import Added
from palpo.streams import topics
from tests.api.client.test_devices import password_auth
from tests.support.homeserver import Client, Homeserver, homeserver
from tests.support.statements import Statements

CONTENT = {"my_key": "my_value"}


async def send(client: Client, user_id: str, device_id: str, txn_id: str = "1", **content: Any) -> None:
    """Send one message."""
    messages = {user_id: {device_id: content or CONTENT}}
    await client.put(f"/sendToDevice/m.test/{txn_id}", {"messages": messages})


async def pending(
    server: Homeserver, client: Client, since: int = 0, limit: int = 100
) -> tuple[list[Any], int]:
    """What a sync would be given."""
    upto = server.services.server.wakeups.position
    found = await server.services.encryption.to_device.pending(
        client.user_id, client.device_id, since, upto, limit=limit
    )
    return [json.loads(bytes(event)) for event in found.events], found.position


async def test_send(server: Homeserver, alice: Client, bob: Client) -> None:
    other = await server.login("bob")
    assert await pending(server, bob) == ([], server.services.server.wakeups.position)
    await send(alice, bob.user_id, bob.device_id)
    event = {"type": "m.test", "sender": alice.user_id, "content": CONTENT}
    assert (await pending(server, bob))[0] == [event]
    assert (await pending(server, other))[0] == []
    assert (await pending(server, alice))[0] == []


async def test_once_for_each_transaction(server: Homeserver, alice: Client, bob: Client) -> None:
    other = await server.login("alice")
    for client, txn_id in ((alice, "1"), (alice, "1"), (alice, "2"), (other, "1")):
        await send(client, bob.user_id, bob.device_id, txn_id)
    assert len((await pending(server, bob))[0]) == 3
    server.clock.advance(25 * 3600 * 1000)
    await send(alice, bob.user_id, bob.device_id, "3")
    await send(alice, bob.user_id, bob.device_id, "1")
    assert len((await pending(server, bob))[0]) == 5


async def test_all_devices(server: Homeserver, alice: Client, bob: Client) -> None:
    other = await server.login("bob")
    await send(alice, bob.user_id, "*")
    for client in (bob, other):
        assert [event["content"] for event in (await pending(server, client))[0]] == [CONTENT]


async def test_unknown_receivers(server: Homeserver, alice: Client, bob: Client) -> None:
    before = server.services.server.wakeups.position
    for number, (user_id, device_id) in enumerate(
        [
            (bob.user_id, "UNKNOWN"),
            (bob.user_id, "\0"),
            ("@nobody:test.example", "*"),
            ("@b\0b:test.example", "*"),
            ("bob", "*"),
            ("@x:else.where", "X"),
            ("@" + "x" * 300 + ":test.example", "X"),
        ]
    ):
        await send(alice, user_id, device_id, str(number))
    assert server.services.server.wakeups.position == before


async def test_bad_requests(alice: Client) -> None:
    for path, body, errcode in (
        ("m.test/1", {}, "M_MISSING_PARAM"),
        ("m.test/1", {"messages": {"@bob:test.example": {"X": "content"}}}, "M_BAD_JSON"),
        ("m.test/" + "1" * 256, {"messages": {}}, "M_INVALID_PARAM"),
        ("%00/1", {"messages": {}}, "M_INVALID_PARAM"),
    ):
        assert (await alice.put(f"/sendToDevice/{path}", body, status=400))["errcode"] == errcode


async def test_delivery(server: Homeserver, alice: Client, bob: Client) -> None:
    for number in range(5):
        await send(alice, bob.user_id, bob.device_id, str(number), n=number)
    events, position = await pending(server, bob, limit=3)
    assert [event["content"]["n"] for event in events] == [0, 1, 2]
    again, _ = await pending(server, bob, limit=3)
    assert again == events
    to_device = server.services.encryption.to_device
    await to_device.delete_up_to(bob.user_id, bob.device_id, position)
    events, end = await pending(server, bob, position, limit=3)
    assert [event["content"]["n"] for event in events] == [3, 4]
    assert end == server.services.server.wakeups.position
    assert len((await pending(server, bob))[0]) == 2
    await to_device.delete_up_to(bob.user_id, bob.device_id, end)
    assert (await pending(server, bob))[0] == []
    await send(alice, bob.user_id, bob.device_id, "more")
    assert len((await pending(server, bob, end))[0]) == 1


async def test_acknowledging_the_future(server: Homeserver, alice: Client, bob: Client) -> None:
    await server.services.encryption.to_device.delete_up_to(bob.user_id, bob.device_id, 10**15)
    await send(alice, bob.user_id, bob.device_id)
    assert len((await pending(server, bob))[0]) == 1


async def test_removed_device_takes_its_queue(server: Homeserver, alice: Client, bob: Client) -> None:
    other = await server.login("bob")
    await send(alice, bob.user_id, "*")
    await bob.delete(f"/devices/{other.device_id}", {"auth": password_auth(bob.user_id)})
    assert (await pending(server, other))[0] == []
    assert len((await pending(server, bob))[0]) == 1


async def test_sending_wakes_the_receiver(server: Homeserver, alice: Client, bob: Client) -> None:
    position = server.services.server.wakeups.position
    await send(alice, bob.user_id, bob.device_id)
    news = server.services.server.wakeups.changed_since(position)
    assert news is not None
    assert bob.user_id in news[topics.USER]


async def test_too_large_messages(
    server: Homeserver, alice: Client, bob: Client, monkeypatch: pytest.MonkeyPatch
) -> None:
    path = "/sendToDevice/m.test/big"
    large = {"messages": {bob.user_id: {bob.device_id: {"x": "x" * 65_000}}}}
    await alice.put(path, large)
    larger = {"messages": {bob.user_id: {bob.device_id: {"x": "x" * 65_600}}}}
    assert (await alice.put(path + "2", larger, status=413))["errcode"] == "M_TOO_LARGE"
    await server.login("bob")
    for most in (Added(bytes=100_000), Added(messages=1)):
        with monkeypatch.context() as patch:
            patch.setattr(server.services.encryption.to_device, "_most", most)
            copied = {"messages": {bob.user_id: {"*": {"x": "x" * 60_000}}}}
            assert (await alice.put(path + "3", copied, status=413))["errcode"] == "M_TOO_LARGE"
    await alice.put(path + "3", copied)
    assert len((await pending(server, bob))[0]) == 2


async def test_a_flood_is_slowed_down(tmp_path: Path) -> None:
    limits = {"enabled": True, "to_device": {"per_second": 0.001, "burst": 2}}
    async with homeserver(tmp_path, rate_limits=limits) as server:
        alice = await server.register("alice")
        for txn_id in ("1", "2"):
            await send(alice, alice.user_id, "*", txn_id)
        answer = await alice.put("/sendToDevice/m.test/3", {"messages": {}}, status=429)
        assert answer["errcode"] == "M_LIMIT_EXCEEDED"


async def test_unknown_receivers_cost_one_look(
    server: Homeserver, alice: Client, bob: Client, monkeypatch: pytest.MonkeyPatch
) -> None:
    messages: dict[str, Any] = {f"@u{n}:test.example": {"*": {}} for n in range(4000)}
    messages[bob.user_id] = {"*": CONTENT, **{f"D{n}": {} for n in range(1000)}}
    statements = Statements(monkeypatch)
    await alice.put("/sendToDevice/m.test/many", {"messages": messages})
    assert statements.count < 50
    assert [event["content"] for event in (await pending(server, bob))[0]] == [CONTENT]


async def test_too_many_users(server: Homeserver, alice: Client, bob: Client) -> None:
    messages: dict[str, Any] = {f"@u{n}:test.example": {"*": {}} for n in range(5001)}
    messages[bob.user_id] = {"*": CONTENT}
    answer = await alice.put("/sendToDevice/m.test/many", {"messages": messages}, status=413)
    assert answer["errcode"] == "M_TOO_LARGE"
    assert (await pending(server, bob))[0] == []
