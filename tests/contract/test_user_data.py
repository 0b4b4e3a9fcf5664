"""What users keep here, on every database."""

from __future__ import annotations

import asyncio
from pathlib import Path

from palpo.core.membership import Membership
from palpo.core.records.accounts import Account
from palpo.db.engine import Database
from palpo.db.transaction import WriteTransaction
from palpo.storage import (
    account_data,
    accounts,
    filters,
    memberships,
    openid,
    presence,
    profiles,
    push_rules,
    pushers,
    receipts,
    shared_rooms,
    typing,
)
from palpo.storage.memberships import Member
from palpo.storage.presence import Presence
from palpo.storage.pushers import Pusher
from palpo.storage.receipts import Receipt
from tests.support.homeserver import Client, homeserver

ALICE, BOB, EVE = "@alice:test.example", "@bob:test.example", "@eve:x"
ROOM, OTHER = "!room:test.example", "!other:test.example"


async def test_words_are_found_by_their_beginning(database: Database) -> None:
    async def unit(tx: WriteTransaction) -> None:
        await profiles.set_words(tx, ALICE, [b"alice", b"cooper"])
        await profiles.set_words(tx, BOB, [b"bob", b"Coop", "cöö".encode()])
        await profiles.set_words(tx, ALICE, [b"alice", b"coope", b"alicia"])

    await database.write(unit)
    find = profiles.find_by_word
    assert await database.read(lambda tx: find(tx, b"ali", 10)) == [ALICE]
    assert await database.read(lambda tx: find(tx, b"coop", 10)) == [ALICE]
    assert await database.read(lambda tx: find(tx, b"cooper", 10)) == []
    assert await database.read(lambda tx: find(tx, "cö".encode(), 10)) == [BOB]
    words = await database.read(lambda tx: profiles.words_of(tx, [ALICE, BOB]))
    assert words[BOB] == {b"bob", b"Coop", "cöö".encode()}


async def test_profiles(database: Database) -> None:
    async def unit(tx: WriteTransaction) -> None:
        await profiles.put(tx, ALICE, b'{"displayname":"A\xf0\x9f\x90\x88"}', await tx.positions())
        await profiles.put(tx, ALICE, b"{}", await tx.positions())

    await database.write(unit)
    assert await database.read(lambda tx: profiles.get(tx, ALICE)) == b"{}"
    assert await database.read(lambda tx: profiles.get_many(tx, [ALICE, BOB])) == {ALICE: b"{}"}
    assert await database.read(lambda tx: profiles.get(tx, BOB)) is None


async def test_account_data(database: Database) -> None:
    async def unit(tx: WriteTransaction) -> int:
        first = await tx.positions(4)
        await account_data.put(tx, ALICE, None, "a", b"{1}", first)
        await account_data.put(tx, ALICE, ROOM, "a", b"{2}", first + 1)
        await account_data.put(tx, BOB, None, "a", b"{3}", first + 2)
        await account_data.put(tx, ALICE, None, "a", None, first + 3)
        return first

    first = await database.write(unit)
    changed = account_data.changed
    assert await database.read(lambda tx: changed(tx, ALICE, 0, first + 9)) == [(ROOM, "a", b"{2}")]
    assert await database.read(lambda tx: changed(tx, ALICE, first, first + 9)) == [
        (ROOM, "a", b"{2}"),
        (None, "a", b"{}"),
    ]
    assert await database.read(lambda tx: changed(tx, ALICE, first + 3, first + 9)) == []
    assert await database.read(lambda tx: account_data.get(tx, ALICE, ROOM, "a")) == b"{2}"
    assert await database.read(lambda tx: account_data.get(tx, ALICE, None, "a")) is None


