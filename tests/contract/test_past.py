"""Events from before a room began here, or from a gap, that are fetched later: on every database."""

from __future__ import annotations

from collections.abc import Sequence
from functools import partial

import pytest

from palpo.core.events import SignedEvent
from palpo.core.records.events import EventStatus, StoredEvent
from palpo.core.state_keys import TOPIC
from palpo.storage import event_edges
from palpo.storage.event_edges import BackwardExtremity
from palpo.streams import topics
from tests.support.homeserver import Client, Homeserver
from tests.support.remote_rooms import RemoteRoom, import_state, join, told
from tests.support.remote_users import BOB

MESSAGE = "m.room.message"


class Past:
    """A room with nine messages, which Alice has joined after them."""

    def __init__(self, server: Homeserver, alice: Client) -> None:
        self.server, self.alice = server, alice
        self.room = RemoteRoom()
        self.messages = [self.say(f"{number}") for number in range(1, 10)]
        self.before = b""
        """The state before each of them."""

    def say(self, body: str, **options: object) -> SignedEvent:
        return self.room.add(BOB, MESSAGE, {"msgtype": "m.text", "body": body}, **options)

    async def join(self) -> None:
        self.before = await import_state(self.server, self.room)
        await join(self.server, self.room, self.alice)

    async def fetch(self, events: Sequence[SignedEvent]) -> list[StoredEvent]:
        """Have events of the past taken in, the state before the first of them being known."""
        history = self.server.services.history
        states = {events[0].event_id: self.before}
        build = partial(history.admission.build, events=events, past=True, states=states)
        found: list[StoredEvent] = []
        while some := await history.room_writer.admit(self.room.room_id, build):
            found += some
        return found

    async def missing(self, order: tuple[int, int] = (2**62, 0)) -> list[BackwardExtremity]:
        room_id = self.room.room_id
        return await self.server.services.server.db.read(
            lambda tx: event_edges.backward_extremities(tx, room_id, order, 10)
        )

    async def bodies(self, direction: str = "b", limit: int = 3) -> list[str]:
        """The messages of the room, page by page."""
        found: list[str] = []
        params = {"dir": direction, "limit": limit}
        while True:
            page = await self.alice.get(f"/rooms/{self.room.room_id}/messages", params=params)
            found += [item["content"]["body"] for item in page["chunk"] if item["type"] == MESSAGE]
            if "end" not in page:
                return found
            params["from"] = page["end"]


@pytest.fixture
async def past(server: Homeserver, alice: Client) -> Past:
    made = Past(server, alice)
    await made.join()
    return made


async def test_pages_show_the_past_in_order(past: Past) -> None:
    (gap,) = await past.missing()
    assert gap.event_id == past.messages[-1].event_id
    stored = await past.fetch(past.messages[5:])
    assert [item.position for item in stored] == [-4, -3, -2, -1]
    assert await past.bodies() == ["9", "8", "7", "6"]
    (gap,) = await past.missing()
    assert gap.event_id == past.messages[4].event_id
    assert gap.place == stored[0].place
    await past.alice.send(past.room.room_id, "now")
    await past.fetch(past.messages[:5])
    expected = ["now", "9", "8", "7", "6", "5", "4", "3", "2", "1"]
    assert await past.bodies() == expected
    assert await past.bodies("f") == expected[::-1]
    assert past.messages[0].event_id not in {item.event_id for item in await past.missing()}


async def test_from_the_token_of_a_sync(past: Past) -> None:
    synced = (await past.alice.get("/sync"))["rooms"]["join"][past.room.room_id]["timeline"]
    await past.fetch(past.messages)
    params = {"dir": "b", "limit": 3, "from": synced["prev_batch"]}
    page = await past.alice.get(f"/rooms/{past.room.room_id}/messages", params=params)
    assert [item["content"]["body"] for item in page["chunk"]] == ["9", "8", "7"]


