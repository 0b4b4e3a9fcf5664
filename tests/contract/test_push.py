"""Push queues, notifications, third-party identifiers and registration tokens, on every database."""

from __future__ import annotations

import msgspec

from palpo.core.membership import Membership
from palpo.db.engine import Database
from palpo.db.transaction import WriteTransaction
from palpo.storage import (
    memberships,
    notifications,
    push_queue,
    pushers,
    receipts,
    registration_tokens,
    threepids,
)
from palpo.storage.memberships import Member
from palpo.storage.push_queue import KEPT, State, Waiting
from palpo.storage.pushers import Pusher
from palpo.storage.receipts import Receipt
from palpo.storage.registration_tokens import RegistrationToken
from palpo.storage.threepids import Binding, Session, ThirdPartyId

ALICE, BOB = "@alice:test.example", "@bob:test.example"
ROOM, OTHER = "!room:test.example", "!other:test.example"


def pusher(user_id: str, pushkey: str = "key") -> Pusher:
    return Pusher(
        user_id=user_id,
        device_id=None,
        app_id="app",
        pushkey=pushkey,
        kind="http",
        app_display_name="",
        device_display_name="",
        profile_tag=None,
        lang="en",
        data=b"{}",
        created_ts=0,
        position=0,
    )


def waiting(of: Pusher, position: int, event_id: str | None = "$event") -> Waiting:
    return Waiting(
        pusher_hash=of.hash, position=position, event_id=event_id, actions=b"[]", created_ts=position
    )


def membership(room_id: str, user_id: str, value: str) -> Member:
    return Member(
        room_id=room_id,
        user_id=user_id,
        membership=Membership(value),
        event_id="$m",
        sender=user_id,
        position=1,
    )


async def test_a_queue(database: Database) -> None:
    one, two = pusher(ALICE), pusher(BOB)
    rows = [waiting(one, 1), waiting(one, 2, None), waiting(two, 1)]

    async def unit(tx: WriteTransaction) -> None:
        await push_queue.put(tx, rows)
        await push_queue.put(tx, [msgspec.structs.replace(rows[0], event_id="$another")])

    await database.write(unit)
    assert await database.read(lambda tx: push_queue.of_pusher(tx, one.hash, 10)) == rows[:2]
    await database.write(lambda tx: pushers.put(tx, two))
    due = await database.read(lambda tx: push_queue.due(tx, 0, 10))
    assert due == {one.hash: None, two.hash: BOB}
    await database.write(lambda tx: push_queue.delivered(tx, one.hash, 1))
    assert await database.read(lambda tx: push_queue.of_pusher(tx, one.hash, 10)) == rows[1:2]
    await database.write(lambda tx: push_queue.forget(tx, two.hash))
    assert await database.read(lambda tx: push_queue.of_pusher(tx, two.hash, 10)) == []


async def test_what_must_wait(database: Database) -> None:
    one, two = pusher(ALICE), pusher(BOB)

    async def unit(tx: WriteTransaction) -> None:
        await push_queue.put(tx, [waiting(one, 1)])
        await push_queue.put_state(tx, one.hash, State(retry_ts=50, failures=1, badge=3))
        await push_queue.put_state(tx, two.hash, State(retry_ts=20))
        await push_queue.put_state(tx, one.hash, State(retry_ts=100, failures=2, badge=4))

    await database.write(unit)
    assert await database.read(lambda tx: push_queue.due(tx, 99, 10)) == {}
    assert await database.read(lambda tx: push_queue.next_retry(tx, 0)) == 100, "of a queue with something"
    assert await database.read(lambda tx: push_queue.due(tx, 100, 10)) == {one.hash: None}
    assert await database.read(lambda tx: push_queue.next_retry(tx, 100)) is None
    found = await database.read(lambda tx: push_queue.state(tx, one.hash))
    assert found == State(retry_ts=100, failures=2, badge=4)
    await database.write(lambda tx: push_queue.retry_at_once(tx, one.hash))
    assert await database.read(lambda tx: push_queue.state(tx, one.hash)) == State(badge=4)


async def test_a_queue_keeps_the_newest(database: Database) -> None:
    one = pusher(ALICE)
    await database.write(
        lambda tx: push_queue.put(tx, [waiting(one, number) for number in range(1, KEPT + 11)])
    )
    rows = await database.read(lambda tx: push_queue.of_pusher(tx, one.hash, 1000))
    assert [row.position for row in rows] == list(range(11, KEPT + 11))