async def test_filters_push_rules_and_openid(database: Database) -> None:
    async def unit(tx: WriteTransaction) -> None:
        await filters.put(tx, ALICE, "f", b"{}", 1)
        await filters.put(tx, ALICE, "f", b"ignored", 2)
        await push_rules.put(tx, ALICE, b"1", 1)
        await push_rules.put(tx, ALICE, b"2", 2)
        await accounts.insert(tx, Account(user_id=BOB))
        await openid.insert(tx, "old", ALICE, expires_ts=10, now_ms=0)
        await openid.insert(tx, "new", BOB, expires_ts=20, now_ms=10)

    await database.write(unit)
    assert await database.read(lambda tx: filters.get(tx, ALICE, "f")) == b"{}"
    assert await database.read(lambda tx: push_rules.get(tx, ALICE)) == (b"2", 2)
    assert await database.read(lambda tx: openid.find(tx, "old", now_ms=0)) is None
    assert await database.read(lambda tx: openid.find(tx, "new", now_ms=19)) == BOB
    assert await database.read(lambda tx: openid.find(tx, "new", now_ms=20)) is None


def receipt(event: int, **changes: object) -> Receipt:
    values = {"room_id": ROOM, "user_id": ALICE, "event_id": f"${event}", "event_position": event, "ts": 1}
    return Receipt(**{**values, "position": 100 + event, **changes})  # type: ignore[arg-type]


async def test_receipts(database: Database) -> None:
    stored = [receipt(1), receipt(4, private=True), receipt(3, thread_id="main"), receipt(2)]

    async def unit(tx: WriteTransaction) -> None:
        for item in stored:
            await receipts.put(tx, item)
        await receipts.put_checkpoint(tx, ALICE, ROOM, b"x")
        await receipts.put_checkpoint(tx, ALICE, ROOM, b"y")

    await database.write(unit)
    assert await database.read(lambda tx: receipts.get(tx, ROOM, ALICE, "", False)) == stored[3]
    found = await database.read(lambda tx: receipts.changed(tx, [ROOM, OTHER], 102, 103))
    assert found == [stored[2]]
    marks = await database.read(lambda tx: receipts.marks(tx, ALICE, [ROOM, OTHER]))
    assert marks == {ROOM: {"": 4, "main": 3}}
    assert await database.read(lambda tx: receipts.checkpoints(tx, ALICE, [ROOM])) == {ROOM: b"y"}


def member(room_id: str, user_id: str, membership: str = "join") -> Member:
    return Member(
        room_id=room_id,
        user_id=user_id,
        membership=Membership(membership),
        event_id="$e",
        sender=user_id,
        position=1,
    )


async def test_typing(database: Database) -> None:
    async def start(tx: WriteTransaction) -> None:
        await typing.put(tx, ROOM, ALICE, typing=True, expires_ts=100, position=1)
        await typing.put(tx, ROOM, BOB, typing=True, expires_ts=150, position=2)
        await typing.extend(tx, ROOM, BOB, 200)
        await typing.put(tx, OTHER, BOB, typing=True, expires_ts=200, position=2)
        await memberships.put(tx, [member(ROOM, ALICE), member(ROOM, BOB), member(OTHER, BOB, "leave")])

    await database.write(start)
    current = await database.read(lambda tx: typing.current(tx, [ROOM, OTHER], 100))
    assert current == {ROOM: [BOB]}, "nobody is in the other room"
    assert (await database.read(lambda tx: typing.current(tx, [ROOM], 199))) == {ROOM: [BOB]}
    assert await database.read(lambda tx: typing.changed(tx, [ROOM], 1, 2)) == [ROOM]
    assert await database.read(lambda tx: typing.told(tx, ROOM, BOB))
    [late] = await database.read(lambda tx: typing.expired(tx, 100, 10))
    assert (late.room_id, late.user_id) == (ROOM, ALICE)

    async def stop(tx: WriteTransaction) -> None:
        await typing.put(tx, ROOM, ALICE, typing=True, expires_ts=300, position=3)
        await typing.stop(tx, late, 100, 4)

    await database.write(stop)
    assert await database.read(lambda tx: typing.told(tx, ROOM, ALICE))
    await database.write(lambda tx: typing.stop(tx, late, 300, 5))
    assert await database.read(lambda tx: typing.told(tx, ROOM, ALICE)) is False
    await database.write(lambda tx: typing.prune(tx, 300))
    assert await database.read(lambda tx: typing.changed(tx, [ROOM], 2, 9)) == []


