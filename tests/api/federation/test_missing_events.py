"""What is missing before an event that another server sends: fetched once, or waited for."""

from __future__ import annotations

from collections.abc import AsyncIterator
from pathlib import Path
from typing import Any
from urllib.parse import unquote

import orjson
import pytest
from aiohttp import web
from structlog.testing import capture_logs

from palpo.core.events import SignedEvent, StateKey
from palpo.core.records.events import EventStatus
from palpo.core.signing import SigningKey
from palpo.services.federation.fetching.missing_events import LIMIT
from palpo.services.federation.receiving.staging import AGAIN_MS, MINUTE_MS, SETTLING_MS
from palpo.services.federation.servers.failed_fetches import FAILED_MS
from tests.support.federation import Asked
from tests.support.key_servers import HOUR_MS
from tests.support.pairs import Town
from tests.support.remote_server import remote_server
from tests.support.remote_users import BOB, CAROL, SERVER, Remote
from tests.support.transactions import MEMBER, Sender, sender_in, sender_to, server_beside, text

V1 = "/_matrix/federation/v1"


@pytest.fixture
async def sender(tmp_path: Path) -> AsyncIterator[Sender]:
    async with sender_in(tmp_path) as sender:
        yield sender


class Past:
    """What the other server tells of a room's past, by those of its events that it is given."""

    def __init__(self, sender: Sender) -> None:
        self.sender = sender
        self.events: dict[str, SignedEvent] = {}
        self.state: list[str] = []
        answers = sender.server.answers
        answers["POST", f"{V1}/get_missing_events/"] = self._missing
        answers["GET", f"{V1}/event/"] = self._event
        answers["GET", f"{V1}/event_auth/"] = self._event_auth
        answers["GET", f"{V1}/state_ids/"] = self._state_ids

    def add(self, *events: SignedEvent) -> None:
        self.events |= {event.event_id: event for event in events}

    async def messages(self, count: int) -> list[SignedEvent]:
        """Messages that follow one another; all but the last are told when they are asked for."""
        made: list[SignedEvent] = []
        for number in range(count):
            after = (made[-1].event_id,) if made else None
            made.append(await self.sender.message(str(number), after=after))
        self.add(*made[:-1])
        return made

    @property
    def asked(self) -> list[str]:
        """What was asked, rather than told: the first parts of paths."""
        return [item.uri.removeprefix(V1 + "/").split("/")[0] for item in self.sender.asked]

    async def _missing(self, asked: Asked) -> Any:
        body = orjson.loads(asked.body)
        found: list[SignedEvent] = []
        waiting = list(body["latest_events"])
        known = {**self.events, **self.sender.room.made}
        while waiting and len(found) < body["limit"]:
            for name in known[waiting.pop(0)].prev_events:
                if name in self.events and name not in body["earliest_events"]:
                    found.append(self.events[name])
                    waiting.append(name)
        return {"events": [event.pdu for event in reversed(found)]}

    async def _event(self, asked: Asked) -> Any:
        event = self.events.get(unquote(asked.uri.split("/")[-1]))
        if event is None:
            return web.json_response({"errcode": "M_NOT_FOUND", "error": "None"}, status=404)
        return {"origin": "remote.example", "origin_server_ts": 1, "pdus": [event.pdu]}

    async def _event_auth(self, asked: Asked) -> Any:
        return web.json_response({"errcode": "M_NOT_FOUND", "error": "None"}, status=404)

    async def _state_ids(self, asked: Asked) -> Any:
        return {"pdu_ids": self.state, "auth_chain_ids": []}

    async def now(self) -> list[str]:
        """The state of the room as it is here."""
        head = await self.sender.room.head()
        full = await self.sender.room.history.events.full_state(head.state_root)
        return [item.event_id for item in full.values()]


@pytest.fixture
async def past(sender: Sender) -> Past:
    return Past(sender)


