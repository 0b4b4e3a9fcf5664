"""Events that are sent later, who follows threads, who is where: the same on every database."""

from __future__ import annotations

from dataclasses import replace

import pytest

from palpo.core.membership import Membership
from palpo.core.records.delayed_events import DelayedEvent
from palpo.db.engine import Database
from palpo.db.errors import UniqueViolation
from palpo.db.transaction import Transaction, WriteTransaction
from palpo.storage import delayed_events as storage
from palpo.storage import memberships
from palpo.storage import thread_subscriptions as threads
from palpo.storage.memberships import Member
from palpo.storage.thread_subscriptions import ThreadSubscription

ALICE, BOB = "@alice:x", "@bob:x"
EVENT = DelayedEvent(
    delay_id="d1",
    user_id=ALICE,
    device_id=None,
    room_id="!r:x",
    type="m.room.message",
    state_key=None,
    content=b"{}",
    delay_ms=100,
    scheduled_ts=1000,
    send_ts=1100,
    origin_server_ts=None,
    transaction_hash=b"h" * 16,
)


async def test_waiting_and_final(database: Database) -> None:
    second = replace(EVENT, delay_id="d2", send_ts=1050, transaction_hash=None)
    third = replace(EVENT, delay_id="d3", user_id=BOB, send_ts=1200, transaction_hash=None, state_key="")

    async def schedule(tx: WriteTransaction) -> None:
        for event in (EVENT, second, third):
            await storage.insert(tx, event)

    await database.write(schedule)
    with pytest.raises(UniqueViolation):
        await database.write(lambda tx: storage.insert(tx, replace(EVENT, delay_id="d4")))

    async def look(tx: Transaction) -> None:
        assert await storage.by_request(tx, b"h" * 16) == "d1"
        assert await storage.of_user(tx, ALICE) == [second, EVENT]
        assert await storage.count(tx, ALICE) == (2, 1050)
        assert await storage.count(tx, "@eve:x") == (0, None)
        assert await storage.due(tx, 1100, 5) == [second, EVENT]
        assert await storage.due(tx, 1100, 1) == [second]
        assert await storage.next_ts(tx) == 1050

    await database.read(look)

    async def finish(tx: WriteTransaction) -> None:
        assert await storage.restart(tx, "d1", 2000)
        assert await storage.finish(tx, "d1", 2001, event_id="$e")
        assert not await storage.finish(tx, "d1", 2002)
        assert not await storage.restart(tx, "d1", 2002)
        assert await storage.finish(tx, "d2", 2003, error=b"{}")
        assert await storage.get(tx, "d1") == replace(
            EVENT, scheduled_ts=2000, send_ts=2100, finished_ts=2001, event_id="$e"
        )
        assert await storage.get(tx, "d2") == replace(second, finished_ts=2003, error=b"{}")
        assert await storage.next_ts(tx) == 1200
        await storage.trim(tx, ALICE, 2)
        assert await storage.get(tx, "d1") is not None
        await storage.trim(tx, ALICE, 1)
        assert await storage.get(tx, "d1") is None
        await storage.sweep(tx, 2003)
        assert await storage.get(tx, "d2") is not None
        await storage.sweep(tx, 2004)
        assert await storage.get(tx, "d2") is None
        assert await storage.get(tx, "d3") == third

    await database.write(finish)


async def test_followers(database: Database) -> None:
    async def follow(tx: WriteTransaction) -> None:
        for position, (user_id, room_id, subscribed) in enumerate(
            [(ALICE, "!r:x", True), (BOB, "!r:x", False), ("@eve:x", "!other:x", True)]
        ):
            item = ThreadSubscription(
                user_id=user_id,
                room_id=room_id,
                root_id="$root",
                subscribed=subscribed,
                automatic=False,
                position=position,
            )
            await threads.put(tx, item)

    await database.write(follow)
    assert await database.read(lambda tx: threads.followers(tx, "!r:x", "$root")) == frozenset((ALICE,))
    assert await database.read(lambda tx: threads.followers(tx, "!r:x", "$other")) == frozenset()


async def test_some_rooms_of_many_users(database: Database) -> None:
    rows = [
        Member(
            room_id=room_id,
            user_id=user_id,
            membership=Membership(membership),
            event_id="$e",
            sender=user_id,
            position=1,
        )
        for user_id, room_id, membership in [
            (ALICE, "!a:x", "join"),
            (ALICE, "!b:x", "leave"),
            (ALICE, "!c:x", "join"),
            (ALICE, "!d:x", "join"),
            (BOB, "!a:x", "join"),
            ("@eve:x", "!a:x", "join"),
        ]
    ]
    await database.write(lambda tx: memberships.put(tx, rows))
    found = await database.read(lambda tx: memberships.some_rooms(tx, [ALICE, BOB], 2))
    assert sorted(found) == [(ALICE, "!a:x"), (ALICE, "!c:x"), (BOB, "!a:x")]
