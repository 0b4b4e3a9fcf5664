"""What users have of what is bounded: exact on every database, whoever writes at the same time."""

from __future__ import annotations

import asyncio
from collections.abc import Mapping
from pathlib import Path
from typing import Any, cast

import pytest

from palpo.config.loader import convert
from palpo.core.errors import ResourceLimitExceeded, UserLimitExceeded
from palpo.core.records.quotas import Kind
from palpo.db.engine import Database
from palpo.db.transaction import Transaction, WriteTransaction
from palpo.services.encryption.to_device_backlogs import ToDeviceBacklogs
from palpo.services.server.known_amounts import KnownAmounts
from palpo.services.server.quotas import Quotas
from palpo.storage import events, filters, media, memberships, receipts, to_device, uia
from palpo.storage import quotas as storage
from palpo.storage.events import MadeBy
from palpo.storage.media import Thumbnail
from palpo.storage.quotas import SERVER
from palpo.streams.clock import FakeClock
from palpo.workers.sweeps import Sweeper
from tests.contract.conftest import Connect
from tests.support.homeserver import homeserver

ALICE, BOB, BRIDGE = "@alice:x", "@bob:x", "@bridge:x"
FILES, BYTES = Kind.MEDIA, Kind.MEDIA_BYTES


def quotas(database: Database, **bounds: Mapping[str, int] | bool) -> Quotas:
    config = convert({"server_name": "x", "data": "/nowhere", "quotas": bounds})
    return Quotas(config, database, KnownAmounts(database), exempt=lambda user_id: user_id == BRIDGE)


async def has(database: Database, user_id: str, kind: Kind = FILES) -> int:
    return (await database.read(lambda tx: storage.amounts(tx, [kind], user_id)))[kind, user_id]


async def charge(quotas: Quotas, database: Database, user_id: str, amount: int, size: int = 0) -> None:
    await database.write(lambda tx: quotas.charge(tx, user_id, {FILES: amount, BYTES: size}))


async def test_more_and_less(database: Database) -> None:
    bounded = quotas(database, media={"user": 3, "server": 5}, media_bytes={"user": 100, "server": 0})
    await charge(bounded, database, ALICE, 2, 90)
    assert await bounded.left(ALICE, BYTES) == 10
    with pytest.raises(UserLimitExceeded) as too_many:
        await charge(bounded, database, ALICE, 2, 0)
    assert too_many.value.body()["info_uri"] == "http://127.0.0.1:8008/.well-known/matrix/support"
    with pytest.raises(UserLimitExceeded):
        await charge(bounded, database, ALICE, 1, 11)
    assert (await has(database, ALICE), await has(database, ALICE, BYTES)) == (2, 90)

    await charge(bounded, database, BOB, 3)
    assert await bounded.used() == {kind: {FILES: 5, BYTES: 90}.get(kind, 0) for kind in Kind}
    with pytest.raises(ResourceLimitExceeded) as full:
        await charge(bounded, database, ALICE, 1)
    assert full.value.body()["admin_contact"] == "http://127.0.0.1:8008/.well-known/matrix/support"

    await charge(bounded, database, BOB, -1)
    await charge(bounded, database, ALICE, 1, 10)
    await charge(bounded, database, BOB, -7)
    assert (await has(database, BOB), await has(database, SERVER)) == (0, 3)
    assert dict(bounded.refusals) == {(FILES, "user"): 1, (BYTES, "user"): 1, (FILES, "server"): 1}


async def test_what_is_counted_anew(database: Database) -> None:
    bounded = quotas(database, media={"user": 3, "server": 0})

    async def settle(amount: int) -> None:
        await database.write(lambda tx: bounded.settle(tx, ALICE, {FILES: amount}))

    await settle(3)
    with pytest.raises(UserLimitExceeded):
        await settle(4)
    assert (await has(database, ALICE), await has(database, SERVER)) == (3, 3)
    await settle(1)
    assert (await has(database, ALICE), await has(database, SERVER)) == (1, 1)