async def test_a_gap_is_filled(sender: Sender, past: Past) -> None:
    (last_known,) = (await sender.room.head()).row.extremities
    events = await past.messages(6)
    assert await sender.send(events[-1]) == {"pdus": {events[-1].event_id: {}}}
    await sender.settled()
    assert await sender.bodies() == ["0", "1", "2", "3", "4", "5"]
    assert past.asked == ["get_missing_events"]
    assert orjson.loads(sender.asked[-1].body) == {
        "earliest_events": [last_known],
        "latest_events": [events[-1].event_id],
        "limit": LIMIT,
    }
    synced = (await sender.alice.get("/sync"))["rooms"]["join"][sender.room.room_id]["timeline"]
    assert [item["event_id"] for item in synced["events"][-6:]] == [event.event_id for event in events]


async def test_a_large_gap_is_filled_in_rounds(sender: Sender, past: Past) -> None:
    events = await past.messages(2 * LIMIT + 6)
    await sender.send(events[-1])
    await sender.settled()
    assert await sender.bodies() == [str(number) for number in range(len(events))]
    assert past.asked == ["get_missing_events"] * 3


async def test_what_was_sent_together_is_judged_together(sender: Sender, past: Past) -> None:
    events = await past.messages(6)
    await sender.send(*events[3:])
    await sender.settled()
    assert await sender.bodies() == ["0", "1", "2", "3", "4", "5"]
    assert past.asked == ["get_missing_events"]


async def test_a_gap_that_is_not_closed(sender: Sender, past: Past) -> None:
    """The state is told where it ends; clients are shown that there is a gap."""
    since = (await sender.alice.get("/sync"))["next_batch"]
    topic = await sender.room.event(BOB, (MEMBER, BOB), {"membership": "join", "displayname": "New"})
    hidden = await sender.message("hidden", after=(topic.event_id,), state={(MEMBER, BOB): topic.event_id})
    shown = await sender.message("shown", after=(hidden.event_id,), state={(MEMBER, BOB): topic.event_id})
    last = await sender.message("last", after=(shown.event_id,), state={(MEMBER, BOB): topic.event_id})
    past.state = [name for name in await past.now() if name not in await bobs(sender)] + [topic.event_id]
    past.add(shown)
    sender.server.answers["GET", f"{V1}/event/"] = Among(past, topic, hidden)
    await sender.send(last)
    await sender.settled()
    assert past.asked == ["get_missing_events", "event", "state_ids", "event"]
    synced = (await sender.alice.get("/sync", params={"since": since}))["rooms"]["join"]
    timeline = synced[sender.room.room_id]["timeline"]
    assert timeline["limited"]
    assert [item["content"]["body"] for item in timeline["events"]] == ["shown", "last"]
    members = (await sender.alice.get(f"/rooms/{sender.room.room_id}/joined_members"))["joined"]
    assert members[BOB]["display_name"] == "New"


async def bobs(sender: Sender) -> set[str]:
    event = await sender.room.history.room_heads.state_event(await sender.room.head(), (MEMBER, BOB))
    return set() if event is None else {event.event_id}


class Among:
    """Answers with those events."""

    def __init__(self, past: Past, *events: SignedEvent) -> None:
        self.past, self.events = past, {event.event_id: event for event in events}

    async def __call__(self, asked: Asked) -> Any:
        name = unquote(asked.uri.split("/")[-1])
        return {"pdus": [self.events[name].pdu]}


async def test_a_gap_before_what_is_not_shown(sender: Sender, past: Past) -> None:
    """What Carol said is soft-failed, and what came before that is missing: readers find it all the same."""
    join = await sender.room.event(CAROL, (MEMBER, CAROL), {"membership": "join"})
    await sender.send(join)
    past.state = await past.now()
    hidden = await sender.message("hidden")
    said = await sender.room.event(CAROL, "m.room.message", text("Carol's"), after=(hidden.event_id,))
    ban = {"user_id": CAROL}
    await sender.alice.post(f"/rooms/{sender.room.room_id}/ban", ban)
    past.add(said)
    sender.server.answers["GET", f"{V1}/event/"] = Among(past, hidden)
    await sender.send(await sender.message("last", after=(said.event_id,)))
    await sender.settled()
    assert await sender.status(said) is EventStatus.SOFT_FAILED
    sender.server.answers["GET", f"{V1}/backfill/"] = {"pdus": [hidden.pdu]}
    assert await sender.bodies() == ["hidden", "last"]


