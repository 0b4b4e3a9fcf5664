"""What other servers are told, over outages and restarts of both, on every database."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any

import orjson
import pytest
from aiohttp import web

from palpo.core.identifiers import ServerName
from palpo.db.engine import Database
from palpo.services.federation.sending import outgoing_transactions
from palpo.storage import destination_edus
from palpo.storage.destination_edus import NewEdu
from palpo.storage.destinations import Destination
from palpo.workers import federation_sender
from tests.support.federated_rooms import (
    MEMBER,
    SEND,
    bodies,
    edus,
    listens,
    shared_room,
    transactions,
    until,
    until_found,
)
from tests.support.federation import Asked
from tests.support.homeserver import Client, Homeserver
from tests.support.pairs import PORT, Town, loopback
from tests.support.remote_server import RemoteServer, remote_server
from tests.support.remote_users import BOB, KEY, SERVER, Remote

DAY_MS = 24 * 3600 * 1000


class Place:
    """Our server and the other, each of which can be away."""

    def __init__(self, folder: Path, database_url: str) -> None:
        self.town = Town.of(folder, "hs1.test", SERVER)
        self.database_url = database_url

    @asynccontextmanager
    async def ours(self) -> AsyncIterator[Homeserver]:
        async with self.town.homeserver("hs1.test", database={"url": self.database_url}) as server:
            yield server

    @asynccontextmanager
    async def theirs(self) -> AsyncIterator[RemoteServer]:
        async with remote_server(self.town, SERVER, key=KEY) as remote:
            listens(remote)
            yield remote


@pytest.fixture
async def place(database: Database, database_url: str, tmp_path: Path) -> Place:
    return Place(tmp_path, database_url)


async def rows(server: Homeserver) -> list[Destination]:
    return await server.services.federation.destinations.all()


async def until_noted(server: Homeserver, *, failing: bool = True) -> None:
    """Wait until it is stored whether the other server is away."""

    async def look() -> bool:
        return bool(await rows(server)) == failing

    await until_found(look)


async def until_later(server: Homeserver, true: Callable[[], object]) -> None:
    """Wait until something is so, while time passes: less than for which a lease is good."""

    def look() -> object:
        server.clock.advance(20)
        return true()

    await until(look)


async def test_events_are_told_in_order(place: Place) -> None:
    async with place.theirs() as remote, place.ours() as server:
        alice = await server.register("alice")
        room = await shared_room(server, alice)
        alone = await alice.create_room()
        sent = [str(number) for number in range(20)]
        for body in sent:
            await alice.send(room, body)
            await alice.send(alone, "secret")
        await until(lambda: len(bodies(remote)) >= 20)
        assert bodies(remote) == sent
        content = transactions(remote)[0][1]
        assert content["origin"] == "hs1.test"
        assert len({name for name, _ in transactions(remote)}) == len(transactions(remote))
        await alice.post(f"/rooms/{room}/kick", {"user_id": BOB})
        await alice.send(room, "behind their back")
        await until(lambda: any(is_kick(pdu) for _, item in transactions(remote) for pdu in item["pdus"]))
        assert bodies(remote) == sent
        await until_noted(server, failing=False)


async def test_what_was_said_while_a_server_came(place: Place) -> None:
    """It joins beside the message, so that nothing it knows leads to it."""
    async with place.theirs() as remote, place.ours() as server:
        alice = await server.register("alice")
        for after, told in ((True, []), (False, ["meanwhile"])):
            room = Remote(server, await alice.create_room(preset="public_chat"))
            before = (await room.head()).row.extremities
            await alice.send(room.room_id, "meanwhile")
            join = {"membership": "join"}
            await room.send(await room.event(BOB, (MEMBER, BOB), join, after=None if after else before))
            await alice.send(await shared_room(server, alice), "done")
            await until(lambda: bodies(remote)[-1:] == ["done"])
            assert bodies(remote)[:-1] == told
            remote.asked.clear()


def is_kick(pdu: dict[str, Any]) -> bool:
    return pdu["type"] == "m.room.member" and pdu["content"]["membership"] == "leave"


async def test_a_server_that_is_away_for_a_day(place: Place) -> None:
    async with place.ours() as server:
        alice = await server.register("alice")
        room = await shared_room(server, alice)
        await alice.send(room, "one")
        await until_noted(server)
        (row,) = await rows(server)
        assert row.server_name == SERVER
        assert row.failures
        assert row.retry_ts > server.clock.now_ms()
        metrics = (await server.http.get("/_palpo/metrics")).text
        assert 'palpo_federation_destinations{health="failing"} 1.0' in metrics
        assert 'palpo_federation_transactions_total{outcome="failed"} 1.0' in metrics
        hours = [f"hour {number}" for number in range(24)]
        for body in hours:
            server.clock.advance(DAY_MS // 24)
            await alice.send(room, body)
        async with place.theirs() as remote:
            server.clock.advance(DAY_MS)
            await alice.send(room, "last")
            await until(lambda: "last" in bodies(remote))
            assert bodies(remote) == ["one", *hours, "last"]
            await until_noted(server, failing=False)


async def test_restarts_lose_nothing(place: Place) -> None:
    async with place.ours() as server:
        alice = await server.register("alice")
        room = await shared_room(server, alice)
        async with place.theirs() as remote:
            await alice.send(room, "heard")
            await until(lambda: bodies(remote) == ["heard"])
        await alice.send(room, "unheard")
        await until_noted(server)
        await put(server, "a")
    async with place.ours() as server:
        client = Client(server.http, alice.user_id, alice.token, alice.device_id)
        client._transactions = 100
        await client.send(room, "still unheard")
    async with place.theirs() as remote, place.ours() as server:
        await until(lambda: "still unheard" in bodies(remote) and edus(remote, "m.test"))
        assert bodies(remote)[-2:] == ["unheard", "still unheard"]
        assert edus(remote, "m.test") == [{"number": "a"}]
        await until_noted(server, failing=False)
        assert await server.services.server.db.read(destination_edus.destinations) == []


async def put(server: Homeserver, *numbers: str, key: str | None = None) -> None:
    """Have EDUs sent that must not be lost."""
    new = [
        NewEdu(
            destination=ServerName(SERVER), edu_type="m.test", key=key or number, content={"number": number}
        )
        for number in numbers
    ]
    await server.services.server.db.write(lambda tx: destination_edus.put(tx, new))


async def test_what_is_left_of_a_long_outage(place: Place, monkeypatch: pytest.MonkeyPatch) -> None:
    """Of each room the newest event: from it the other server finds those before it."""
    monkeypatch.setattr(outgoing_transactions, "REPLAYED", 0)
    async with place.ours() as server:
        alice = await server.register("alice")
        one, two = [await shared_room(server, alice) for _ in range(2)]
        left = await shared_room(server, alice)
        await alice.send(one, "first")
        await until_noted(server)
        await alice.post(f"/rooms/{left}/kick", {"user_id": BOB})
        await alice.send(left, "behind their back")
        for number in range(60):
            await alice.send(one, f"one {number}")
        await alice.send(two, "two")
    async with place.theirs() as remote, place.ours() as server:
        await until(lambda: "two" in bodies(remote))
        assert bodies(remote)[-2:] == ["one 59", "two"]
        assert not {"first", "one 0"} & set(bodies(remote)), "as many as are kept in memory are told of"
        assert is_kick(transactions(remote)[0][1]["pdus"][0])


async def test_the_same_again_until_it_is_acknowledged(place: Place) -> None:
    async with place.theirs() as remote, place.ours() as server:
        alice = await server.register("alice")
        room = await shared_room(server, alice)
        failures = 0

        async def answer(asked: Asked) -> object:
            nonlocal failures
            failures += 1
            return {} if failures > 2 else web.Response(status=502)

        remote.answers["PUT", SEND] = answer
        await alice.send(room, "first")
        await until(lambda: failures == 1)
        await alice.send(room, "second")
        await put(server, "2", "3")
        await until_later(server, lambda: "second" in bodies(remote))
        names = [name for name, _ in transactions(remote)]
        assert names[0] == names[1] == names[2] != names[3]
        assert bodies(remote) == ["first", "first", "first", "second"]
        assert [item["number"] for item in edus(remote, "m.test")] == ["2", "3"]


async def test_one_event_that_is_refused_stops_no_other(place: Place) -> None:
    async with place.theirs() as remote, place.ours() as server:
        alice = await server.register("alice")
        room = await shared_room(server, alice)
        asked_for = 0

        async def answer(asked: Asked) -> object:
            nonlocal asked_for
            asked_for += 1
            if asked_for == 1:
                return web.Response(status=503)
            if b"poison" in asked.body:
                return web.json_response({"errcode": "M_BAD_JSON", "error": "No"}, status=400)
            got.extend(pdu["content"]["body"] for pdu in orjson.loads(asked.body)["pdus"])
            return {}

        got: list[str] = []
        remote.answers["PUT", SEND] = answer
        await alice.send(room, "0")
        await until(lambda: asked_for == 1)
        for body in ("1", "2", "poison", "3", "4"):
            await alice.send(room, body)
        await until_later(server, lambda: len(got) >= 5)
        assert got == ["0", "1", "2", "3", "4"]
        await until_noted(server, failing=False)


async def test_heard_from(place: Place) -> None:
    """A server that asks something is there."""
    async with place.ours() as server:
        alice = await server.register("alice")
        room = await shared_room(server, alice)
        await alice.send(room, "one")
        await until_noted(server)
        server.clock.advance(DAY_MS)
        await alice.send(room, "two")

        async def tried_again() -> bool:
            return (await rows(server))[0].failures > 1

        await until_found(tried_again)
        async with place.theirs() as remote:
            server.clock.advance(5000)
            await server.services.federation.destinations.heard_from(ServerName(SERVER))
            await until(lambda: bodies(remote) == ["one", "two"])


async def test_marks_take_the_place_of_older_ones(place: Place) -> None:
    async with place.ours() as server:
        await put(server, "1", "2", "3", key="device")
        await put(server, "4")
        await until_noted(server)
        async with place.theirs() as remote:
            server.clock.advance(DAY_MS)
            await put(server, "5")
            await until(lambda: len(edus(remote, "m.test")) >= 3)
            assert [item["number"] for item in edus(remote, "m.test")] == ["3", "4", "5"]


async def test_a_server_that_falls_silent_keeps_no_other_waiting(
    place: Place, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Both have answered before, and there is room for one."""
    monkeypatch.setattr(federation_sender, "ANSWERING_AT_ONCE", 1)
    name, silence = "other.example", asyncio.Event()
    place.town.hosts[name] = f"{loopback()}:{PORT}"
    async with (
        place.theirs() as remote,
        remote_server(place.town, name) as other,
        place.ours() as server,
    ):
        listens(other)
        alice = await server.register("alice")
        room = await shared_room(server, alice)
        theirs = Remote(server, await alice.create_room(preset="public_chat"), name=name, key=other.key)
        dan = f"@dan:{name}"
        await theirs.send(await theirs.event(dan, (MEMBER, dan), {"membership": "join"}))
        for room_id, told in ((room, remote), (theirs.room_id, other)):
            await alice.send(room_id, "first")
            await until(lambda told=told: bodies(told) == ["first"])

        async def wait(asked: Asked) -> Any:
            await silence.wait()
            return {"pdus": {}}

        remote.answers["PUT", SEND] = wait
        await alice.send(room, "second")
        await until(lambda: bodies(remote) == ["first", "second"])
        await alice.send(theirs.room_id, "second")
        await until(lambda: bodies(other) == ["first", "second"])
        silence.set()