async def test_it_is_no_news(server: Homeserver, past: Past) -> None:
    alice, room_id = past.alice, past.room.room_id
    lists = {"a": {"ranges": [[0, 9]], "required_state": [], "timeline_limit": 10}}
    path = "/client/unstable/org.matrix.simplified_msc3575/sync"
    since = (await alice.get("/sync"))["next_batch"]
    pos = (await alice.request("POST", path, {"lists": lists}))["pos"]
    loud = past.say(f"hello {alice.user_id}")
    waiting = server.services.server.wakeups.position
    told_of: list[str] = []
    server.services.server.wakeups.listen(topics.ROOM, lambda keys, _: told_of.extend(keys or ()))
    await past.fetch(past.messages)
    assert told_of == []
    assert server.services.server.wakeups.position > waiting
    synced = await alice.get("/sync", params={"since": since})
    assert room_id not in synced.get("rooms", {}).get("join", {})
    answer = await alice.request("POST", path, {"lists": lists}, params={"pos": pos})
    assert not answer.get("rooms", {}).get(room_id, {}).get("timeline")
    whole = (await alice.get("/sync"))["rooms"]["join"][room_id]
    assert [item["type"] for item in whole["timeline"]["events"]] == ["m.room.member"]
    assert whole["timeline"]["limited"] is True
    assert whole["unread_notifications"] == {"highlight_count": 0, "notification_count": 0}
    assert (await alice.get("/notifications"))["notifications"] == []
    await told(server, past.room, loud)
    fresh = (await alice.get("/sync", params={"since": since}))["rooms"]["join"][room_id]
    assert [item["event_id"] for item in fresh["timeline"]["events"]] == [loud.event_id]
    assert fresh["timeline"].get("limited", False) is False
    body = {"search_categories": {"room_events": {"search_term": "hello"}}}
    found = (await alice.post("/search", body))["search_categories"]["room_events"]
    assert found["count"] == 1


async def test_what_has_been_read_of_it(past: Past) -> None:
    """A receipt for an old event leaves what came since unread."""
    await past.fetch(past.messages)
    await past.server.services.history.room_writer.admit(
        past.room.room_id,
        partial(past.server.services.history.admission.build, events=[past.say("new")]),
    )
    old = past.messages[3].event_id
    await past.alice.post(f"/rooms/{past.room.room_id}/receipt/m.read/{old}")
    room = (await past.alice.get("/sync"))["rooms"]["join"][past.room.room_id]
    assert room["unread_notifications"]["notification_count"] == 1


async def test_context_time_and_relations(past: Past) -> None:
    alice, room_id = past.alice, past.room.room_id
    root = past.messages[2].event_id
    relation = {"m.relates_to": {"rel_type": "m.thread", "event_id": root}}
    past.room.last = (past.messages[-1].event_id,)
    replies = [past.room.event(BOB, MESSAGE, {"body": "r", **relation}) for _ in range(1)]
    past.room.last = (replies[0].event_id,)
    replies.append(past.room.event(BOB, MESSAGE, {"body": "s", **relation}))
    await past.fetch([*past.messages, *replies])
    context = await alice.get(f"/rooms/{room_id}/context/{root}?limit=4")
    assert [item["content"]["body"] for item in context["events_before"]] == ["2", "1"]
    assert [item["content"]["body"] for item in context["events_after"]] == ["4", "5"]
    time = past.messages[4].origin_server_ts
    for direction, expected in (("f", 4), ("b", 4)):
        found = await alice.request(
            "GET", f"/client/v1/rooms/{room_id}/timestamp_to_event?ts={time}&dir={direction}"
        )
        assert found["event_id"] == past.messages[expected].event_id
    found = await alice.request("GET", f"/client/v1/rooms/{room_id}/relations/{root}?limit=1")
    assert [item["event_id"] for item in found["chunk"]] == [replies[1].event_id]
    found = await alice.request(
        "GET", f"/client/v1/rooms/{room_id}/relations/{root}?limit=1&from={found['next_batch']}"
    )
    assert [item["event_id"] for item in found["chunk"]] == [replies[0].event_id]


async def test_threads_of_the_past(past: Past) -> None:
    roots = [past.messages[number].event_id for number in (1, 2)]
    replies = []
    past.room.last = (past.messages[-1].event_id,)
    for root in roots:
        relation = {"m.relates_to": {"rel_type": "m.thread", "event_id": root}}
        replies.append(past.room.add(BOB, MESSAGE, {"body": "r", **relation}))
    await past.fetch([*past.messages, *replies])
    found: list[str] = []
    path = f"/client/v1/rooms/{past.room.room_id}/threads?limit=1"
    page = await past.alice.request("GET", path)
    found += [item["event_id"] for item in page["chunk"]]
    page = await past.alice.request("GET", f"{path}&from={page['next_batch']}")
    found += [item["event_id"] for item in page["chunk"]]
    assert found == roots[::-1]