async def test_the_event_before_a_gap_is_not_given(sender: Sender, past: Past) -> None:
    """Then the state is asked for where the gap ends."""
    hidden = await sender.message("hidden")
    shown = await sender.message("shown", after=(hidden.event_id,))
    past.add(shown)
    past.state = await past.now()
    await sender.send(await sender.message("last", after=(shown.event_id,)))
    await sender.settled()
    assert past.asked == ["get_missing_events", "event", "state_ids"]
    assert unquote(sender.asked[-1].uri).endswith(f"?event_id={shown.event_id}")
    assert await sender.bodies() == ["shown", "last"]


async def test_forks_within_a_gap(sender: Sender, past: Past) -> None:
    """Of a gap with two ends the last event alone is taken, with the state before it."""
    hidden = [await sender.message(name) for name in ("a", "b")]
    forks = [await sender.message("fork", after=(event.event_id,)) for event in hidden]
    past.add(*forks)
    past.state = await past.now()
    last = await sender.message("last", after=tuple(event.event_id for event in forks))
    await sender.send(last)
    await sender.settled()
    assert past.asked == ["get_missing_events", "state_ids"]
    assert await sender.bodies() == ["last"]


async def test_a_server_without_state_ids(sender: Sender, past: Past) -> None:
    hidden = await sender.message("hidden")
    shown = await sender.message("shown", after=(hidden.event_id,))
    last = await sender.message("last", after=(shown.event_id,))
    past.add(shown)
    del sender.server.answers["GET", f"{V1}/state_ids/"]
    signed = await sender.room.history.events.signed(await past.now())
    told = {"pdus": [event.pdu for event in signed.values()], "auth_chain": []}
    sender.server.answers["GET", f"{V1}/state/"] = told
    sender.server.answers["GET", f"{V1}/event/"] = Among(past, hidden)
    await sender.send(last)
    await sender.settled()
    assert past.asked == ["get_missing_events", "event", "state_ids", "state"]
    assert await sender.bodies() == ["shown", "last"]


async def test_a_server_without_get_missing_events(sender: Sender, past: Past) -> None:
    events = await past.messages(3)
    del sender.server.answers["POST", f"{V1}/get_missing_events/"]
    sender.server.answers["GET", f"{V1}/backfill/"] = {"pdus": [event.pdu for event in events]}
    await sender.send(events[-1])
    await sender.settled()
    assert await sender.bodies() == ["0", "1", "2"]
    assert past.asked == ["get_missing_events", "backfill"]


async def test_what_is_not_given_is_waited_for(sender: Sender, past: Past) -> None:
    """Asked for once, then left alone for a while; what was missing comes, and what waits is judged."""
    first = await sender.message("first")
    second = await sender.message("second", after=(first.event_id,))
    for name in ("one", "two"):
        assert await sender.send(second, name=name) == {"pdus": {second.event_id: {}}}
        await sender.settled()
    assert past.asked == ["get_missing_events"]
    assert await sender.status(second) is None
    await sender.send(first)
    assert await sender.bodies() == ["first"]
    sender.ours.clock.advance(SETTLING_MS + 1)
    await look(sender)
    assert await sender.bodies() == ["first", "second"]
    assert past.asked == ["get_missing_events"]


async def look(sender: Sender) -> None:
    await sender.ours.services.federation.gaps.look()
    await sender.settled()


async def test_what_is_sent_again_is_judged_at_once(sender: Sender, past: Past) -> None:
    first = await sender.message("first")
    second = await sender.message("second", after=(first.event_id,))
    await sender.send(second)
    await sender.settled()
    await sender.send(first)
    assert await sender.bodies() == ["first"]
    await sender.send(second)
    assert await sender.bodies() == ["first", "second"]


