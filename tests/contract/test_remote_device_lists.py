"""Device lists of other servers' users, and what those were told of ours, on each database."""

from __future__ import annotations

from typing import Any

from palpo.core.identifiers import RoomId, ServerName, UserId
from palpo.core.membership import JOIN, LEAVE, Membership
from palpo.core.records.accounts import Account
from palpo.db.engine import Database
from palpo.db.transaction import Transaction, WriteTransaction
from palpo.storage import accounts, memberships, room_servers, shared_rooms, to_device, told_devices
from palpo.storage import remote_device_lists as storage
from palpo.storage.memberships import Member
from palpo.storage.remote_device_lists import RemoteDevice, RemoteDeviceList

ALICE, BOB, CAROL = UserId("@alice:a"), UserId("@bob:b"), UserId("@carol:c")
ROOM = RoomId("!r:a")
ONE, OTHER = RoomId("!one:a"), RoomId("!other:a")


def device_list(user_id: UserId, **more: Any) -> RemoteDeviceList:
    return RemoteDeviceList(user_id=user_id, server_name=ServerName(user_id.partition(":")[2]), **more)


def member(user_id: str, position: int, membership: Membership = JOIN, room_id: RoomId = ROOM) -> Member:
    return Member(
        room_id=room_id,
        user_id=user_id,
        membership=membership,
        event_id=f"${position}",
        sender=UserId(user_id),
        position=position,
    )


async def test_a_list_is_in_step_while_a_room_is_shared(database: Database) -> None:
    async def in_step(*members: Member) -> set[str]:
        async def unit(tx: WriteTransaction) -> set[str]:
            await memberships.put(tx, members)
            return set(await storage.in_step(tx, [BOB, CAROL], observer=ALICE))

        return await database.write(unit)

    async def write(tx: WriteTransaction) -> None:
        lists = [device_list(BOB, position=5), device_list(CAROL, position=5, resync_ts=1)]
        await storage.put(tx, lists)

    await database.write(write)
    assert await in_step() == set()
    assert await in_step(member(ALICE, 1), member(BOB, 6), member(CAROL, 2)) == set()
    assert await in_step(member(BOB, 5)) == {BOB}
    assert await in_step(member(ALICE, 6)) == set()
    assert await in_step(member(ALICE, 2, room_id=OTHER), member(BOB, 3, room_id=OTHER)) == {BOB}
    assert await in_step(member(BOB, 7, LEAVE, room_id=OTHER)) == set()


async def test_lists_and_their_devices(database: Database) -> None:
    devices = [
        RemoteDevice(user_id=BOB, device_id=name, json=b"{}" * number, display_name=shown)
        for name, number, shown in (("A", 1, None), ("a", 2, "Phone 📱"))
    ]
    lists = [
        device_list(BOB, stream_id=2**62, resync_ts=20, failures=3, master_key=b"m"),
        device_list(CAROL, resync_ts=10),
        device_list(UserId("@dora:b"), position=4),
    ]

    async def write(tx: WriteTransaction) -> None:
        await storage.put(tx, lists)
        await storage.put_devices(tx, devices)

    await database.write(write)

    async def read(tx: Transaction) -> None:
        assert await storage.find(tx, [BOB, CAROL, "@nobody:b"]) == {BOB: lists[0], CAROL: lists[1]}
        assert await storage.due(tx, now_ms=20, limit=5) == [lists[1], lists[0]]
        assert await storage.due(tx, now_ms=19, limit=5) == [lists[1]]
        assert await storage.due(tx, now_ms=20, limit=1) == [lists[1]]
        assert await storage.count(tx, "b") == 2
        assert await storage.users_after(tx, BOB, 1) == [CAROL]
        assert sorted(await storage.devices_of(tx, [BOB, CAROL]), key=lambda item: item.device_id) == devices
        assert await storage.find_device(tx, BOB, "a") == devices[1]
        assert await storage.find_device(tx, BOB, "b") is None
        assert await storage.size(tx, BOB) == (2, 6)
        assert await storage.size(tx, CAROL) == (0, 0)

    await database.read(read)

    async def forget(tx: WriteTransaction) -> None:
        assert await storage.delete_device(tx, BOB, "a")
        assert not await storage.delete_device(tx, BOB, "a")
        assert await storage.devices_of(tx, [BOB]) == devices[:1]
        await storage.delete_all(tx, [BOB])
        assert set(await storage.find(tx, [BOB, CAROL])) == {CAROL}
        assert await storage.size(tx, BOB) == (0, 0)

    await database.write(forget)


async def test_who_is_in_a_room_with_anybody_here(database: Database) -> None:
    async def write(tx: WriteTransaction) -> set[str]:
        await accounts.insert(tx, Account(user_id=ALICE))
        await memberships.put(
            tx,
            [
                member(ALICE, 1),
                member(BOB, 2),
                member("@dora:d", 3, room_id=ONE),
                member(CAROL, 4, LEAVE),
                member("@erin:e", 5, room_id=OTHER),
                member(ALICE, 6, LEAVE, room_id=OTHER),
            ],
        )
        return await shared_rooms.with_anybody_here(tx, [BOB, CAROL, "@dora:d", "@erin:e"])

    assert await database.write(write) == {BOB}


async def test_what_was_told(database: Database) -> None:
    hashes = {told_devices.CROSS_SIGNING: b"c", "A": b"a", "a": b"b"}

    async def write(tx: WriteTransaction) -> None:
        assert await told_devices.stream_id(tx, ALICE) == 0
        await told_devices.put(tx, ALICE, hashes, [], 7)
        assert (await told_devices.find(tx, ALICE)).hashes == hashes
        await told_devices.put(tx, ALICE, {told_devices.CROSS_SIGNING: b"d"}, ["a"], 9)
        found = await told_devices.find(tx, ALICE)
        assert (found.stream_id, found.hashes) == (9, {told_devices.CROSS_SIGNING: b"d", "A": b"a"})

    await database.write(write)


async def test_the_servers_in_a_users_rooms(database: Database) -> None:
    async def write(tx: WriteTransaction) -> None:
        changed = [
            member(ALICE, 1),
            member(BOB, 2),
            member(ALICE, 3, room_id=ONE),
            member(BOB, 4, room_id=ONE),
            member(CAROL, 5, room_id=ONE),
            member("@dora:d", 6, room_id=OTHER),
        ]
        await room_servers.follow(tx, changed, ServerName("a"))
        await memberships.put(tx, changed)
        assert await told_devices.servers(tx, ALICE) == {"b", "c"}
        assert await told_devices.servers(tx, ALICE, besides=[ONE]) == {"b"}
        assert await told_devices.servers(tx, ALICE, besides=[ONE, ROOM]) == set()

    await database.write(write)


async def test_messages_of_other_servers_are_known_for_a_while(database: Database) -> None:
    async def write(tx: WriteTransaction) -> None:
        for number in range(3):
            assert await to_device.begin_message(tx, bytes([number]) * 32, now_ms=number)
        assert not await to_device.begin_message(tx, bytes(32), now_ms=9)
        assert await to_device.forget_received(tx, before_ts=2, limit=1) == 1
        assert await to_device.forget_received(tx, before_ts=2, limit=5) == 1
        assert await to_device.begin_message(tx, bytes(32), now_ms=9)
        assert not await to_device.begin_message(tx, bytes([2]) * 32, now_ms=9)

    await database.write(write)
