"""Events that are made to cost much: long chains of auth events, and depths beyond measure."""

from __future__ import annotations

from collections.abc import AsyncIterator
from pathlib import Path
from typing import Any
from urllib.parse import unquote

import pytest

from palpo.core.events import SignedEvent
from palpo.core.state_keys import CREATE, MEMBER, POWER_LEVELS
from palpo.services.federation.fetching.remote_auth import MAX_EACH
from tests.api.federation.test_missing_events import Past
from tests.support.federation import Asked
from tests.support.homeserver import Client
from tests.support.remote_rooms import RemoteRoom
from tests.support.remote_server import RemoteServer
from tests.support.remote_users import BOB, SERVER
from tests.support.resident import Resident
from tests.support.transactions import Sender, sender_in

V1 = "/_matrix/federation/v1"
DEEPEST = 2**53 - 1
LINKS = 3000
"""More than Python calls within calls."""


@pytest.fixture
async def sender(tmp_path: Path) -> AsyncIterator[Sender]:
    async with sender_in(tmp_path) as sender:
        yield sender


async def test_chain_bombs_at_most_10_auth_events_each(sender: Sender) -> None:
    (last,) = (await sender.room.head()).row.extremities
    more = {("m.room.x", str(number)): last for number in range(10)}
    event = await sender.message("too many", state=more)
    assert len(event.auth_events) > 10
    told = await sender.send(event)
    assert "error" in told["pdus"].get(event.event_id, {"error": "not named"})
    await sender.settled()
    assert await sender.bodies() == []
    assert sender.asked == []


def chain(room: RemoteRoom, links: int) -> list[SignedEvent]:
    """Power levels, each of which rests on the ones before."""
    made = [room.state[POWER_LEVELS]]
    for number in range(links):
        auth = [room.state[CREATE].event_id, made[-1].event_id, room.state[MEMBER, BOB].event_id]
        made.append(room.event(BOB, POWER_LEVELS, {"users": {BOB: 100}, "x": number}, auth=auth))
    return made


async def test_chain_bombs_are_walked_without_recursion(alice: Client, remote: RemoteServer) -> None:
    """A room whose auth chain is longer than the stack is deep can be joined."""
    room = RemoteRoom("11")
    for event in chain(room, LINKS):
        room.state[POWER_LEVELS] = event
    Resident(remote, room)
    await alice.post(f"/join/{room.room_id}", params={"via": SERVER})
    power = await alice.get(f"/rooms/{room.room_id}/state/m.room.power_levels/")
    assert power["x"] == LINKS - 1


async def test_chain_bombs_what_is_fetched_for_one_event_is_bounded(sender: Sender) -> None:
    """Each event rests on ten that are not here, and these on ten each: a server makes them up as it goes."""
    past = Past(sender)
    made: dict[str, SignedEvent] = {}

    async def another() -> SignedEvent:
        names = {("m.room.x", str(number)): f"$made-up-{len(made)}-{number}" for number in range(7)}
        event = await sender.message(f"made up {len(made)}", state=names)
        made[event.event_id] = event
        return event

    async def answer(asked: Asked) -> Any:
        return {"pdus": [(await another()).pdu, unquote(asked.uri)]}

    sender.server.answers["GET", f"{V1}/event/"] = answer
    await sender.send(await another())
    await sender.settled()
    assert len(past.asked) <= MAX_EACH + 10
    assert await sender.bodies() == []


async def test_chain_bombs_that_rest_on_themselves(sender: Sender) -> None:
    """In versions whose IDs are chosen, two events can rest on each other."""
    room_id = await sender.alice.create_room(preset="public_chat", room_version="1")
    room = type(sender.room)(sender.ours, room_id)
    join = await room.event(BOB, (MEMBER, BOB), {"membership": "join"}, event_id=f"$join:{SERVER}")
    await sender.send(join)
    names = [f"$one:{SERVER}", f"$two:{SERVER}"]
    circle = [
        await room.event(
            BOB, "m.room.message", {"body": name}, event_id=name, state={("m.room.x", ""): other}
        )
        for name, other in (names, names[::-1])
    ]
    past = Past(sender)
    past.add(*circle)
    await sender.send(*circle)
    await sender.settled()
    assert len(past.asked) < MAX_EACH
    page = await sender.alice.get(f"/rooms/{room_id}/messages?dir=b&limit=100")
    assert not [item for item in page["chunk"] if item["type"] == "m.room.message"]


@pytest.mark.parametrize("depth", [DEEPEST, DEEPEST - 1, 2**31, 0, -1])
async def test_depth_bombs_spoil_no_order(sender: Sender, depth: int) -> None:
    await sender.alice.send(sender.room.room_id, "before")
    bomb = await sender.message("bomb", depth=depth)
    await sender.send(bomb)
    for body in ("1", "2", "3"):
        await sender.alice.send(sender.room.room_id, body)
    after = await sender.message("after", depth=DEEPEST)
    await sender.send(after)
    bodies = await sender.bodies()
    assert [body for body in bodies if body != "bomb"] == ["before", "1", "2", "3", "after"]
    assert "bomb" not in bodies or bodies[1] == "bomb"
    last = await sender.alice.send(sender.room.room_id, "last")
    (event,) = (await sender.room.history.events.signed([last])).values()
    assert event.depth <= DEEPEST
