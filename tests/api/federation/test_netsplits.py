"""Two servers of ours that do not reach each other for a while: in the end both have the same."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any

import pytest

from palpo.services.federation.fetching.missing_events import LIMIT
from palpo.streams.clock import FakeClock
from tests.support.homeserver import Client, Homeserver
from tests.support.pairs import Town

ONE, TWO = "hs1.test", "hs2.test"
WAIT_S = 120.0
NOWHERE = {"hosts": {ONE: "127.0.0.1:1", TWO: "127.0.0.1:1"}}


class Split:
    """Alice on one server and Bob on another, in a room of Alice's."""

    def __init__(self, folder: Path) -> None:
        self.town = Town.of(folder, ONE, TWO)
        self.users: dict[str, Client] = {}
        self.clocks: tuple[FakeClock, ...] = ()
        self.room_id = ""

    @asynccontextmanager
    async def running(self, **overrides: Any) -> AsyncIterator[tuple[Homeserver, Homeserver]]:
        """Both servers, until they are stopped."""
        async with (
            self.town.homeserver(ONE, **overrides) as one,
            self.town.homeserver(TWO, **overrides) as two,
        ):
            self.clocks = one.clock, two.clock
            for name, server in ((ONE, one), (TWO, two)):
                if name in self.users:
                    self.users[name].http = server.http
            yield one, two

    async def meet(self, one: Homeserver, two: Homeserver) -> None:
        alice, bob = await one.register("alice"), await two.register("bob")
        self.users = {ONE: alice, TWO: bob}
        self.room_id = await alice.create_room(
            preset="public_chat", power_level_content_override={"users_default": 50}
        )
        await bob.post(f"/join/{self.room_id}?server_name={ONE}")

    async def messages(self, name: str) -> set[str]:
        """What a user finds paging back to the beginning."""
        found: set[str] = set()
        token = ""
        while True:
            page = await self.users[name].get(f"/rooms/{self.room_id}/messages?dir=b&limit=100{token}")
            found |= {item["content"]["body"] for item in page["chunk"] if item["type"] == "m.room.message"}
            if not page["chunk"] or "end" not in page:
                return found
            token = f"&from={page['end']}"

    async def state(self, name: str) -> set[str]:
        return {item["event_id"] for item in await self.users[name].get(f"/rooms/{self.room_id}/state")}

    async def alike(self, expected: set[str]) -> None:
        """Wait until both have ``expected``, and the same state."""
        async with asyncio.timeout(WAIT_S):
            while True:
                both = [(await self.messages(name), await self.state(name)) for name in (ONE, TWO)]
                if both[0] == both[1] and both[0][0] == expected:
                    return
                await asyncio.sleep(0.2)
                for clock in self.clocks:
                    # Whoever could not be reached just now is tried again.
                    clock.advance(200)


@pytest.mark.parametrize("count", [5, 3 * LIMIT])
async def test_both_go_on_alone(tmp_path: Path, count: int) -> None:
    """Each has a gap to fill from the other, at the same time."""
    split, expected = Split(tmp_path), set[str]()
    async with split.running() as servers:
        await split.meet(*servers)
        await split.users[ONE].send(split.room_id, "together")
        expected.add("together")
        await split.alike(expected)
    async with split.running(federation=NOWHERE):
        for name, user in split.users.items():
            for number in range(count):
                await user.send(split.room_id, f"{name} {number}")
                expected.add(f"{name} {number}")
            topic = {"topic": f"of {name}"}
            await user.put(f"/rooms/{split.room_id}/state/m.room.topic", topic)
    async with split.running():
        for name, user in split.users.items():
            await user.send(split.room_id, f"again {name}")
            expected.add(f"again {name}")
        await split.alike(expected)
