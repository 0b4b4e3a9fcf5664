"""Rooms' histories that are elsewhere, as users here read them."""

from __future__ import annotations

from collections.abc import AsyncIterator
from pathlib import Path
from typing import Any
from urllib.parse import quote

import pytest

from palpo.core.events import SignedEvent
from palpo.net.federation_errors import ServerError
from tests.support.homeserver import Client, Homeserver
from tests.support.pairs import Town, pair
from tests.support.remote_rooms import RemoteRoom, told
from tests.support.remote_server import remote_server
from tests.support.remote_users import BOB, KEY, SERVER
from tests.support.resident import Resident

Pair = tuple[Homeserver, Homeserver]
V1 = "/client/v1"


@pytest.fixture
async def servers(tmp_path: Path) -> AsyncIterator[Pair]:
    async with pair(tmp_path) as both:
        yield both


async def joined(alice: Client, bob: Client, room_id: str) -> None:
    await bob.post(f"/join/{quote(room_id, safe='')}?server_name=hs1.test")


async def bodies(client: Client, room_id: str, *, limit: int = 10, **params: Any) -> list[list[str]]:
    """The messages of a room, page by page, backwards."""
    pages: list[list[str]] = []
    params |= {"dir": "b", "limit": limit}
    while True:
        page = await client.get(f"/rooms/{room_id}/messages", params=params)
        found = [item["content"]["body"] for item in page["chunk"] if item["type"] == "m.room.message"]
        pages.append(found)
        if "end" not in page:
            return pages
        params["from"] = page["end"]


def flat(pages: list[list[str]]) -> list[str]:
    return [body for page in pages for body in page]


@pytest.mark.parametrize("version", ["1", "6", "11", "12"])
@pytest.mark.parametrize(("count", "limit"), [(20, 10), (230, 200)])
async def test_what_was_before_a_join(servers: Pair, version: str, count: int, limit: int) -> None:
    one, two = servers
    alice, bob = await one.register("alice"), await two.register("bob")
    room_id = await alice.create_room(preset="public_chat", room_version=version)
    for number in range(count):
        await alice.send(room_id, f"{number}")
    await joined(alice, bob, room_id)
    pages = await bodies(bob, room_id, limit=limit)
    assert flat(pages) == [f"{number}" for number in range(count - 1, -1, -1)]
    assert all(pages[:-1])
    # Now it is here.
    assert flat(await bodies(bob, room_id, limit=1000)) == flat(pages)
    first = (await bob.get(f"/rooms/{room_id}/messages?dir=f&limit=1"))["chunk"]
    assert first[0]["type"] == "m.room.create"


async def test_history_with_state_in_between(servers: Pair) -> None:
    one, two = servers
    alice, bob, carol = await one.register("alice"), await two.register("bob"), await one.register("carol")
    room_id = await alice.create_room(preset="public_chat")
    for number in range(70):
        await alice.send(room_id, f"{number}")
        await alice.put(f"/rooms/{room_id}/state/m.room.topic/", {"topic": f"{number}"})
        if number % 20 == 10:
            await carol.post(f"/rooms/{room_id}/{'leave' if number % 40 > 20 else 'join'}")
    await joined(alice, bob, room_id)
    assert flat(await bodies(bob, room_id, limit=30)) == [f"{number}" for number in range(69, -1, -1)]
    history = two.services.history
    page = await bob.get(f"/rooms/{room_id}/messages?dir=b&limit=1000")
    topics = [item for item in page["chunk"] if item["type"] == "m.room.topic"]
    for item in topics[::10]:
        stored = await history.events.get(item["event_id"])
        before = await history.events.state_event(stored.state_before, "m.room.topic")
        number = int(item["content"]["topic"])
        assert (before is None) == (number == 0)
        assert before is None or before.event.content["topic"] == f"{number - 1}"


