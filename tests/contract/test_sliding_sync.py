"""What connections of sliding sync have been sent, as it is stored."""

from __future__ import annotations

from palpo.db.engine import Database
from palpo.storage import sliding_sync as storage
from palpo.storage.sliding_sync import ConnectionRow, RoomSent

USER = "@a:x"


def row(conn_id: str, device_id: str = "D", *, ts: int = 0, offered: int = 1) -> ConnectionRow:
    return ConnectionRow(
        connection=storage.connection_key(USER, device_id, conn_id),
        user_id=USER,
        device_id=device_id,
        tag="1f",
        confirmed=offered - 1,
        offered=offered,
        configs=b"[]",
        last_used_ts=ts,
    )


def sent(upto: int | None) -> RoomSent:
    return RoomSent("join", upto, 10, 0, 3, True)


async def test_what_is_stored_comes_back(database: Database) -> None:
    one = row("one")
    await database.write(lambda tx: storage.begin(tx, one, keep=3, keep_of_user=5))
    await database.write(
        lambda tx: storage.put_rooms(tx, one.connection, 1, {"!a": (sent(None), None), "!b": (sent(7), None)})
    )
    two = row("one", offered=2, ts=5)
    await database.write(lambda tx: storage.offer(tx, two))
    await database.write(
        lambda tx: storage.put_rooms(
            tx, one.connection, 2, {"!a": (sent(8), sent(None)), "!b": (None, sent(7))}
        )
    )
    assert await database.read(lambda tx: storage.find(tx, one.connection)) == two
    rooms = {item.room_id: item for item in await database.read(lambda tx: storage.rooms(tx, one.connection))}
    assert (rooms["!a"].generation, rooms["!a"].sent, rooms["!a"].before) == (2, sent(8), sent(None))
    assert (rooms["!b"].sent, rooms["!b"].before) == (None, sent(7))


async def test_a_connection_that_begins_anew_knows_nothing(database: Database) -> None:
    one = row("one")
    for _ in range(2):
        await database.write(lambda tx: storage.begin(tx, one, keep=3, keep_of_user=5))
        assert await database.read(lambda tx: storage.rooms(tx, one.connection)) == []
        await database.write(lambda tx: storage.put_rooms(tx, one.connection, 1, {"!a": (sent(None), None)}))


async def test_a_device_keeps_its_latest_connections(database: Database) -> None:
    rows = [row(str(number), ts=number) for number in range(5)]
    other = row("other", "OTHER")
    for item in (other, *rows):
        await database.write(lambda tx, item=item: storage.begin(tx, item, keep=3, keep_of_user=5))
        await database.write(
            lambda tx, item=item: storage.put_rooms(tx, item.connection, 1, {"!a": (sent(None), None)})
        )
    found = [await database.read(lambda tx, item=item: storage.find(tx, item.connection)) for item in rows]
    assert found == [None, None, *rows[2:]]
    assert await database.read(lambda tx: storage.rooms(tx, rows[0].connection)) == []
    assert len(await database.read(lambda tx: storage.rooms(tx, rows[4].connection))) == 1
    assert await database.read(lambda tx: storage.find(tx, other.connection)) == other


async def test_a_user_keeps_the_connections_used_last(database: Database) -> None:
    rows = [row("one", f"D{number}", ts=number) for number in range(8)]
    for item in rows:
        await database.write(lambda tx, item=item: storage.begin(tx, item, keep=3, keep_of_user=5))
    found = [await database.read(lambda tx, item=item: storage.find(tx, item.connection)) for item in rows]
    assert [item is not None for item in found] == [False] * 3 + [True] * 5
