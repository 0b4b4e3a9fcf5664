"""Rooms of other servers: with gaps, states that were told, invites from outside, and a server that stays."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Iterator
from contextlib import AsyncExitStack, asynccontextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any
from urllib.parse import quote

import pytest

from tests.interop.synapse_import.filling import PICTURE, Client, Town
from tests.interop.synapse_import.servers import NewPalpo, OldSynapse
from tests.support.authority import Authority
from tests.support.two_servers import Palpo

pytestmark = pytest.mark.one_database
OLD = 150
"""Messages before the join: more than what is fetched at once."""
TRIES = 300


@dataclass(slots=True, kw_only=True)
class Federated:
    """A user here and there, and what they were shown."""

    urls: tuple[str, str]
    towns: tuple[Town, Town]
    us: str
    them: str
    rooms: dict[str, str]
    before: dict[str, Any]
    report: dict[str, Any]

    @asynccontextmanager
    async def clients(self) -> AsyncIterator[tuple[Client, Client]]:
        """One for each server; a test's own, as its event loop is."""
        (here, there), (ours, theirs) = self.urls, self.towns
        async with Client(here, ours) as one, Client(there, theirs) as other:
            yield one, other


@pytest.fixture(scope="module")
def federated(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Federated]:
    """It is imported, and runs beside the other server."""
    OldSynapse.python()
    with asyncio.Runner() as runner:
        stack = AsyncExitStack()
        made = runner.run(stack.enter_async_context(_imported(tmp_path_factory.mktemp("federated"))))
        try:
            yield made
        finally:
            runner.run(stack.aclose())


@asynccontextmanager
async def _imported(folder: Path) -> AsyncIterator[Federated]:
    authority = Authority(folder)
    neighbour, old = Palpo(folder / "neighbour", authority), OldSynapse(folder / "synapse", authority)
    await asyncio.gather(neighbour.start(), old.start())
    new: NewPalpo | None = None
    try:
        async with Client(old.url, Town()) as ours, Client(neighbour.url, Town()) as theirs:
            us, them = await _register(ours, "us"), await _register(theirs, "them")
            rooms = await _meet(ours, theirs, us, them, neighbour.name, old.name)
            before = await _shown(ours, us, rooms)
        await old.stop()
        new = NewPalpo(folder / "palpo", old)
        report = await new.imported(old)
        await new.start()
        yield Federated(
            urls=(new.url, neighbour.url),
            towns=(ours.town, theirs.town),
            us=us,
            them=them,
            rooms=rooms,
            before=before,
            report=report,
        )
    finally:
        await asyncio.gather(*(server.stop() for server in (neighbour, old, new) if server is not None))


async def _register(client: Client, name: str) -> str:
    body = {"username": name, "password": "correct horse battery", "auth": {"type": "m.login.dummy"}}
    made = await client.ask(None, "POST", "/register", body)
    client.town.tokens[made["user_id"]] = made["access_token"]
    return str(made["user_id"])


async def _meet(
    ours: Client, theirs: Client, us: str, them: str, their_name: str, our_name: str
) -> dict[str, str]:
    public = {"preset": "public_chat", "room_version": "11"}
    rooms = {
        "theirs": (await theirs.ask(them, "POST", "/createRoom", {**public, "name": "Theirs"}))["room_id"],
        "ours": (await ours.ask(us, "POST", "/createRoom", {**public, "name": "Ours"}))["room_id"],
        "left": (await theirs.ask(them, "POST", "/createRoom", {**public, "name": "Left"}))["room_id"],
    }
    for number in range(OLD):
        await theirs.say(them, rooms["theirs"], f"old {number}")
    for name in ("theirs", "left"):
        await ours.ask(us, "POST", f"/join/{rooms[name]}?server_name={their_name}", {})
    await theirs.ask(them, "POST", f"/join/{rooms['ours']}?server_name={our_name}", {})
    page = await ours.ask(us, "GET", f"/rooms/{rooms['theirs']}/messages", params={"dir": "b", "limit": "60"})
    assert len(page["chunk"]) > 30
    for name in ("theirs", "ours"):
        if name == "theirs":
            await theirs.ask(them, "PUT", f"/rooms/{rooms[name]}/state/m.room.topic/", {"topic": "after"})
        event_id = await theirs.say(them, rooms[name], "hello")
        await _until_seen(ours, us, rooms[name], event_id)
        await ours.say(us, rooms[name], "hello, too")
        await ours.ask(us, "POST", f"/rooms/{rooms[name]}/receipt/m.read/{quote(event_id, safe='')}", {})
    await ours.ask(us, "POST", f"/rooms/{rooms['left']}/leave", {})
    invited = {"preset": "private_chat", "room_version": "11", "name": "Come in", "invite": [us]}
    rooms["invited"] = (await theirs.ask(them, "POST", "/createRoom", invited))["room_id"]
    await _until(lambda: _is_invited(ours, us, rooms["invited"]))
    await _fetch_media(ours, theirs, us, them)
    return rooms