async def test_it_is_asked_for_again_later(sender: Sender, past: Past) -> None:
    first = await sender.message("first")
    second = await sender.message("second", after=(first.event_id,))
    await sender.send(second)
    await sender.settled()
    sender.ours.clock.advance(FAILED_MS[0] - 1)
    await look(sender)
    assert past.asked == ["get_missing_events"]
    past.add(first)
    sender.ours.clock.advance(AGAIN_MS[0])
    await look(sender)
    assert past.asked == ["get_missing_events"] * 2
    assert await sender.bodies() == ["first", "second"]


async def test_what_waits_outlasts_a_restart(tmp_path: Path) -> None:
    town = Town.of(tmp_path, "hs1.test", SERVER)
    async with town.homeserver("hs1.test") as ours, server_beside(town, ours) as server:
        sender = await sender_to(ours, server)
        first = await sender.message("first")
        second = await sender.message("second", after=(first.event_id,))
        await sender.send(second)
        await sender.settled()
    async with town.homeserver("hs1.test") as ours, server_beside(town, ours) as server:
        sender.restarted(ours)
        sender.server = server
        past = Past(sender)
        past.add(first)
        await look(sender)
        assert past.asked == []
        ours.clock.advance(AGAIN_MS[0] + 1)
        await look(sender)
        assert await sender.bodies() == ["first", "second"]


async def test_a_server_that_could_not_be_asked_for_a_day(tmp_path: Path) -> None:
    """It can reach us, and we cannot reach it: once we can, what waits is there within a minute."""
    town = Town.of(tmp_path, "hs1.test", SERVER)
    async with town.homeserver("hs1.test") as ours:
        async with server_beside(town, ours) as server:
            sender = await sender_to(ours, server)
        first = await sender.message("first")
        second = await sender.message("second", after=(first.event_id,))
        await sender.send(second)
        await sender.settled()
        for _ in range(48):
            ours.clock.advance(30 * MINUTE_MS)
            await look(sender)
        assert await sender.bodies() == []
        async with server_beside(town, ours) as sender.server:
            Past(sender).add(first)
            ours.clock.advance(MINUTE_MS)
            await look(sender)
            assert await sender.bodies() == ["first", "second"]


async def test_a_bad_one_is_missing_as_before(sender: Sender, past: Past) -> None:
    """What is answered is no event of a room of this version: nothing more is asked."""
    first = await sender.message("first")
    second = await sender.message("second", after=(first.event_id,))
    third = await sender.message("third", after=(second.event_id,))
    bad = {**first.pdu, "content": {"body": "first", "number": 1.1}}
    sender.server.answers["POST", f"{V1}/get_missing_events/"] = {"events": [bad]}
    await sender.send(second)
    await sender.settled()
    assert past.asked == ["get_missing_events"]
    sender.server.answers["POST", f"{V1}/get_missing_events/"] = {}
    await sender.send(third)
    await sender.settled()
    assert past.asked == ["get_missing_events"] * 2
    assert orjson.loads(sender.asked[-1].body)["latest_events"] == [third.event_id]


async def test_auth_events_that_are_rejected(sender: Sender, past: Past) -> None:
    """What rests on them is rejected with them, whoever gave them."""
    levels = await sender.room.event(BOB, ("m.room.power_levels", ""), {"users": {}})
    await sender.send(levels)
    assert await sender.status(levels) is EventStatus.REJECTED
    outlier = await with_auth(sender, (MEMBER, BOB), {"membership": "join", "n": 1}, levels)
    past.add(outlier)
    one = await with_auth(sender, "m.room.message", text("one"), outlier)
    two = await with_auth(sender, "m.room.message", text("two"), outlier, after=(one.event_id,))
    last = await sender.message("last", after=(two.event_id,))
    answer = await sender.send(one, two, last)
    assert answer == {"pdus": {event.event_id: {} for event in (one, two, last)}}
    await sender.settled()
    for event in (outlier, one, two):
        assert await sender.status(event) is EventStatus.REJECTED
        await sender.alice.get(f"/rooms/{sender.room.room_id}/event/{event.event_id}", status=404)
    assert await sender.bodies() == ["last"]
    assert past.asked == ["event_auth", "event"]


