"""Outages, loops and silence: what a server does while others are not as they should be."""

from __future__ import annotations

import asyncio
import time
from pathlib import Path
from typing import Any

import pytest

from palpo.services.federation.receiving import gaps
from palpo.services.federation.receiving.staging import AGAIN_MS
from palpo.services.federation.servers.failed_fetches import FAILED_MS
from palpo.storage import destination_edus
from tests.api.federation.test_missing_events import Past, look
from tests.support.federated_rooms import bodies, listens, shared_room, until, until_found
from tests.support.federation import Asked
from tests.support.pairs import Town
from tests.support.remote_server import remote_server
from tests.support.remote_users import BOB, KEY, SERVER, Remote
from tests.support.transactions import MEMBER, sender_in, sender_to, server_beside

V1 = "/_matrix/federation/v1"
MINUTE_MS = 60_000
HOURS = 24
EACH = 20
"""Events of an hour."""


async def test_a_peer_that_was_down_for_a_day_is_current_within_60_s_after_it_answers(tmp_path: Path) -> None:
    """It says nothing itself, so it is found by a try; no row is kept for what it was not told of."""
    town = Town.of(tmp_path, "hs1.test", SERVER)
    async with town.homeserver("hs1.test") as server:
        alice = await server.register("alice")
        room_id = await shared_room(server, alice)
        sent = []
        for hour in range(HOURS):
            server.clock.advance(60 * MINUTE_MS)
            for number in range(EACH):
                sent.append(f"{hour}:{number}")
                await alice.send(room_id, sent[-1])
        destinations = server.services.federation.destinations

        async def failing() -> bool:
            return any(item.failures for item in await destinations.all())

        await until_found(failing)
        assert len(await destinations.all()) == 1
        assert await server.services.server.db.read(destination_edus.destinations) == []
        async with remote_server(town, SERVER, key=KEY, now_ms=server.clock.now_ms) as remote:
            listens(remote)
            server.clock.advance(60 * MINUTE_MS)  # The longest pause between two tries.
            await until(lambda: remote.asked)
            began_s, began_ms = time.monotonic(), server.clock.now_ms()
            await until(lambda: len(bodies(remote)) == len(sent))
            took_s = time.monotonic() - began_s
            print(f"{len(sent)} events told {took_s:.1f} s after the first answer")  # noqa: T201 - the figure
            assert bodies(remote) == sent
            assert took_s < 60
            assert server.clock.now_ms() == began_ms, "no pause had to pass"


async def test_one_event_takes_60_s_in_all(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Whatever those who are asked do; here with less patience. Other rooms go on meanwhile."""
    assert gaps.WHOLE_S == 60
    monkeypatch.setattr(gaps, "WHOLE_S", 0.5)
    async with sender_in(tmp_path) as sender:
        over = asyncio.Event()

        async def silence(asked: Asked) -> Any:
            await over.wait()
            return {}

        for key in (
            ("POST", f"{V1}/get_missing_events/"),
            ("GET", f"{V1}/event/"),
            ("GET", f"{V1}/state_ids/"),
        ):
            sender.server.answers[key] = silence
        first = await sender.message("first")
        second = await sender.message("second", after=(first.event_id,))
        await sender.send(second)
        room_id = await sender.alice.create_room(preset="public_chat")
        other = Remote(sender.ours, room_id)
        await sender.send(await other.event(BOB, (MEMBER, BOB), {"membership": "join"}))
        began_s = time.monotonic()
        told = await sender.send(await other.event(BOB, "m.room.message", {"body": "elsewhere"}))
        assert list(told["pdus"].values()) == [{}]
        await sender.settled()
        assert time.monotonic() - began_s < 20
        over.set()
        assert [item.event_id for item in await sender.waiting()] == [second.event_id]
        # It is given, and taken in, later.
        past = Past(sender)
        past.add(first)
        sender.ours.clock.advance(AGAIN_MS[0] + FAILED_MS[0])
        await look(sender)
        assert await sender.bodies() == ["first", "second"]


async def test_what_is_missing_is_asked_for_once_in_a_while_over_a_restart_too(tmp_path: Path) -> None:
    """However often what rests on it is sent."""
    town = Town.of(tmp_path, "hs1.test", SERVER)
    async with town.homeserver("hs1.test") as ours, server_beside(town, ours) as server:
        sender = await sender_to(ours, server)
        past = Past(sender)
        first = await sender.message("first")
        for number in range(5):
            await sender.send(await sender.message(f"{number}", after=(first.event_id,)))
            await sender.settled()
        assert past.asked == ["get_missing_events"]
    async with town.homeserver("hs1.test") as ours, server_beside(town, ours) as server:
        sender.restarted(ours)
        sender.server = server
        past = Past(sender)
        past.add(first)
        await sender.send(await sender.message("again", after=(first.event_id,)))
        await look(sender)
        assert past.asked == []
        ours.clock.advance(60 * MINUTE_MS)
        await look(sender)
        assert past.asked.count("get_missing_events") >= 1
        assert set(await sender.bodies()) == {"first", "again", *map(str, range(5))}
