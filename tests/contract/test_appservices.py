"""What application services are sent, on each database."""

from __future__ import annotations

from palpo.db.engine import Database
from palpo.db.transaction import Transaction, WriteTransaction
from palpo.storage import appservices as storage
from palpo.storage import device_lists, receipts, to_device, typing
from palpo.storage.receipts import Receipt


async def test_one_transaction_at_a_time(database: Database) -> None:
    async def make(tx: WriteTransaction) -> None:
        await storage.ensure(tx, "bridge", "a-")
        await storage.ensure(tx, "bridge", "b-")

    await database.write(make)
    queue = await database.read(lambda tx: storage.queue(tx, "bridge"))
    assert queue is not None
    assert (queue.prefix, queue.number, queue.body) == ("a-", 0, None), "the first prefix stays"
    assert await database.write(lambda tx: storage.store(tx, "bridge", last=0, body=b"one"))
    assert not await database.write(lambda tx: storage.store(tx, "bridge", last=0, body=b"again"))
    assert not await database.write(lambda tx: storage.store(tx, "bridge", last=1, body=b"too early"))
    queue = await database.read(lambda tx: storage.queue(tx, "bridge"))
    assert queue is not None
    assert (queue.transaction_id, queue.body) == ("a-1", b"one")
    await database.write(lambda tx: storage.acknowledge(tx, "bridge", 7))
    assert not await database.write(lambda tx: storage.store(tx, "bridge", last=1, body=b"too early"))
    await database.write(lambda tx: storage.acknowledge(tx, "bridge", 1))
    assert await database.write(lambda tx: storage.store(tx, "bridge", last=1, body=b"two"))
    assert await database.read(lambda tx: storage.queue(tx, "other")) is None


async def test_the_streams_between_two_positions(database: Database) -> None:
    async def make(tx: WriteTransaction) -> list[int]:
        ends = []
        for number in range(3):
            room_id = f"!r{number}:x"
            await to_device.enqueue(tx, [(f"@u{number}:x", "DEV", b'{"n":1}')])
            position = await tx.positions(2)
            await typing.put(tx, room_id, "@a:x", typing=True, expires_ts=9, position=position)
            receipt = Receipt(
                room_id=room_id,
                user_id="@a:x",
                private=number == 1,
                event_id="$e",
                event_position=1,
                ts=5,
                position=position + 1,
            )
            await receipts.put(tx, receipt)
            await device_lists.record(tx, f"@u{number}:x")
            await device_lists.record(tx, f"@u{number}:x", observer="@o:x")
            ends.append(await tx.positions())
        return ends

    ends = await database.write(make)

    async def look(tx: Transaction) -> None:
        first, second = ends[0], ends[1]
        messages = await storage.new_messages(tx, first, second, 10)
        assert [item[1:] for item in messages] == [("@u1:x", "DEV", b'{"n":1}')]
        assert [room for _, room in await storage.typing_changes(tx, 0, second, 10)] == ["!r0:x", "!r1:x"]
        assert [room for _, room in await storage.typing_changes(tx, 0, ends[2], 1)] == ["!r0:x"]
        (receipt,) = await storage.new_receipts(tx, first, second, 10)
        assert (receipt.room_id, receipt.private) == ("!r1:x", True)
        updates = await storage.device_list_updates(tx, first, ends[2], 10)
        assert [user for _, user in updates] == ["@u1:x", "@u2:x"]
        assert await storage.new_events(tx, 0, ends[2], 10) == []
        assert await storage.members(tx, "!r0:x") == []

    await database.read(look)
    messages = await database.read(lambda tx: storage.new_messages(tx, 0, ends[2], 10))
    kept = messages[1][0]
    gone = [item[0] for item in messages if item[0] != kept]
    await database.write(lambda tx: storage.delete_messages(tx, gone))
    await database.write(lambda tx: storage.delete_messages(tx, []))
    left = await database.read(lambda tx: storage.new_messages(tx, 0, ends[2], 10))
    assert [item[0] for item in left] == [kept]