async def with_auth(
    sender: Sender, key: StateKey | str, content: Any, more: SignedEvent, **options: Any
) -> SignedEvent:
    """An event of Bob's that has one auth event more than it should."""
    return await sender.room.event(BOB, key, content, state={("more", ""): more.event_id}, **options)


async def test_a_chain_with_a_hole(sender: Sender, past: Past) -> None:
    """A, B, C are profiles of Bob's, each by the one before; B is not to be had, so C is in no state."""
    before = await bobs(sender)
    a = await profile(sender, "A")
    b = await profile(sender, "B", after=a)
    c = await profile(sender, "C", after=b)
    mine = {(MEMBER, BOB): c.event_id}
    at_state = await sender.message("at the state", after=(c.event_id,), state=mine)
    gap = await sender.message("gap", after=(at_state.event_id,), state=mine)
    last = await sender.message("last", after=(gap.event_id,), state=mine)
    past.state = [name for name in await past.now() if name not in before] + [c.event_id]
    past.add(a, c, at_state, gap)
    sender.server.answers["POST", f"{V1}/get_missing_events/"] = {"events": [gap.pdu]}
    await sender.send(last)
    await sender.settled()
    sentinel = await sender.message("sentinel")
    await sender.send(sentinel)
    assert await sender.bodies() == ["sentinel"]
    assert await bobs(sender) == before
    for event in (c, at_state, gap, last):
        assert await sender.status(event) is None


async def profile(sender: Sender, name: str, *, after: SignedEvent | None = None) -> SignedEvent:
    content = {"membership": "join", "displayname": name}
    if after is None:
        return await sender.room.event(BOB, (MEMBER, BOB), content)
    state = {(MEMBER, BOB): after.event_id}
    return await sender.room.event(BOB, (MEMBER, BOB), content, after=(after.event_id,), state=state)


async def test_another_servers_silence_holds_up_nobody(sender: Sender, past: Past) -> None:
    first = await sender.message("first")
    await sender.send(await sender.message("second", after=(first.event_id,)))
    join = await sender.room.event(CAROL, (MEMBER, CAROL), {"membership": "join"})
    assert await sender.send(join) == {"pdus": {join.event_id: {}}}
    assert await sender.status(join) is EventStatus.ACCEPTED


async def test_other_servers_are_asked_after_a_failure(tmp_path: Path) -> None:
    """What the server that sent an event does not give, another one in the room may."""
    town = Town.of(tmp_path, "hs1.test", SERVER, "third.example")
    async with (
        town.homeserver("hs1.test") as ours,
        server_beside(town, ours) as server,
        remote_server(town, "third.example", now_ms=ours.clock.now_ms) as third,
    ):
        sender = await sender_to(ours, server)
        view = Remote(ours, sender.room.room_id, name=third.name, key=third.key)
        dora = "@dora:third.example"
        await sender.send(await view.event(dora, (MEMBER, dora), {"membership": "join"}))
        first = await sender.message("first")
        third.answers["POST", f"{V1}/get_missing_events/"] = {"events": [first.pdu]}
        await sender.send(await sender.message("second", after=(first.event_id,)))
        await sender.settled()
        assert await sender.bodies() == []
        ours.clock.advance(AGAIN_MS[0])
        await look(sender)
        assert await sender.bodies() == ["first", "second"]
        assert [item.uri.split("/")[-2] for item in third.asked if item.method == "POST"] == [
            "get_missing_events"
        ]


