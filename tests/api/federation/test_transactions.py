"""What another server sends: taken in once, each event by itself."""

from __future__ import annotations

from collections.abc import AsyncIterator
from pathlib import Path
from typing import Any

import pytest
from structlog.testing import capture_logs

from palpo.core.records.events import EventStatus
from palpo.db.transaction import WriteTransaction
from palpo.streams import topics
from tests.support.remote_invites import OtherRoom
from tests.support.remote_users import BOB, CAROL, SERVER, Remote
from tests.support.transactions import MEMBER, Sender, sender_in


@pytest.fixture
async def sender(tmp_path: Path) -> AsyncIterator[Sender]:
    async with sender_in(tmp_path) as sender:
        yield sender


async def test_what_is_sent_is_seen(sender: Sender) -> None:
    first = await sender.message("first")
    second = await sender.message("second", after=(first.event_id,))
    answer = await sender.send(second, first)
    assert answer == {"pdus": {first.event_id: {}, second.event_id: {}}}
    assert await sender.bodies() == ["first", "second"]
    synced = (await sender.alice.get("/sync"))["rooms"]["join"][sender.room.room_id]
    assert synced["timeline"]["events"][-1]["event_id"] == second.event_id
    assert sender.asked == []


async def test_a_replay_does_nothing(sender: Sender) -> None:
    first = await sender.message("first")
    answer = await sender.send(first, name="same")
    other = await sender.message("other")
    assert await sender.send(other, name="same") == answer
    assert await sender.bodies() == ["first"]
    assert await sender.send(first) == answer
    assert await sender.bodies() == ["first"]


async def test_what_comes_twice_at_once(sender: Sender) -> None:
    """What was not here a moment ago, and is now, is passed over."""
    first = await sender.message("first")
    await sender.send(first)
    services = sender.ours.services

    async def forget(tx: WriteTransaction) -> None:
        await tx.positions()
        tx.notify(topics.EVENT, first.event_id)

    await services.server.db.write(forget)
    incoming, room_id = services.federation.incoming_events, sender.room.room_id
    second = await sender.message("second", after=(first.event_id,))
    taken = await incoming.take(room_id, [first, second], fresh=[first.event_id, second.event_id])
    assert [item.event_id for item in taken.written] == [second.event_id]
    assert (taken.waiting, taken.refusals) == ({}, {})
    assert await sender.bodies() == ["first", "second"]


async def test_a_malformed_one_costs_only_itself(sender: Sender) -> None:
    good = await sender.message("good")
    deep: Any = 1
    for _ in range(300):
        deep = [deep]
    bad: list[Any] = [
        {**good.pdu, "depth": 1.5},
        {**good.pdu, "content": {"body": deep}},
        {**good.pdu, "type": "a\0b"},
        {**good.pdu, "signatures": {}},
        {**good.pdu, "room_id": 7},
        {**good.pdu, "room_id": "!nul\0:remote.example"},
        {**good.pdu, "room_id": "!" + "x" * 300},
        {**good.pdu, "room_id": "!elsewhere:remote.example"},
        {**good.pdu, "prev_events": [["$a", {}]]},
        {**good.pdu, "prev_events": None},
        {"room_id": sender.room.room_id},
        None,
        "x",
        [],
    ]
    answer = await sender.send(*bad, good)
    assert answer["pdus"].pop(good.event_id) == {}
    assert all("error" in told for told in answer["pdus"].values())
    assert await sender.bodies() == ["good"]


async def test_bounds(sender: Sender) -> None:
    await sender.send(*[{}] * 51, status=400)
    await sender.send(*[{}] * 50, edus=[{}] * 101, status=400)
    unheard = {"edu_type": "m.unheard", "content": {"room_id": "!\0"}}
    await sender.send(*[{}] * 50, edus=[{"edu_type": 5}, 7, unheard] * 33)