async def test_presence_and_who_shares_a_room(database: Database) -> None:
    online = Presence(user_id=ALICE, presence="online", status_msg="hi", last_active_ts=5, position=7)

    async def unit(tx: WriteTransaction) -> None:
        await presence.put(tx, Presence(user_id=ALICE, presence="offline", position=6))
        await presence.put(tx, online)
        for user_id, room_id, membership in (
            (ALICE, ROOM, "join"),
            (BOB, ROOM, "join"),
            (BOB, OTHER, "invite"),
        ):
            await memberships.put(tx, [member(room_id, user_id, membership)])

    await database.write(unit)
    assert await database.read(lambda tx: presence.get(tx, [ALICE, BOB])) == [online]
    assert await database.read(lambda tx: presence.changed(tx, 6, 7, 10)) == [online]
    assert await database.read(lambda tx: presence.changed(tx, 7, 9, 10)) == []
    assert await database.read(lambda tx: presence.not_offline(tx, 10)) == [online]
    for user_id, after, expected in (
        (ALICE, 0, [online]),
        (BOB, 6, [online]),
        (BOB, 7, []),
        (EVE, 0, []),
    ):
        assert await database.read(lambda tx: presence.of_sharers(tx, user_id, after)) == expected  # noqa: B023
    gone = Presence(user_id=ALICE, presence="offline", position=8)
    await database.write(lambda tx: presence.put(tx, gone))
    assert await database.read(lambda tx: presence.of_sharers(tx, BOB, 0)) == []
    assert await database.read(lambda tx: presence.of_sharers(tx, BOB, 7)) == [gone]
    many = [f"@user{number}:x" for number in range(shared_rooms.FEW)]
    for others in ([BOB, EVE], [BOB, *many]):
        assert await database.read(lambda tx: shared_rooms.sharing(tx, ALICE, others)) == {BOB}  # noqa: B023
        assert await database.read(lambda tx: shared_rooms.sharing(tx, EVE, others)) == set()  # noqa: B023
    assert await database.read(lambda tx: shared_rooms.sharing(tx, ALICE, [])) == set()


def pusher(user_id: str, pushkey: str, device_id: str | None) -> Pusher:
    return Pusher(
        user_id=user_id,
        device_id=device_id,
        app_id="app",
        pushkey=pushkey,
        kind="http",
        app_display_name="App",
        device_display_name="Phone",
        profile_tag=None,
        lang="en",
        data=b"{}",
        created_ts=1,
        position=1,
    )


async def test_pushers(database: Database) -> None:
    mine, other = pusher(ALICE, "k", "D1"), pusher(ALICE, "l", None)

    async def unit(tx: WriteTransaction) -> None:
        for item in (pusher(BOB, "k", "D1"), mine, other):
            await pushers.put(tx, item)
        await pushers.remove_others(tx, ALICE, "app", "k")

    await database.write(unit)
    found = await database.read(lambda tx: pushers.of_users(tx, [ALICE, BOB]))
    assert sorted(found, key=lambda item: item.pushkey) == [mine, other]
    await database.write(lambda tx: pushers.remove(tx, ALICE, "app", "k"))
    assert await database.read(lambda tx: pushers.of_users(tx, [ALICE])) == [other]


async def shown(client: Client, displayname: str) -> None:
    """Wait until a user's server shows their new name."""
    while (await client.get(f"/profile/{client.user_id}")).get("displayname") != displayname:  # noqa: ASYNC110
        await asyncio.sleep(0.05)


async def test_a_name_that_another_process_changes(database_url: str, tmp_path: Path) -> None:
    """Each process keeps profiles, and hears of a change."""
    settings = {"database": {"url": database_url}}
    async with homeserver(tmp_path, **settings) as one, homeserver(tmp_path, **settings) as two:
        alice = await one.register("alice")
        there = await two.login("alice")
        for name in ("Alice", "Alicia"):
            await alice.put(f"/profile/{alice.user_id}/displayname", {"displayname": name})
            async with asyncio.timeout(20):
                await shown(there, name)
