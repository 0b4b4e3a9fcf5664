"""What another server answers where something is missing here."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from pathlib import Path
from typing import Any
from urllib.parse import parse_qs, unquote, urlsplit

import pytest
from aiohttp import web

from palpo.core.events import SignedEvent
from palpo.services.federation.fetching import remote_past
from tests.support.federation import Asked
from tests.support.homeserver import Client, Homeserver
from tests.support.pairs import Town
from tests.support.remote_rooms import RemoteRoom, told
from tests.support.remote_server import RemoteServer, remote_server
from tests.support.remote_users import BOB, KEY, SERVER
from tests.support.resident import Resident

V1 = "/_matrix/federation/v1"
MESSAGE, TOPIC = "m.room.message", ("m.room.topic", "")


class Elsewhere:
    """A room of another server that Alice joins, whose past it gives as it is told to."""

    def __init__(self, server: Homeserver, remote: RemoteServer, alice: Client) -> None:
        self.server, self.remote, self.alice = server, remote, alice
        self.room = RemoteRoom()
        Resident(remote, self.room)
        self.page = 100
        """Events that it gives at once."""
        self.hidden: set[str] = set()
        """Events that it does not give."""
        self.answer: Any = None
        """What it answers instead."""
        for noun in ("backfill", "event", "state_ids"):
            remote.answers["GET", f"{V1}/{noun}/"] = getattr(self, noun)

    async def backfill(self, asked: Asked) -> Any:
        if self.answer is not None:
            return self.answer
        query = parse_qs(urlsplit(asked.uri).query)
        waiting, found = list(query["v"]), dict[str, SignedEvent]()
        while waiting and len(found) < self.page:
            waiting.sort(key=lambda name: self.room.events[name].depth)
            name = waiting.pop()
            if name not in found and name not in self.hidden:
                found[name] = self.room.events[name]
                waiting += found[name].prev_events
        return {"pdus": [event.pdu for event in found.values()]}

    async def event(self, asked: Asked) -> Any:
        return {"pdus": [self.room.events[_unquoted(asked)].pdu]}

    async def state_ids(self, asked: Asked) -> Any:
        (name,) = parse_qs(urlsplit(asked.uri).query)["event_id"]
        state = self.state_before(name)
        chain = self.room.auth_chain(state)
        return {
            "pdu_ids": [event.event_id for event in state],
            "auth_chain_ids": [event.event_id for event in chain],
        }

    def state_before(self, name: str) -> list[SignedEvent]:
        """Of a room without conflicts: what was set last on the way there."""
        before: dict[str, SignedEvent] = {}
        waiting = list(self.room.events[name].prev_events)
        while waiting:
            other = waiting.pop()
            if other not in before:
                before[other] = self.room.events[other]
                waiting += before[other].prev_events
        ordered = sorted(before.values(), key=lambda event: event.depth)
        return list({event.key: event for event in ordered if event.is_state}.values())

    async def join(self) -> None:
        await self.alice.post(f"/join/{self.room.room_id}", params={"via": SERVER})
        self.remote.asked.clear()

    def say(self, body: str, **options: Any) -> SignedEvent:
        return self.room.add(BOB, MESSAGE, {"msgtype": "m.text", "body": body}, **options)

    @property
    def messages(self) -> str:
        """The path of pages."""
        return f"/rooms/{self.room.room_id}/messages"

    async def pages(self, limit: int = 5) -> list[list[str]]:
        """The messages of each page."""
        pages: list[list[str]] = []
        params: dict[str, Any] = {"dir": "b", "limit": limit}
        while True:
            page = await self.alice.get(self.messages, params=params)
            pages.append([item["content"]["body"] for item in page["chunk"] if item["type"] == MESSAGE])
            if "end" not in page:
                return pages
            params["from"] = page["end"]

    async def bodies(self, limit: int = 5) -> list[str]:
        return [body for page in await self.pages(limit) for body in page]

    @property
    def asked(self) -> list[str]:
        """What was asked, by its noun; that it is told of Alice's join is nobody's question."""
        nouns = [item.uri.split("/")[4].partition("?")[0] for item in self.remote.asked]
        return [noun for noun in nouns if noun != "send"]


def _unquoted(asked: Asked) -> str:
    return unquote(asked.uri.split("/")[-1])


@pytest.fixture
async def elsewhere(tmp_path: Path) -> AsyncIterator[Elsewhere]:
    town = Town.of(tmp_path, "hs1.test", SERVER)
    async with (
        town.homeserver("hs1.test") as server,
        remote_server(town, SERVER, key=KEY, now_ms=server.clock.now_ms) as remote,
    ):
        yield Elsewhere(server, remote, await server.register("alice"))


def numbers(count: int) -> list[str]:
    return [f"{number}" for number in range(count)]


async def test_nothing_is_asked_before_anybody_reads(elsewhere: Elsewhere) -> None:
    for number in numbers(30):
        elsewhere.say(number)
    await elsewhere.join()
    await elsewhere.alice.get("/sync")
    assert elsewhere.asked == []
    page = await elsewhere.alice.get(f"/rooms/{elsewhere.room.room_id}/messages?dir=b&limit=1")
    assert [item["type"] for item in page["chunk"]] == ["m.room.member"]
    assert elsewhere.asked == []
    assert await elsewhere.bodies() == numbers(30)[::-1]
    assert elsewhere.asked == ["backfill"]


async def test_a_page_asks_once(elsewhere: Elsewhere) -> None:
    """What comes of it is shown, and more with the next page."""
    elsewhere.page = 7
    for number in numbers(20):
        elsewhere.say(number)
    await elsewhere.join()
    pages = await elsewhere.pages(limit=100)
    assert [body for page in pages for body in page] == numbers(20)[::-1]
    assert [len(page) for page in pages[:2]] == [7, 7]
    assert elsewhere.asked.count("backfill") <= len(pages)
    assert set(elsewhere.asked) == {"backfill", "state_ids"}


async def test_states_are_asked_for_where_they_change(elsewhere: Elsewhere) -> None:
    elsewhere.page = 8
    for number in numbers(12):
        elsewhere.room.add(BOB, TOPIC, {"topic": number})
        elsewhere.say(number)
    await elsewhere.join()
    assert await elsewhere.bodies(limit=10) == numbers(12)[::-1]
    assert elsewhere.asked.count("backfill") >= elsewhere.asked.count("state_ids") > 0
    history = elsewhere.server.services.history
    for number in (1, 5, 9):
        (event,) = (
            item for item in elsewhere.room.events.values() if item.content.get("topic") == f"{number}"
        )
        stored = await history.events.get(event.event_id)
        before = await history.events.state_event(stored.state_before, *TOPIC)
        assert before is not None
        assert before.event.content == {"topic": f"{number - 1}"}


async def test_forks_take_one_state(elsewhere: Elsewhere) -> None:
    for number in numbers(3):
        elsewhere.say(number)
    elsewhere.room.add(BOB, TOPIC, {"topic": "t"})
    (start,) = elsewhere.room.last
    one = elsewhere.say("one")
    other = elsewhere.say("other", after=(start,))
    elsewhere.say("merge", after=(one.event_id, other.event_id))
    elsewhere.page = 5
    await elsewhere.join()
    found = await elsewhere.bodies(limit=10)
    assert found[0] == "merge"
    assert sorted(found[1:3]) == ["one", "other"]
    assert found[3:] == ["2", "1", "0"]
    assert elsewhere.asked.count("state_ids") <= elsewhere.asked.count("backfill")


async def test_what_was_redacted_comes_whole(elsewhere: Elsewhere) -> None:
    """The redaction is there before what it redacts."""
    elsewhere.page = 2
    said = elsewhere.say("secret")
    elsewhere.say("kept")
    content = {"redacts": said.event_id}
    elsewhere.room.add(BOB, "m.room.redaction", content, redacts=said.event_id)
    await elsewhere.join()
    found: list[dict[str, Any]] = []
    params: dict[str, Any] = {"dir": "b", "limit": 2}
    while "end" in (page := await elsewhere.alice.get(elsewhere.messages, params=params)):
        found += page["chunk"]
        params["from"] = page["end"]
    contents = [item["content"] for item in found if item["type"] == MESSAGE]
    assert contents == [{"msgtype": "m.text", "body": "kept"}, {}]


async def test_what_does_not_belong_there_is_left_out(elsewhere: Elsewhere) -> None:
    room = elsewhere.room
    elsewhere.say("first")
    last = elsewhere.say("last")
    eve = room.event("@eve:remote.example", MESSAGE, {"body": "eve"})
    other = RemoteRoom("10")
    await elsewhere.join()
    good = [event.pdu for event in reversed(list(room.events.values())) if event is not eve]
    bad: list[Any] = [None, 7, [], {}, {"type": "x"}, eve.pdu, {**last.pdu, "room_id": "!x:remote.example"}]
    bad += [event.pdu for event in other.events.values()]
    unsigned = {**last.pdu, "signatures": {}}
    elsewhere.answer = {"pdus": [*bad, unsigned, *good[1:]]}
    assert await elsewhere.bodies() == ["last", "first"]


@pytest.mark.parametrize(
    "answer",
    [
        {},
        {"pdus": 7},
        {"pdus": []},
        {"pdus": [{}] * 1000},
        [],
        web.json_response({"errcode": "M_FORBIDDEN", "error": "No"}, status=403),
        web.Response(status=500, text="x"),
    ],
)
async def test_answers_of_no_use(elsewhere: Elsewhere, answer: Any) -> None:
    """Pages end where nothing is given; it is asked for again after a while."""
    elsewhere.say("lost")
    await elsewhere.join()
    elsewhere.answer = answer
    assert await elsewhere.bodies() == []
    assert await elsewhere.bodies() == []
    assert elsewhere.asked == ["backfill"]
    elsewhere.answer = None
    elsewhere.server.clock.advance(61_000)
    assert await elsewhere.bodies() == ["lost"]


async def test_without_a_state_nothing_is_taken_in(elsewhere: Elsewhere) -> None:
    elsewhere.say("older")
    elsewhere.room.add(BOB, TOPIC, {"topic": "t"})
    await elsewhere.join()
    elsewhere.page = 1
    del elsewhere.remote.answers["GET", f"{V1}/state_ids/"]
    assert await elsewhere.bodies() == []
    assert elsewhere.asked == ["backfill", "event", "state_ids", "state"]


async def test_a_page_does_not_wait_for_long(elsewhere: Elsewhere, monkeypatch: pytest.MonkeyPatch) -> None:
    """What is answered after that is there for the next; and several who read make one request."""
    monkeypatch.setattr(remote_past, "WAIT_S", 0.05)
    elsewhere.say("late")
    await elsewhere.join()
    answered = asyncio.Event()

    async def slow(asked: Asked) -> Any:
        await answered.wait()
        return await elsewhere.backfill(asked)

    elsewhere.remote.answers["GET", f"{V1}/backfill/"] = slow
    assert await asyncio.gather(elsewhere.bodies(), elsewhere.bodies()) == [[], []]
    answered.set()
    monkeypatch.setattr(remote_past, "WAIT_S", 10)
    assert await elsewhere.bodies() == ["late"]
    assert elsewhere.asked == ["backfill"]


async def test_another_server_is_asked(tmp_path: Path) -> None:
    """Where the one that has been in the room for longest does not answer."""
    town = Town.of(tmp_path, "hs1.test", "hs2.test", SERVER)
    async with (
        town.homeserver("hs1.test") as server,
        town.homeserver("hs2.test") as second,
        remote_server(town, SERVER, key=KEY, now_ms=server.clock.now_ms) as remote,
    ):
        alice, carol = await server.register("alice"), await second.register("carol")
        first, other = Elsewhere(server, remote, alice), Elsewhere(second, remote, carol)
        other.room = first.room
        Resident(remote, first.room)
        first.say("said")
        for noun in ("backfill", "event", "state_ids"):
            remote.answers["GET", f"{V1}/{noun}/"] = getattr(first, noun)
        await other.join()
        assert await other.bodies() == ["said"]
        await first.join()
        first.answer = web.json_response({"errcode": "M_UNKNOWN", "error": "Down"}, status=500)
        await told(second, first.room, first.room.events[first.room.last[0]])
        assert await first.bodies() == ["said"]