async def test_who_listens(database: Database) -> None:
    assert not await database.read(push_queue.any_pusher)

    async def unit(tx: WriteTransaction) -> None:
        await pushers.put(tx, pusher(ALICE))
        await pushers.put(tx, pusher(ALICE, "second"))
        await memberships.put(
            tx,
            [
                membership(ROOM, ALICE, "join"),
                membership(ROOM, BOB, "join"),
                membership(OTHER, ALICE, "leave"),
            ],
        )
        for position, user_id in ((5, ALICE), (6, BOB)):
            receipt = Receipt(
                room_id=ROOM, user_id=user_id, event_id="$e", event_position=1, ts=0, position=position
            )
            await receipts.put(tx, receipt)

    await database.write(unit)
    assert await database.read(push_queue.any_pusher)
    assert await database.read(lambda tx: push_queue.listeners(tx, [ROOM, OTHER])) == {ROOM: [ALICE]}
    assert await database.read(lambda tx: push_queue.readers(tx, 4, 10, 10)) == [(5, ALICE)]
    assert await database.read(lambda tx: push_queue.readers(tx, 5, 10, 10)) == []
    assert await database.read(lambda tx: push_queue.new_events(tx, 0, 10, 10)) == []
    found = await database.read(
        lambda tx: notifications.by_others(tx, ALICE, [ROOM], after=0, upto=10, limit=5)
    )
    assert found == []


def session(session_id: str, **fields: object) -> Session:
    values = {
        "purpose": "add",
        "medium": "email",
        "address": "a@example.org",
        "client_secret": session_id,
        "token_hash": b"\x00" * 32,
        "send_attempt": 1,
        "sent": 1,
        "next_link": None,
        "uia_session": None,
        "validated_ts": None,
        "expires_ts": 100,
    }
    return msgspec.convert({"session_id": session_id, **values, **fields}, Session)


async def test_validations(database: Database) -> None:
    first, second = session("one"), session("two", sent=2)

    async def unit(tx: WriteTransaction) -> None:
        for item in (first, second, msgspec.structs.replace(first, send_attempt=2)):
            await threepids.put_session(tx, item)
        await threepids.validate(tx, "one", 7)
        await threepids.shown(tx, "one", "uia")

    await database.write(unit)
    found = await database.read(lambda tx: threepids.session_of_uia(tx, "uia"))
    assert found == msgspec.structs.replace(first, send_attempt=2, validated_ts=7, uia_session="uia")
    again = await database.read(
        lambda tx: threepids.session_of_request(tx, "add", "email", "a@example.org", "two")
    )
    assert again == second
    assert await database.read(lambda tx: threepids.count_sent(tx, "a@example.org", 99)) == 3
    assert await database.read(lambda tx: threepids.count_sent(tx, "a@example.org", 100)) == 0
    assert await database.write(lambda tx: threepids.end_session(tx, "one"))
    assert not await database.write(lambda tx: threepids.end_session(tx, "one"))
    await database.write(lambda tx: threepids.prune(tx, 100))
    assert await database.read(lambda tx: threepids.session(tx, "two")) is None


async def test_identifiers(database: Database) -> None:
    of_alice = ThirdPartyId(
        medium="email", address="a@example.org", user_id=ALICE, validated_ts=1, added_ts=2
    )
    of_bob = msgspec.structs.replace(of_alice, user_id=BOB)
    assert await database.write(lambda tx: threepids.add(tx, of_alice))
    assert await database.write(lambda tx: threepids.add(tx, of_alice))
    assert not await database.write(lambda tx: threepids.add(tx, of_bob))
    assert await database.read(lambda tx: threepids.of_user(tx, ALICE)) == [of_alice]
    await database.write(lambda tx: threepids.remove(tx, BOB, "email", "a@example.org"))
    assert await database.read(lambda tx: threepids.owner(tx, "email", "a@example.org")) == ALICE
    await database.write(lambda tx: threepids.remove(tx, ALICE, "email", "a@example.org"))
    assert await database.read(lambda tx: threepids.owner(tx, "email", "a@example.org")) is None
    binding = Binding(user_id=ALICE, medium="email", address="a@example.org", id_server="id.example")
    await database.write(lambda tx: threepids.bind(tx, binding))
    await database.write(lambda tx: threepids.bind(tx, binding))
    assert await database.read(lambda tx: threepids.bindings(tx, ALICE)) == [binding]
    await database.write(lambda tx: threepids.unbind(tx, binding))
    assert await database.read(lambda tx: threepids.bindings(tx, ALICE)) == []


async def test_registration_tokens(database: Database) -> None:
    token = RegistrationToken(token="t", uses_allowed=2, expires_ts=None, created_ts=1)
    assert await database.write(lambda tx: registration_tokens.insert(tx, token))
    assert not await database.write(lambda tx: registration_tokens.insert(tx, token))

    async def unit(tx: WriteTransaction) -> None:
        for name in ("one", "two"):
            await registration_tokens.hold(tx, "t", name, 10)
        await registration_tokens.hold(tx, "t", "one", 20)

    await database.write(unit)
    assert await database.read(lambda tx: registration_tokens.pending(tx, "t")) == 2
    assert await database.read(lambda tx: registration_tokens.pending(tx, "t", except_session="one")) == 1
    await database.write(lambda tx: registration_tokens.prune(tx, 20))
    assert await database.read(lambda tx: registration_tokens.pending(tx, "t")) == 1
    for _ in range(2):
        await database.write(lambda tx: registration_tokens.complete(tx, "one"))
    expected = msgspec.structs.replace(token, completed=1)
    assert await database.read(registration_tokens.find_all) == [expected]
    assert await database.write(lambda tx: registration_tokens.remove(tx, "t"))
    assert not await database.read(registration_tokens.any_token)
