"""Events of other servers on every database: those that wait, and what is bounded."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from pathlib import Path
from typing import Any

import orjson
import pytest

from palpo.core.errors import LimitExceeded, NotFound
from palpo.core.identifiers import RoomId, ServerName
from palpo.core.records.events import Check, EventStatus
from palpo.db.engine import Database
from palpo.services.federation.receiving import transactions
from palpo.services.federation.receiving.edus import Edus
from palpo.services.federation.receiving.event_reports import Fate
from palpo.services.federation.receiving.staging import (
    AGAIN_MS,
    SETTLING_MS,
    TRYING_MS,
    Staging,
    StagingBounds,
)
from palpo.services.federation.receiving.transactions import Transactions
from palpo.services.federation.servers.failed_fetches import FAILED_MS, FailedFetches
from palpo.storage import inbound_transactions
from palpo.storage.inbound_transactions import InboundTransaction
from palpo.streams.clock import FakeClock
from palpo.workers.sweeps import HOUR_MS, INBOUND_MS, INBOUND_TRANSACTION_MS, Sweeper
from tests.support.remote_users import BOB, Remote
from tests.support.transactions import Sender, sender_in

ONE, TWO = ServerName("one.example"), ServerName("two.example")


@pytest.fixture
async def sender(database: Database, database_url: str, tmp_path: Path) -> AsyncIterator[Sender]:
    async with sender_in(tmp_path, database={"url": database_url}) as made:
        yield made


@pytest.fixture
def clock(sender: Sender) -> FakeClock:
    return sender.ours.clock


def staging(sender: Sender, **bounds: int) -> Staging:
    return Staging(sender.ours.services.server.db, sender.ours.clock, bounds=StagingBounds(**bounds))


async def due(staged: Staging, room_id: str, *, also: tuple[str, ...] = ()) -> list[str]:
    return [row.event_id for row in await staged.due(room_id, also=also, limit=100)]


async def test_what_waits(sender: Sender, clock: FakeClock) -> None:
    staged, room = staging(sender), RoomId(sender.room.room_id)
    one, two = await sender.message("one"), await sender.message("two")
    assert await staged.put(ONE, room, [one, two]) == set()
    assert await due(staged, room) == []
    assert await due(staged, room, also=(two.event_id, "$other")) == [two.event_id]
    clock.advance(TRYING_MS)
    assert set(await due(staged, room)) == {one.event_id, two.event_id}
    assert await staged.due_rooms() == [room]
    rows = await staged.due(room, limit=100)
    assert orjson.loads(rows[0].pdu)["room_id"] == room
    pauses = []
    for _ in range(12):
        await staged.later(await staged.due(room, limit=100), "why")
        pause = 0
        while not await due(staged, room):
            clock.advance(AGAIN_MS[0])
            pause += AGAIN_MS[0]
        pauses.append(pause)
    assert pauses[:3] == [AGAIN_MS[0], 2 * AGAIN_MS[0], 4 * AGAIN_MS[0]]
    assert pauses[-1] == AGAIN_MS[1]
    await staged.later(await staged.due(room, limit=100), "why")
    await staged.grown(room, [one.event_id])
    assert await due(staged, room) == []
    clock.advance(SETTLING_MS)
    assert await due(staged, room) == [two.event_id]
    await staged.done(room, [two.event_id])
    assert await due(staged, room, also=(one.event_id, two.event_id)) == []


async def test_what_nobody_has_tried_to_an_end(sender: Sender, clock: FakeClock) -> None:
    """After a restart it is tried at once; what was tried in vain keeps its time."""
    staged, room = staging(sender), RoomId(sender.room.room_id)
    one, two = await sender.message("one"), await sender.message("two")
    await staged.put(ONE, room, [one])
    await staged.later(await staged.due(room, also=[one.event_id], limit=1), "why")
    await staged.put(ONE, room, [two])
    await staging(sender).resume()
    assert await due(staged, room) == [two.event_id]


async def test_who_has_sent_it_last_is_asked(sender: Sender, clock: FakeClock) -> None:
    """What is tried before its time keeps that: others cannot put it off."""
    staged, room = staging(sender), RoomId(sender.room.room_id)
    event = await sender.message("one")
    await staged.put(ONE, room, [event])
    await staged.later(await staged.due(room, also=[event.event_id], limit=1), "why")
    await staged.put(TWO, room, [event])
    await staged.later(await staged.due(room, also=[event.event_id], limit=1), "why")
    clock.advance(AGAIN_MS[0])
    (row,) = await staged.due(room, limit=100)
    assert (row.origin, row.tries) == (TWO, 1)


@pytest.mark.parametrize("bound", ["in_room", "of_origin", "in_all"])
async def test_bounds(sender: Sender, bound: str) -> None:
    staged, room = staging(sender, **{bound: 2}), RoomId(sender.room.room_id)
    events = [await sender.message(str(number)) for number in range(4)]
    names = [event.event_id for event in events]
    assert await staged.put(ONE, room, events[:1]) == set()
    assert await staged.put(ONE, room, events) == set(names[2:])
    assert await staged.put(ONE, room, events[:2]) == set()
    await staged.done(room, names[:1])
    assert await staged.put(ONE, room, events[2:]) == set(names[3:])


async def test_failed_fetches(sender: Sender, clock: FakeClock) -> None:
    fetches = FailedFetches(sender.ours.services.server.db, clock)
    names = ["$a", "$b", "$c\0", "$" + "x" * 300]
    assert await fetches.askable(ONE, names) == ["$a", "$b"]
    await fetches.failed(ONE, names[:1])
    assert await fetches.askable(ONE, names) == ["$b"]
    assert await fetches.askable(TWO, names) == ["$a", "$b"]
    clock.advance(FAILED_MS[0])
    assert await fetches.askable(ONE, names) == ["$a", "$b"]
    await fetches.failed(ONE, ["$a"])
    clock.advance(FAILED_MS[0])
    assert await fetches.askable(ONE, names) == ["$b"]
    await fetches.given(ONE, ["$a"])
    assert await fetches.askable(ONE, names) == ["$a", "$b"]


async def test_what_is_old_is_forgotten(sender: Sender, clock: FakeClock) -> None:
    db, room = sender.ours.services.server.db, RoomId(sender.room.room_id)
    staged, fetches, sweeper = staging(sender), FailedFetches(db, clock), Sweeper(db, clock)
    await staged.put(ONE, room, [await sender.message("one")])
    await fetches.failed(ONE, ["$a"])
    done = InboundTransaction(
        origin=ONE, transaction_hash=b"h" * 16, received_ts=clock.now_ms(), answer=b"{}"
    )
    await db.write(lambda tx: inbound_transactions.put(tx, done))
    clock.advance(FAILED_MS[0] + HOUR_MS + 1)
    assert await sweeper.sweep() == 1
    clock.advance(INBOUND_TRANSACTION_MS)
    assert await sweeper.sweep() >= 1
    assert await db.read(lambda tx: inbound_transactions.answer(tx, ONE, b"h" * 16)) is None
    assert len(await due(staged, room)) == 1
    clock.advance(INBOUND_MS)
    assert await sweeper.sweep() == 1
    assert await due(staged, room) == []


class Waits:
    """Takes EDUs, and its time."""

    edu_type = "m.wait"

    def __init__(self) -> None:
        self.begun, self.go = 0, asyncio.Event()
        self._changed = asyncio.Condition()

    async def receive(self, origin: ServerName, content: dict[str, Any]) -> None:
        async with self._changed:
            self.begun += 1
            self._changed.notify_all()
        await self.go.wait()

    async def until(self, begun: int) -> None:
        async with self._changed:
            await self._changed.wait_for(lambda: self.begun == begun)


async def test_one_transaction_at_a_time(sender: Sender, monkeypatch: pytest.MonkeyPatch) -> None:
    services, waits = sender.ours.services, Waits()
    federation = services.federation
    taken = Transactions(
        services.server.db,
        services.server.clock,
        federation.inbound,
        Edus([waits]),
        federation.server_acls,
        federation.destinations,
    )
    edus = [b'{"edu_type": "m.wait", "content": {}}']
    tasks = [asyncio.create_task(taken.receive(ONE, str(number), [], edus)) for number in (0, 1, 1, 2, 3)]
    other = asyncio.create_task(taken.receive(TWO, "0", [], edus))
    await waits.until(2)
    with pytest.raises(LimitExceeded):
        await taken.receive(ONE, "4", [], edus)
    assert waits.begun == 2
    waits.go.set()
    assert [await task for task in (*tasks, other)] == [b'{"pdus":{}}'] * 6
    assert waits.begun == 5
    waits.go.clear()
    monkeypatch.setattr(transactions, "WAIT_S", 0.01)
    first = asyncio.create_task(taken.receive(ONE, "5", [], edus))
    await waits.until(6)
    with pytest.raises(LimitExceeded):
        await taken.receive(ONE, "6", [], edus)
    waits.go.set()
    await first
    assert await taken.receive(ONE, "6", [], edus) == b'{"pdus":{}}'


async def test_many_rooms_and_a_gap(sender: Sender) -> None:
    """What waits in one room holds up no other; when the first event comes, what waited is judged."""
    other = Remote(sender.ours, await sender.alice.create_room(preset="public_chat"))
    join = await other.event(BOB, ("m.room.member", BOB), {"membership": "join"})
    first = await sender.message("first")
    second = await sender.message("second", after=(first.event_id,))
    third = await sender.message("third", after=(second.event_id,))
    await sender.send(third, join, second)
    await sender.settled()
    assert await sender.status(join) is EventStatus.ACCEPTED
    assert await sender.bodies() == []
    await sender.send(first)
    assert await sender.bodies() == ["first"]
    sender.ours.clock.advance(SETTLING_MS)
    await sender.ours.services.federation.gaps.look()
    await sender.settled()
    assert await sender.bodies() == ["first", "second", "third"]


async def test_why_events_are_not_accepted(sender: Sender) -> None:
    """Of those that are stored it is known as long as they are, of others for the newest of a while."""
    reports, clock = sender.ours.services.federation.event_reports, sender.ours.clock
    topic = await sender.room.event(BOB, ("m.room.topic", ""), {"topic": "mine"})
    unsigned = await sender.message("unsigned")
    waits = await sender.message("waits", after=("$nothing",))
    await sender.send(topic, {**unsigned.pdu, "signatures": {}}, waits)
    await sender.settled()
    checks = {
        event.event_id: [
            item.check for item in (await reports.of(event.event_id)).checks if item.passed is False
        ]
        for event in (topic, unsigned, waits)
    }
    assert checks == {
        topic.event_id: [Check.AUTH_EVENTS],
        unsigned.event_id: [Check.SIGNATURES],
        waits.event_id: [],
    }
    wait = (await reports.of(waits.event_id)).wait
    assert wait is not None
    assert wait.missing == ["$nothing"]
    assert wait.why
    clock.advance(INBOUND_MS + 1)
    await Sweeper(sender.ours.services.server.db, clock).sweep()
    assert (await reports.of(topic.event_id)).fate is Fate.REJECTED
    for event in (unsigned, waits):
        with pytest.raises(NotFound):
            await reports.of(event.event_id)