async def _fetch_media(ours: Client, theirs: Client, us: str, them: str) -> None:
    headers = {"Content-Type": "image/png"}
    path = "/_matrix/media/v3/upload?filename=a.png"
    uploaded = await theirs.answer(them, "POST", path, content=PICTURE, headers=headers)
    uri = uploaded.json()["content_uri"].removeprefix("mxc://")
    answer = await ours.answer(us, "GET", f"/_matrix/client/v1/media/download/{uri}")
    assert answer.status_code == 200, answer.text


async def _until(condition: Any) -> None:
    for _ in range(TRIES):
        if await condition():
            return
        await asyncio.sleep(0.1)
    raise AssertionError("it has not come")


async def _until_seen(client: Client, user: str, room_id: str, event_id: str) -> None:
    path = f"/rooms/{room_id}/event/{quote(event_id, safe='')}"

    async def is_seen() -> bool:
        return (await client.answer(user, "GET", path)).status_code == 200

    await _until(is_seen)


async def _is_invited(client: Client, user: str, room_id: str) -> bool:
    return room_id in (await client.ask(user, "GET", "/sync"))["rooms"].get("invite", {})


async def _shown(client: Client, user: str, rooms: dict[str, str]) -> dict[str, Any]:
    found: dict[str, Any] = {}
    for name in ("theirs", "ours"):
        params = {"dir": "b", "limit": "20"}
        page = await client.ask(user, "GET", f"/rooms/{rooms[name]}/messages", params=params)
        state = await client.ask(user, "GET", f"/rooms/{rooms[name]}/state")
        found[name] = [event["event_id"] for event in page["chunk"]]
        found[f"{name} state"] = sorted(event["event_id"] for event in state)
    return found


async def test_nothing_is_different(federated: Federated) -> None:
    rows = {step["step"]: step["rows"] for step in federated.report["steps"]}
    assert federated.report["differences"] == []
    assert rows["signing keys of servers"] >= 1
    assert rows["media of other servers"] == 1
    async with federated.clients() as (ours, _):
        assert await _shown(ours, federated.us, federated.rooms) == federated.before


async def test_the_other_server_goes_on_with_ours(federated: Federated) -> None:
    us, them = federated.us, federated.them
    async with federated.clients() as (ours, theirs):
        for name in ("theirs", "ours"):
            room_id = federated.rooms[name]
            await _until_seen(theirs, them, room_id, await ours.say(us, room_id, "here"))
            await _until_seen(ours, us, room_id, await theirs.say(them, room_id, "there"))


async def test_what_was_before_the_join_is_fetched(federated: Federated) -> None:
    async with federated.clients() as (ours, _):
        events = await ours.scrolled(federated.us, federated.rooms["theirs"])
    bodies = [event["content"].get("body") for event in events]
    assert [body for body in bodies if str(body).startswith("old ")] == [f"old {n}" for n in range(OLD)]
    assert events[0]["type"] == "m.room.create"


async def test_invites_and_rooms_that_were_left(federated: Federated) -> None:
    us, them, rooms = federated.us, federated.them, federated.rooms
    async with federated.clients() as (ours, theirs):
        assert await _is_invited(ours, us, rooms["invited"])
        for name in ("left", "invited"):
            joined = await ours.answer(
                us, "POST", f"/join/{rooms[name]}", params={"server_name": them.partition(":")[2]}
            )
            assert joined.status_code == 200, joined.text
            await _until_seen(theirs, them, rooms[name], await ours.say(us, rooms[name], "back again"))