async def test_forks_and_what_is_not_allowed(past: Past) -> None:
    """Of the past is what its auth events and the state before it allow; the present stays as it is."""
    past.room.last = (past.messages[3].event_id,)
    fork = past.room.event("@eve:remote.example", MESSAGE, {"body": "never"})
    topic = past.room.event(BOB, TOPIC, {"topic": "once"})
    merge = past.room.event(
        BOB, MESSAGE, {"body": "merge"}, after=(past.messages[4].event_id, topic.event_id)
    )
    head = await past.server.services.history.room_heads.get(past.room.room_id)
    await past.fetch(past.messages[:4])
    stored = {
        item.event_id: item
        for item in await past.fetch([fork, topic, past.messages[4], merge, *past.messages[5:]])
    }
    assert stored[fork.event_id].status is EventStatus.REJECTED
    assert stored[fork.event_id].position == 0
    assert stored[merge.event_id].position < 0
    known = await past.bodies()
    assert [body for body in known if body.isdigit()] == [str(number) for number in range(9, 0, -1)]
    assert known.index("merge") < known.index("4")
    after = await past.server.services.history.room_heads.get(past.room.room_id)
    assert after.state_root == head.state_root
    assert after.row.extremities == head.row.extremities
    await past.alice.get(f"/rooms/{past.room.room_id}/state/m.room.topic", status=404)


async def test_what_was_asked_for_is_remembered(past: Past) -> None:
    db = past.server.services.server.db
    (gap,) = await past.missing()
    assert (gap.tries, gap.tried_ts) == (0, 0)
    room_id, names = past.room.room_id, [gap.event_id]
    for now_ms in (5, 7):
        await db.write(lambda tx, now_ms=now_ms: event_edges.tried(tx, room_id, names, now_ms))
    (gap,) = await past.missing()
    assert (gap.tries, gap.tried_ts) == (2, 7)
    assert await past.missing((gap.place - 1, 0)) == []
    await past.fetch(past.messages[5:])
    (gap,) = await past.missing()
    assert (gap.event_id, gap.tries) == (past.messages[4].event_id, 0)


async def test_what_is_missing_ahead(past: Past) -> None:
    db, room_id = past.server.services.server.db, past.room.room_id
    await past.fetch(past.messages[7:])
    (gap,) = await past.missing()
    late = past.say("late", after=(past.say("lost").event_id, *past.room.last))
    history = past.server.services.history
    build = partial(history.admission.build, events=[late], states={late.event_id: past.before})
    await history.room_writer.admit(room_id, build)
    found = await db.read(lambda tx: event_edges.ahead(tx, room_id, (0, 0), 10))
    assert found[0].event_id == gap.event_id
    assert found[0].place == gap.place
    assert found[1].place > gap.place
    after = await db.read(lambda tx: event_edges.ahead(tx, room_id, (gap.place, 0), 10))
    assert after == found[1:]
    (follower,) = await db.read(lambda tx: event_edges.after(tx, [gap.event_id]))
    assert follower == (gap.event_id, past.messages[7].event_id)


async def test_a_gap_within_what_is_here(past: Past) -> None:
    """Its events stand between those around it, whatever came meanwhile."""
    alice, room_id = past.alice, past.room.room_id
    await told(past.server, past.room, past.say("first"))
    lost = [past.say(f"lost {number}") for number in range(30)]
    late = past.say("late")
    history = past.server.services.history
    build = partial(history.admission.build, events=[late], states={late.event_id: await _state(past)})
    await history.room_writer.admit(room_id, build)
    await alice.send(room_id, "last")
    token = (await alice.get("/sync"))["rooms"]["join"][room_id]["timeline"]
    assert [item["content"]["body"] for item in token["events"]] == ["late", "last"]
    states = {lost[20].event_id: await _state(past)}
    build = partial(history.admission.build, events=lost[20:], past=True, states=states)
    await history.room_writer.admit(room_id, build)
    build = partial(history.admission.build, events=lost[:20], past=True)
    await history.room_writer.admit(room_id, build)
    expected = ["last", "late", *(f"lost {number}" for number in range(29, -1, -1)), "first"]
    assert await past.bodies(limit=5) == expected
    params = {"dir": "b", "limit": 3, "from": token["prev_batch"]}
    page = await alice.get(f"/rooms/{room_id}/messages", params=params)
    assert [item["content"]["body"] for item in page["chunk"]] == ["lost 29", "lost 28", "lost 27"]


async def _state(past: Past) -> bytes:
    return (await past.server.services.history.room_heads.get(past.room.room_id)).state_root