BAD: list[dict[str, Any]] = [
    {"get_missing_events": []},
    {"get_missing_events": {"events": "x"}},
    {"get_missing_events": {"events": [1, None, {}, {"room_id": []}]}},
    {"get_missing_events": web.Response(status=500, text="{")},
    {"event": {"pdus": []}, "state_ids": []},
    {"event": {"pdus": [{"room_id": "!x"}]}, "state_ids": {"pdu_ids": 1}},
    {"event": {"pdus": 1}, "state_ids": web.Response(status=403, text='{"errcode": "M_FORBIDDEN"}')},
    {"state_ids": {"pdu_ids": [], "auth_chain_ids": []}},
    {"state_ids": {"pdu_ids": [1], "auth_chain_ids": []}},
    {"state_ids": {"pdu_ids": ["$none", "x", "$" + "y" * 400, "$\0"], "auth_chain_ids": ["$none"]}},
    {"state_ids": {}},
    {"state_ids": web.Response(status=404, text="{}"), "state": {"pdus": [1, {}, None], "auth_chain": ["x"]}},
    {"state_ids": web.Response(status=404, text="{}"), "state": {"pdus": 1}},
]


def fresh(answer: Any) -> Any:
    """The same answer each time, of which aiohttp sends a response once only."""
    if not isinstance(answer, web.Response):
        return answer

    async def respond(asked: Asked) -> Any:
        return web.Response(status=answer.status, text=answer.text)

    return respond


@pytest.mark.parametrize("bad", BAD, ids=range(len(BAD)))
async def test_answers_of_no_use(sender: Sender, past: Past, bad: dict[str, Any]) -> None:
    """The event waits; nothing else comes of it."""
    hidden = await sender.message("hidden")
    shown = await sender.message("shown", after=(hidden.event_id,))
    last = await sender.message("last", after=(shown.event_id,))
    past.add(shown, hidden)
    past.state = await past.now()
    sender.server.answers["POST", f"{V1}/get_missing_events/"] = {"events": [shown.pdu]}
    for name, answer in bad.items():
        method = "POST" if name == "get_missing_events" else "GET"
        sender.server.answers[method, f"{V1}/{name}/"] = fresh(answer)
    before = await sender.room.head()
    with capture_logs() as logs:
        await sender.send(last)
        await sender.settled()
    assert not [entry for entry in logs if entry["event"] == "background_task_failed"]
    assert await sender.status(last) is None
    assert await sender.bodies() == []
    assert await sender.room.head() == before
    (row,) = await sender.waiting()
    assert row.tries == 1


async def test_a_key_that_cannot_be_had_yet(tmp_path: Path) -> None:
    """The event waits until the server whose user sent it can be asked."""
    town = Town.of(tmp_path, "hs1.test", SERVER, "away.example")
    async with town.homeserver("hs1.test") as ours, server_beside(town, ours) as server:
        sender = await sender_to(ours, server)
        key = SigningKey(key_id="ed25519:1", seed=b"away".ljust(32, b"\0"))
        view = Remote(ours, sender.room.room_id, name="away.example", key=key)
        dora = "@dora:away.example"
        join = await view.event(dora, (MEMBER, dora), {"membership": "join"})
        assert await sender.send(join) == {"pdus": {join.event_id: {}}}
        await sender.settled()
        assert await sender.status(join) is None
        async with remote_server(town, "away.example", key=key, now_ms=ours.clock.now_ms):
            ours.clock.advance(HOUR_MS)
            await look(sender)
            assert await sender.status(join) is EventStatus.ACCEPTED
        assert await sender.waiting() == []


async def test_an_id_that_is_taken(sender: Sender) -> None:
    """In room version 1 who sends an event chooses its ID: one that is here already is refused."""
    room_id = await sender.alice.create_room(preset="public_chat", room_version="1")
    room = Remote(sender.ours, room_id)
    join = await room.event(BOB, (MEMBER, BOB), {"membership": "join"}, event_id="$join:remote.example")
    assert await sender.send(join) == {"pdus": {join.event_id: {}}}
    again = await room.event(BOB, "m.room.message", text("no"), event_id="$join:remote.example")
    answer = await sender.send(again)
    assert "another event" in answer["pdus"]["$join:remote.example"]["error"]
    assert await sender.send(join) == {"pdus": {join.event_id: {}}}