async def test_before_events_are_context_too(servers: Pair) -> None:
    one, two = servers
    alice, bob = await one.register("alice"), await two.register("bob")
    room_id = await alice.create_room(preset="public_chat")
    for number in range(5):
        await alice.send(room_id, f"{number}")
    await joined(alice, bob, room_id)
    mine = await bob.send(room_id, "mine")
    context = await bob.get(f"/rooms/{room_id}/context/{quote(mine, safe='')}?limit=12")
    found = [item["content"].get("body") for item in context["events_before"]]
    assert found[1:4] == ["4", "3", "2"]


async def test_the_other_server_is_gone(servers: Pair) -> None:
    """It is asked once; then a page is what is here."""
    one, two = servers
    alice, bob = await one.register("alice"), await two.register("bob")
    room_id = await alice.create_room(preset="public_chat")
    await alice.send(room_id, "lost")
    await joined(alice, bob, room_id)
    await alice.put(f"/rooms/{room_id}/state/m.room.server_acl/", {"allow": ["*"], "deny": ["hs2.test"]})
    assert flat(await bodies(bob, room_id)) == []
    asked: list[str] = []
    client = two.services.server.federation_client
    old = client.json

    async def counted(server: str, method: str, path: str, **options: Any) -> Any:
        asked.append(path)
        return await old(server, method, path, **options)

    client.json = counted  # type: ignore[method-assign]
    assert flat(await bodies(bob, room_id)) == []
    assert asked == []
    await alice.put(f"/rooms/{room_id}/state/m.room.server_acl/", {"allow": ["*"]})
    two.clock.advance(61_000)
    assert flat(await bodies(bob, room_id)) == ["lost"]
    assert [path.split("/")[4] for path in asked] == ["backfill"]


async def test_leaving_and_coming_back(servers: Pair) -> None:
    one, two = servers
    alice, bob = await one.register("alice"), await two.register("bob")
    room_id = await alice.create_room(preset="public_chat")
    await alice.send(room_id, "first")
    await joined(alice, bob, room_id)
    await bob.post(f"/rooms/{room_id}/leave")
    for number in range(12):
        await alice.send(room_id, f"{number}")
    await joined(alice, bob, room_id)
    expected = [*(f"{number}" for number in range(11, -1, -1)), "first"]
    assert flat(await bodies(bob, room_id, limit=5)) == expected


async def test_events_near_a_time(servers: Pair) -> None:
    one, two = servers
    alice, bob = await one.register("alice"), await two.register("bob")
    room_id = await alice.create_room(preset="public_chat")
    sent: list[tuple[int, str]] = []
    for number in range(150):
        one.clock.advance(1000)
        sent.append((one.clock.now_ms(), await alice.send(room_id, f"{number}")))
    await joined(alice, bob, room_id)
    path = f"{V1}/rooms/{quote(room_id, safe='')}/timestamp_to_event"
    time, event_id = sent[20]
    for ts, direction in ((time - 5, "f"), (time + 5, "b"), (time, "b")):
        found = await bob.request("GET", f"{path}?ts={ts}&dir={direction}")
        assert found == {"event_id": event_id, "origin_server_ts": time}
    context = await bob.get(f"/rooms/{room_id}/context/{quote(event_id, safe='')}?limit=0")
    pages = await bodies(bob, room_id, **{"from": context["end"]})
    assert flat(pages) == [f"{number}" for number in range(20, -1, -1)]
    # What is between the island and the join is still found.
    params = {"dir": "f", "limit": 1, "from": context["start"]}
    page = await bob.get(f"/rooms/{room_id}/messages", params=params)
    assert [item["content"]["body"] for item in page["chunk"]] == ["20"]
    assert flat(await bodies(bob, room_id, limit=50)) == [f"{number}" for number in range(149, -1, -1)]
    await bob.request("GET", f"{path}?ts={time + 10**9}&dir=f", status=404)