async def test_a_bound_that_was_lowered(database: Database) -> None:
    await charge(quotas(database, media={"user": 0, "server": 0}), database, ALICE, 10)
    lowered = quotas(database, media={"user": 5, "server": 0})
    with pytest.raises(UserLimitExceeded):
        await charge(lowered, database, ALICE, 1)
    await charge(lowered, database, ALICE, -1)
    assert await has(database, ALICE) == 9


async def test_who_has_no_bounds(database: Database) -> None:
    bound = {"user": 1, "server": 0}
    await charge(quotas(database, media=bound), database, BRIDGE, 5)
    await charge(quotas(database, media=bound, enabled=False), database, ALICE, 5)
    assert await has(database, SERVER) == 10


async def test_many_at_once_in_two_processes(database: Database, connect: Connect) -> None:
    """A hundred requests, of which thirty fit: thirty are let in, and the sums are right."""
    other = await connect()
    bounds = {"media": {"user": 30, "server": 50}}
    both = [(quotas(one, **bounds), one) for one in (database, other)]
    users = [ALICE, BOB]
    attempts = [(number, users[number % 2]) for number in range(200)]
    outcomes = await asyncio.gather(
        *(charge(*both[number // 2 % 2], user_id, 1) for number, user_id in attempts),
        return_exceptions=True,
    )
    stored = [user_id for (_, user_id), error in zip(attempts, outcomes, strict=True) if error is None]
    refused = [error for error in outcomes if error is not None]
    assert len(stored) == 50
    assert all(isinstance(error, UserLimitExceeded | ResourceLimitExceeded) for error in refused)
    for user_id in users:
        assert await has(database, user_id) == stored.count(user_id) <= 30
    assert await has(database, SERVER) == 50


class Reads:
    """A transaction, and how many statements it was asked for rows."""

    def __init__(self, tx: WriteTransaction) -> None:
        self.tx = tx
        self.count = 0

    def __getattr__(self, name: str) -> Any:
        self.count += name in {"all", "one", "value"}
        return getattr(self.tx, name)


async def test_what_this_process_knows_is_not_read_again(database: Database, connect: Connect) -> None:
    other = await connect()
    bounded = quotas(database, media={"user": 9, "server": 0})
    reads: list[int] = []

    async def charge_counted(tx: WriteTransaction, times: int = 1) -> None:
        counted = Reads(tx)
        for _ in range(times):
            await bounded.charge(cast("WriteTransaction", counted), ALICE, {FILES: 1})
        reads.append(counted.count)

    await database.write(charge_counted)
    await database.write(charge_counted)
    with pytest.raises(UserLimitExceeded):
        await database.write(lambda tx: charge_counted(tx, 8))
    await database.write(charge_counted)
    others = quotas(other)
    await charge(others, other, ALICE, 2)
    await database.write(lambda tx: charge_counted(tx, 2))
    await database.write(charge_counted)
    assert reads == [1, 0, 0, 1, 0]
    assert (await has(database, ALICE), await has(database, SERVER)) == (8, 8)

    # What this process has written meanwhile, and charged nobody for, hides nothing.
    await charge(others, other, ALICE, 1)
    await database.write(lambda tx: tx.positions())
    with pytest.raises(UserLimitExceeded):
        await database.write(charge_counted)
    assert (await has(database, ALICE), await has(database, SERVER)) == (9, 9)


async def test_rooms_at_once_in_two_processes(database: Database, database_url: str, tmp_path: Path) -> None:
    """Of twenty more five fit, and the room that there was goes on as it was."""
    settings = {"database": {"url": database_url}, "quotas": {"rooms": {"user": 6, "server": 0}}}
    async with homeserver(tmp_path, **settings) as one, homeserver(tmp_path, **settings) as two:
        alice = await one.register("alice")
        both = [alice, await two.login("alice")]
        room = await alice.create_room()
        made = await asyncio.gather(
            *(
                both[number % 2].post("/createRoom", {"name": str(number)}, status=None)
                for number in range(20)
            )
        )
        refused = await alice.post(f"/rooms/{room}/upgrade", {"new_version": "11"}, status=403)
        sent = await alice.send(room, "it goes on")
        chunk = (await alice.get(f"/rooms/{room}/messages?dir=b&limit=1"))["chunk"]
        joined = await database.read(lambda tx: memberships.joined_rooms(tx, alice.user_id))

    errors = [answer["errcode"] for answer in made if "errcode" in answer]
    assert errors == ["M_USER_LIMIT_EXCEEDED"] * 15
    assert refused["errcode"] == "M_USER_LIMIT_EXCEEDED"
    assert set(joined) == {room, *(answer["room_id"] for answer in made if "errcode" not in answer)}
    assert [event["event_id"] for event in chunk] == [sent]
    assert await has(database, alice.user_id, Kind.ROOMS) == await has(database, SERVER, Kind.ROOMS) == 6


async def test_the_oldest_filters(database: Database) -> None:
    async def unit(tx: WriteTransaction) -> None:
        for name in ("c", "a", "b"):
            await filters.put(tx, ALICE, name, b"{}", await tx.positions())
        await filters.put(tx, BOB, "x", b"{}", await tx.positions())
        assert await filters.count(tx, ALICE) == 3
        assert await filters.oldest(tx, ALICE, 2) == ["c", "a"]
        await filters.delete_some(tx, ALICE, ["c", "a", "x"])
        assert await filters.get(tx, ALICE, "c") is None
        assert await filters.get(tx, ALICE, "b") == await filters.get(tx, BOB, "x") == b"{}"

    await database.write(unit)


async def test_the_oldest_thumbnails(database: Database) -> None:
    async def unit(tx: WriteTransaction) -> None:
        for number in (3, 1, 2):
            made = Thumbnail(sha256=bytes([number] * 32), size=10, content_type="image/png")
            await media.put_thumbnail(tx, b"s" * 32, f"crop-{number}", made, now_ms=number)
        itself = Thumbnail(sha256=b"s" * 32, size=1000, content_type="image/png")
        await media.put_thumbnail(tx, b"s" * 32, "scale", itself)
        assert await media.take_oldest_thumbnails(tx, 0) == []
        assert await media.take_oldest_thumbnails(tx, 11) == [(bytes([n] * 32), 10) for n in (1, 2)]
        assert await media.take_oldest_thumbnails(tx, 1000) == [(bytes([3] * 32), 10)]
        assert await media.find_thumbnail(tx, b"s" * 32, "scale") == itself

    await database.write(unit)


Message = tuple[str, str, bytes]


async def waiting(database: Database, user_id: str, device_id: str = "D") -> list[bytes]:
    async def unit(tx: Transaction) -> list[tuple[int, bytes]]:
        return await to_device.pending(tx, user_id, device_id, after=0, upto=2**60, limit=1000)

    return [bytes(event) for _, event in await database.read(unit)]


async def send(backlogs: ToDeviceBacklogs, database: Database, sender: str, *rows: Message) -> None:
    async def unit(tx: WriteTransaction) -> None:
        await to_device.enqueue(tx, rows, sender=sender)
        await backlogs.added(tx, rows)

    await database.write(unit)


@pytest.mark.parametrize(
    "limit", [{"to_device": {"user": 40, "server": 0}}, {"to_device_bytes": {"user": 400, "server": 0}}]
)
async def test_who_floods_a_device_pushes_out_nobody_elses(
    database: Database, limit: Mapping[str, Mapping[str, int]]
) -> None:
    backlogs = ToDeviceBacklogs(quotas(database, **limit))
    for number in range(5):
        await send(backlogs, database, BOB, (ALICE, "D", b"bob %6d" % number))
    for number in range(100):
        await send(backlogs, database, "@eve:x", (ALICE, "D", b"eve %6d" % number))
        # Of what may wait half is for one device, and an eighth of all can come before it is counted.
        assert len(await waiting(database, ALICE)) <= 20 + 5
    left = await waiting(database, ALICE)
    assert left[:5] == [b"bob %6d" % number for number in range(5)]
    assert left[-1] == b"eve %6d" % 99
    assert len(left) > 10


async def test_a_user_of_many_devices(database: Database) -> None:
    backlogs = ToDeviceBacklogs(quotas(database, to_device={"user": 40, "server": 0}))
    for number in range(10):
        rows = [(ALICE, f"D{device}", b"%d" % number) for device in range(8)]
        await send(backlogs, database, BOB, *rows)
    left = [len(await waiting(database, ALICE, f"D{device}")) for device in range(8)]
    assert 20 < sum(left) <= 45
    assert max(left) - min(left) <= 3
    assert await has(database, ALICE, Kind.TO_DEVICE) <= 40


async def test_what_waits_and_does_not_exceed_is_kept(database: Database) -> None:
    backlogs = ToDeviceBacklogs(quotas(database))
    for number in range(30):
        await send(backlogs, database, BOB, (ALICE, "D", b"%d" % number), (BOB, "D", b"x"))
    assert await waiting(database, ALICE) == [b"%d" % number for number in range(30)]


async def test_the_receipts_in_threads_that_moved_first(database: Database) -> None:
    async def unit(tx: WriteTransaction) -> None:
        for number, thread in enumerate(("", "$1", "$2", "main", "$3"), start=1):
            for user_id in (ALICE, BOB):
                await receipts.put(
                    tx,
                    receipts.Receipt(
                        room_id="!r:x",
                        user_id=user_id,
                        thread_id=thread,
                        event_id="$e",
                        event_position=1,
                        ts=1,
                        position=number,
                    ),
                )
        await receipts.forget_oldest_in_threads(tx, "!r:x", ALICE, keep=2)
        assert set((await receipts.marks(tx, ALICE, ["!r:x"]))["!r:x"]) == {"", "main", "$3"}
        assert len((await receipts.marks(tx, BOB, ["!r:x"]))["!r:x"]) == 5

    await database.write(unit)


async def test_requests_of_long_ago(database: Database) -> None:
    hour = 3600 * 1000
    clock = FakeClock(100 * 24 * hour)

    def made(number: int, delay_id: str | None = None) -> MadeBy:
        return MadeBy(
            hash=bytes([number] * 16),
            event_id=f"${number}",
            device_id="D",
            transaction_id=str(number),
            delay_id=delay_id,
        )

    async def known(tx: Transaction) -> set[str]:
        return set((await events.find_transactions(tx, [bytes([n] * 16) for n in range(5)])).values())

    async def unit(tx: WriteTransaction) -> None:
        for number, (age, delay_id) in enumerate(
            ((47 * hour, None), (49 * hour, None), (49 * hour, "d"), (15 * 24 * hour, "e"))
        ):
            await events.insert_transactions(tx, [made(number, delay_id)], clock.now_ms() - age)

    await database.write(unit)
    assert await Sweeper(database, clock).sweep() == 2
    assert await database.read(known) == {"$0", "$2"}


async def test_the_oldest_stages(database: Database) -> None:
    async def unit(tx: WriteTransaction) -> None:
        for number in range(5):
            await uia.store(tx, f"s{number}", ["m.login.dummy"], created_ts=number)
        await uia.forget_oldest(tx, keep=5)
        assert await uia.completed(tx, "s0") == ["m.login.dummy"]
        await uia.forget_oldest(tx, keep=2)
        assert [bool(await uia.completed(tx, f"s{number}")) for number in range(5)] == [False] * 3 + [
            True
        ] * 2

    await database.write(unit)
