"""Two of our servers whose users encrypt to each other."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable
from pathlib import Path
from typing import Any

from tests.support.encryption import device_keys
from tests.support.homeserver import Client
from tests.support.pairs import Town, pair


class Reader:
    """A device that syncs, and remembers what it was told."""

    def __init__(self, client: Client) -> None:
        self.client = client
        self.since = ""
        self.changed: set[str] = set()
        self.left: set[str] = set()
        self.messages: list[Any] = []

    async def look(self) -> None:
        answer = await self.client.get(f"/sync?timeout=200{self.since and f'&since={self.since}'}")
        self.since = answer["next_batch"]
        lists = answer.get("device_lists", {})
        self.changed |= set(lists.get("changed", ()))
        self.left |= set(lists.get("left", ()))
        self.messages += answer.get("to_device", {}).get("events", [])

    async def until(self, holds: Callable[[], bool]) -> None:
        async with asyncio.timeout(20):
            await self.look()
            while not holds():
                await self.look()

    async def told(self, user_id: str) -> None:
        """Wait until it is told that a user has changed, and begin anew."""
        await self.until(lambda: user_id in self.changed)
        self.changed.clear()


async def upload(client: Client, name: str = "device") -> dict[str, Any]:
    keys = device_keys(client.user_id, client.device_id, name)
    await client.post("/keys/upload", {"device_keys": keys})
    return keys


async def keys_of(client: Client, user_id: str) -> Any:
    return (await client.post("/keys/query", {"device_keys": {user_id: []}}))["device_keys"][user_id]


async def test_keys_and_messages(tmp_path: Path) -> None:
    async with pair(tmp_path) as (one, two):
        alice, bob = await one.register("alice"), await two.register("bob")
        room_id = await alice.create_room(preset="public_chat")
        bobs = await upload(bob)
        reader, other = Reader(alice), Reader(bob)
        await reader.look()
        await other.look()

        await bob.post(f"/join/{room_id}?server_name=hs1.test")
        await reader.told(bob.user_id)
        await other.told(alice.user_id)
        assert await keys_of(alice, bob.user_id) == {bob.device_id: bobs}

        for name in ("new", "newer", "newest"):
            bobs = await upload(bob, name)
            await reader.told(bob.user_id)
            assert await keys_of(alice, bob.user_id) == {bob.device_id: bobs}
        laptop = await two.login("bob")
        added = await upload(laptop)
        await reader.told(bob.user_id)
        assert await keys_of(alice, bob.user_id) == {bob.device_id: bobs, laptop.device_id: added}
        await laptop.post("/logout")
        await reader.told(bob.user_id)
        assert await keys_of(alice, bob.user_id) == {bob.device_id: bobs}

        messages = {bob.user_id: {bob.device_id: {"a": 1}}}
        await alice.put("/sendToDevice/m.test/one", {"messages": messages})
        await other.until(lambda: bool(other.messages))
        assert other.messages == [{"type": "m.test", "sender": alice.user_id, "content": {"a": 1}}]

        await bob.post(f"/rooms/{room_id}/leave")
        await reader.until(lambda: bob.user_id in reader.left)


async def test_nothing_is_lost_while_a_server_is_away(tmp_path: Path) -> None:
    town = Town.of(tmp_path, "hs1.test", "hs2.test")
    async with town.homeserver("hs1.test") as one:
        alice = await one.register("alice")
        room_id = await alice.create_room(preset="public_chat")
        async with town.homeserver("hs2.test") as two:
            bob = await two.register("bob")
            await bob.post(f"/join/{room_id}?server_name=hs1.test")
            reader = Reader(bob)
            await reader.look()
            before = await upload(alice)
            await reader.told(alice.user_id)
            assert await keys_of(bob, alice.user_id) == {alice.device_id: before}
        for name in ("one", "two"):
            after = await upload(alice, name)
            messages = {bob.user_id: {bob.device_id: {"name": name}}}
            await alice.put(f"/sendToDevice/m.test/{name}", {"messages": messages})
        async with town.homeserver("hs2.test") as two:
            reader.client = bob = Client(two.http, bob.user_id, bob.token)
            await _retried(lambda: reader.until(lambda: len(reader.messages) == 2), one.clock.advance)
            assert [item["content"]["name"] for item in reader.messages] == ["one", "two"]
            await reader.until(lambda: alice.user_id in reader.changed)
            assert await keys_of(bob, alice.user_id) == {alice.device_id: after}


async def _retried(work: Callable[[], Awaitable[None]], advance: Callable[[int], None]) -> None:
    """Do something while time passes for the server that is to send."""
    task = asyncio.ensure_future(work())
    while not task.done():
        advance(2000)
        await asyncio.wait({task}, timeout=0.2)
    await task