async def test_forwards_from_an_island(servers: Pair) -> None:
    one, two = servers
    alice, bob = await one.register("alice"), await two.register("bob")
    room_id = await alice.create_room(preset="public_chat")
    for number in range(60):
        one.clock.advance(1000)
        await alice.send(room_id, f"{number}")
    await joined(alice, bob, room_id)
    path = f"{V1}/rooms/{quote(room_id, safe='')}/timestamp_to_event?dir=b&ts={one.clock.now_ms() - 39_000}"
    event_id = (await bob.request("GET", path))["event_id"]
    context = await bob.get(f"/rooms/{room_id}/context/{quote(event_id, safe='')}?limit=0")
    params = {"dir": "f", "limit": 100, "from": context["end"]}
    page = await bob.get(f"/rooms/{room_id}/messages", params=params)
    said = [item["content"].get("body") for item in page["chunk"]]
    assert said[:-1] == [f"{number}" for number in range(21, 60)]
    assert page["chunk"][-1]["type"] == "m.room.member"


async def test_relationships_served(servers: Pair) -> None:
    one, two = servers
    alice, bob = await one.register("alice"), await two.register("bob")
    room_id = await alice.create_room(preset="public_chat")
    chain = [await alice.send(room_id, "root")]
    for number in range(3):
        relation = {"rel_type": "m.reference", "event_id": chain[-1]}
        content = {"body": f"{number}", "msgtype": "m.text", "m.relationship": relation}
        path = f"/rooms/{room_id}/send/m.room.message/{alice.transaction_id()}"
        chain.append((await alice.put(path, content))["event_id"])
    asking = two.services.server.federation_client
    path, body = (
        "/_matrix/federation/unstable/event_relationships",
        {"event_id": chain[-1], "direction": "up"},
    )
    with pytest.raises(ServerError, match="not in the room"):
        await asking.json("hs1.test", "POST", path, content=body)
    await joined(alice, bob, room_id)
    answer = await asking.json("hs1.test", "POST", path, content={**body, "max_depth": 2})
    assert [event["content"]["body"] for event in answer["events"]] == ["2", "1", "0"]
    assert answer["limited"] is False
    assert "m.room.power_levels" in {event["type"] for event in answer["auth_chain"]}
    for wrong in ({"event_id": "$none"}, {**body, "room_id": "!other:hs1.test"}):
        with pytest.raises(ServerError, match="not found"):
            await asking.json("hs1.test", "POST", path, content=wrong)


async def test_relationships_asked(tmp_path: Path) -> None:
    town = Town.of(tmp_path, "hs1.test", SERVER)
    async with (
        town.homeserver("hs1.test") as server,
        remote_server(town, SERVER, key=KEY, now_ms=server.clock.now_ms) as remote,
    ):
        alice = await server.register("alice")
        room = RemoteRoom()
        Resident(remote, room)

        def say(body: str, target: SignedEvent | None) -> SignedEvent:
            relation = {} if target is None else {"rel_type": "m.reference", "event_id": target.event_id}
            content = {"body": body, "msgtype": "m.text", "m.relationship": relation}
            return room.add(BOB, "m.room.message", content)

        root = say("a", None)
        one, other = say("b", root), say("c", root)
        reply = say("d", other)
        await alice.post(f"/join/{room.room_id}", params={"via": SERVER})
        last = say("e", reply)
        await told(server, room, last)
        path = "/_matrix/federation/unstable/event_relationships"
        remote.answers["POST", path] = {"events": [event.pdu for event in (reply, other, one, root)]}
        asked = {"event_id": last.event_id, "direction": "up", "max_depth": 10}
        walk = "/client/unstable/event_relationships"
        found = await alice.request("POST", walk, asked)
        ids = [item["event_id"] for item in found["events"]]
        assert ids == [event.event_id for event in (last, reply, other, root)]
        asked = {"event_id": root.event_id, "direction": "down", "max_depth": 1, "recent_first": False}
        found = await alice.request("POST", walk, asked)
        ids = [item["event_id"] for item in found["events"]]
        assert ids == [event.event_id for event in (root, one, other)]
        nouns = [item.uri.split("/")[4].partition("?")[0] for item in remote.asked]
        # The server is told things as well, whenever that is.
        asked_for = [noun for noun in nouns if noun != "send"]
        assert asked_for == ["make_join", "send_join", "event_relationships"]