async def test_what_is_forbidden_is_kept_and_not_shown(sender: Sender) -> None:
    """Nothing is said of it: the room's rules are no fault of the transaction. The log says why."""
    topic = await sender.room.event(BOB, ("m.room.topic", ""), {"topic": "mine"})
    with capture_logs() as logs:
        assert await sender.send(topic, name="forbidden") == {"pdus": {topic.event_id: {}}}
    assert await sender.status(topic) is EventStatus.REJECTED
    (entry,) = [entry for entry in logs if entry["event"] == "pdu"]
    assert entry["check"] == "auth_events"
    assert (entry["origin"], entry["transaction"], entry["verdict"]) == (SERVER, "forbidden", "rejected")


async def test_acl(sender: Sender) -> None:
    late = await sender.message("late")
    acl = {"allow": ["*"], "deny": [SERVER]}
    await sender.alice.put(f"/rooms/{sender.room.room_id}/state/m.room.server_acl", acl)
    other = Remote(sender.ours, await sender.alice.create_room(preset="public_chat"))
    join = await other.event(CAROL, (MEMBER, CAROL), {"membership": "join"})
    answer = await sender.send(late, join)
    assert answer["pdus"][join.event_id] == {}
    assert await sender.status(late) is None
    assert await sender.bodies() == []


async def test_rooms_that_nobody_is_in(sender: Sender) -> None:
    message = await sender.message("to nobody")
    await sender.alice.post(f"/rooms/{sender.room.room_id}/leave")
    await sender.send(message)
    assert await sender.status(message) is None


async def test_a_prev_event_of_another_room(sender: Sender) -> None:
    """It says nothing about the state of this one."""
    other = Remote(sender.ours, await sender.alice.create_room(preset="public_chat"))
    foreign = (await other.head()).row.extremities
    before = await sender.room.head()
    event = await sender.message("from elsewhere", after=foreign)
    await sender.send(event)
    assert await sender.status(event) is None
    assert (await sender.room.head()).state_root == before.state_root


async def test_an_invite_that_is_taken_back(sender: Sender) -> None:
    room, alice = OtherRoom(sender.server), sender.alice
    await room.invite(sender.ours, room.membership(alice.user_id, "invite"))
    assert room.room_id in (await alice.get("/sync"))["rooms"]["invite"]
    message = room.event("m.room.message", None, {"body": "not for us"})
    leave = room.membership(alice.user_id, "leave")
    assert await sender.send(message, leave) == {"pdus": {leave.event_id: {}}}
    assert "invite" not in (await alice.get("/sync"))["rooms"]


async def test_rooms_that_can_be_none(sender: Sender) -> None:
    leave = OtherRoom(sender.server).membership(sender.alice.user_id, "leave")
    for room_id in ("!\0", "x", "!" * 300, "!\ud800"[:1]):
        assert await sender.send({**leave.pdu, "room_id": room_id}) == {"pdus": {}}


async def test_bytes_have_a_budget(tmp_path: Path) -> None:
    """What a server sends for all its users is more than what one user may send."""
    kib = {"per_second": 1024, "burst": 4096}
    limits = {"enabled": True, "written": kib, "federation_written": {"per_second": 1024, "burst": 64 * 1024}}
    async with sender_in(tmp_path, rate_limits=limits) as sender:
        await sender.send(await sender.message("x" * 30_000))
        await sender.send(await sender.message("x" * 50_000))
        answer = await sender.send(await sender.message("late"), status=429)
        assert answer["errcode"] == "M_LIMIT_EXCEEDED"
        assert await sender.bodies() == ["x" * 30_000, "x" * 50_000]


async def test_what_is_redacted_before_it_comes(sender: Sender) -> None:
    """Alice may redact all, and knows of an event by another server before hers does."""
    said = await sender.message("said")
    await sender.alice.put(f"/rooms/{sender.room.room_id}/redact/{said.event_id}/1", {})
    assert await sender.send(said) == {"pdus": {said.event_id: {}}}
    event = await sender.alice.get(f"/rooms/{sender.room.room_id}/event/{said.event_id}")
    assert event["content"] == {}
