"""Storage of keys, signatures, backups, device lists and messages to devices, on each database."""

from __future__ import annotations

import asyncio

from sqlalchemy import select

from palpo.core.device_keys import UploadedKey
from palpo.core.records.key_backups import BackedUpSession
from palpo.db.engine import Database
from palpo.db.position import CURRENT
from palpo.db.statements import Statement
from palpo.db.tables.devices import device_list_changes
from palpo.db.transaction import Transaction, WriteTransaction
from palpo.storage import accounts, cross_signing, device_lists, devices, key_backups, keys, to_device
from palpo.storage.cross_signing import CrossSigningKey, KeySignature
from tests.contract.conftest import Connect

ALICE, BOB = "@alice:a", "@bob:a"


def key(name: str, json: bytes = b'"x"') -> UploadedKey:
    return UploadedKey(name=name, algorithm=name.partition(":")[0], json=json)


async def add_device(tx: WriteTransaction, user_id: str, device_id: str, name: str | None = None) -> None:
    await accounts.ensure_device(tx, user_id, device_id, display_name=name, created_ts=1)


async def test_devices(database: Database) -> None:
    async def write(tx: WriteTransaction) -> None:
        await add_device(tx, ALICE, "A")
        await add_device(tx, ALICE, "a", "Name")
        await devices.rename(tx, ALICE, "A", "Phone")
        seen = devices.Seen(user_id=ALICE, device_id="A", ts=5, ip="::1", user_agent=None)
        await devices.seen(tx, [seen, devices.Seen(user_id=BOB, device_id="A", ts=6, ip="x", user_agent="y")])

    await database.write(write)
    found = await database.read(lambda tx: devices.all_of(tx, ALICE))
    assert [(d.device_id, d.display_name, d.last_seen_ts) for d in found] == [
        ("A", "Phone", 5),
        ("a", "Name", None),
    ]
    assert await database.read(lambda tx: devices.ids_of(tx, [ALICE, BOB])) == {ALICE: {"A", "a"}}


async def test_device_keys(database: Database) -> None:
    async def write(tx: WriteTransaction) -> None:
        await add_device(tx, ALICE, "A", "Phone")
        await keys.put_device_keys(tx, ALICE, "A", b"1")
        await keys.put_device_keys(tx, ALICE, "A", b"2")
        await keys.put_device_keys(tx, ALICE, "GONE", b"3")

    await database.write(write)
    found = await database.read(lambda tx: keys.all_device_keys(tx, [ALICE, BOB]))
    assert found == [(ALICE, "A", b"2", "Phone")]


async def test_one_time_keys(database: Database) -> None:
    await database.write(lambda tx: keys.add_one_time_keys(tx, ALICE, "A", [key("s:2"), key("t:1")]))
    await database.write(lambda tx: keys.add_one_time_keys(tx, ALICE, "A", [key("s:1", b"1")]))
    assert (await database.read(lambda tx: keys.counts(tx, ALICE, "A")))[0] == {"s": 2, "t": 1}

    async def named() -> dict[str, bool]:
        found = await database.read(lambda tx: keys.named_one_time_keys(tx, ALICE, "A", ["s:1", "s:9"]))
        assert all(item.is_same(b"1") and not item.is_same(b"2") for item in found.values())
        return {name: item.claimed for name, item in found.items()}

    assert await named() == {"s:1": False}
    taken = [await database.write(lambda tx: keys.take_one_time_key(tx, ALICE, "A", "s")) for _ in range(3)]
    assert taken == [("s:2", b'"x"'), ("s:1", b"1"), None]
    assert await named() == {"s:1": True}
    assert await database.write(lambda tx: keys.take_one_time_key(tx, ALICE, "A", keys.CLAIMED)) is None
    assert (await database.read(lambda tx: keys.counts(tx, ALICE, "A")))[0] == {"t": 1}
    await database.write(lambda tx: keys.forget_claimed(tx, ALICE, "A", keep=1))
    assert await named() == {"s:1": True}
    await database.write(lambda tx: keys.add_one_time_keys(tx, ALICE, "A", [key("s:1", b"1")]))
    assert await named() == {"s:1": False}
    await database.write(lambda tx: keys.take_one_time_key(tx, ALICE, "A", "s"))
    await database.write(lambda tx: keys.forget_claimed(tx, ALICE, "A", keep=0))
    assert await named() == {}


async def test_two_processes_never_take_the_same_key(connect: Connect, database: Database) -> None:
    other = await connect()
    names = [f"s:{number:02}" for number in range(20)]
    await database.write(lambda tx: keys.add_one_time_keys(tx, ALICE, "A", [key(name) for name in names]))

    async def take(db: Database) -> str | None:
        taken = await db.write(lambda tx: keys.take_one_time_key(tx, ALICE, "A", "s"))
        return None if taken is None else taken[0]

    taken = await asyncio.gather(*(take(db) for _ in range(12) for db in (database, other)))
    assert sorted(name for name in taken if name) == names


async def test_fallback_keys(database: Database) -> None:
    async def put(name: str) -> None:
        await database.write(lambda tx: keys.put_fallback_keys(tx, ALICE, "A", [key(name), key("t:1")]))

    async def unused() -> list[str]:
        return (await database.read(lambda tx: keys.counts(tx, ALICE, "A")))[1]

    await put("s:1")
    assert await unused() == ["s", "t"]
    for _ in range(2):
        used = await database.write(lambda tx: keys.use_fallback_key(tx, ALICE, "A", "s"))
        assert used == ("s:1", b'"x"')
    assert await unused() == ["t"]
    await put("s:2")
    assert await unused() == ["s", "t"]
    stored = await database.read(lambda tx: keys.fallback_keys_of(tx, ALICE, "A"))
    assert stored == {"s": ("s:2", b'"x"'), "t": ("t:1", b'"x"')}
    assert await database.write(lambda tx: keys.use_fallback_key(tx, BOB, "A", "s")) is None


async def test_cross_signing(database: Database) -> None:
    def signature(target: str, signer: str, value: str) -> KeySignature:
        return KeySignature(
            user_id=ALICE, target=target, signer_user_id=signer, signer_key_id="ed25519:k", signature=value
        )

    async def write(tx: WriteTransaction) -> None:
        for key_id in ("ed25519:a", "ed25519:b"):
            await cross_signing.put(
                tx, CrossSigningKey(user_id=ALICE, usage="master", key_id=key_id, json=b"{}")
            )
        for item in (
            signature("A", ALICE, "1"),
            signature("A", ALICE, "2"),
            signature("A", BOB, "3"),
            signature("B", "@c:a", "4"),
        ):
            await cross_signing.add_signature(tx, item)

    await database.write(write)
    found = await database.read(lambda tx: cross_signing.of_users(tx, [ALICE, BOB]))
    assert {name: item.key_id for name, item in found.items()} == {(ALICE, "master"): "ed25519:b"}

    async def seen_by(observer: str) -> dict[str, list[str]]:
        async def unit(tx: Transaction) -> dict[str, list[str]]:
            by_key = await cross_signing.signatures(tx, [ALICE], observer=observer)
            return {target: sorted(item.signature for item in items) for (_, target), items in by_key.items()}

        return await database.read(unit)

    assert await seen_by(ALICE) == {"A": ["2"]}
    assert await seen_by(BOB) == {"A": ["2", "3"]}
    assert await seen_by("@c:a") == {"A": ["2"], "B": ["4"]}
    await database.write(lambda tx: cross_signing.delete_signatures(tx, ALICE, "A"))
    assert await seen_by("@c:a") == {"B": ["4"]}


async def test_device_list_changes(database: Database) -> None:
    async def record(user_id: str, observer: str = device_lists.EVERYONE) -> int:
        await database.write(lambda tx: device_lists.record(tx, user_id, observer=observer))
        position: int = await database.read(lambda tx: tx.value(CURRENT))
        return position

    start = await record(BOB)
    first = await record(ALICE)
    await record("@c:a", observer=ALICE)
    last = await record(BOB)

    async def changed(after: int, observer: str) -> set[str]:
        return await database.read(lambda tx: device_lists.changed_since(tx, after, observer=observer))

    assert await changed(0, BOB) == {ALICE, BOB}
    assert await changed(0, ALICE) == {ALICE, BOB, "@c:a"}
    assert await changed(start, BOB) == {ALICE, BOB}
    assert await changed(first, ALICE) == {BOB, "@c:a"}
    assert await changed(last, ALICE) == set()


async def test_of_each_user_only_the_last_device_list_change_is_kept(database: Database) -> None:
    for _ in range(3):
        await database.write(lambda tx: device_lists.record(tx, ALICE))
        await database.write(lambda tx: device_lists.record(tx, ALICE, observer=BOB))
    rows = await database.read(lambda tx: tx.all(Statement(select(device_list_changes))))
    assert len(rows) == 2


async def test_to_device(database: Database) -> None:
    queue = [(ALICE, "A", b"1"), (ALICE, "B", b"2"), (ALICE, "A", b"3")]
    await database.write(lambda tx: to_device.enqueue(tx, queue))

    async def pending(after: int, limit: int = 10) -> list[bytes]:
        found = await database.read(
            lambda tx: to_device.pending(tx, ALICE, "A", after=after, upto=100, limit=limit)
        )
        return [event for _, event in found]

    assert await pending(0) == [b"1", b"3"]
    assert await pending(0, 1) == [b"1"]
    assert await pending(1) == [b"3"]
    await database.write(lambda tx: to_device.delete_up_to(tx, ALICE, "A", 1))
    assert await database.read(lambda tx: to_device.first_position(tx, ALICE, "A")) == 3
    assert await database.read(lambda tx: to_device.first_position(tx, ALICE, "B")) == 2


async def test_to_device_transactions(database: Database) -> None:
    hash_ = to_device.transaction_hash("a", "b")
    assert hash_ != to_device.transaction_hash("ab", "")
    for expected in (True, False):
        begun = await database.write(lambda tx: to_device.begin_transaction(tx, hash_, now_ms=5))
        assert begun is expected
    await database.write(lambda tx: to_device.prune_transactions(tx, before_ts=6))
    assert await database.write(lambda tx: to_device.begin_transaction(tx, hash_, now_ms=7))


async def test_key_backups(database: Database) -> None:
    first = await database.write(lambda tx: key_backups.insert(tx, ALICE, "alg", b"{}"))
    second = await database.write(lambda tx: key_backups.insert(tx, ALICE, "alg", b"{}"))
    sessions = [
        BackedUpSession(
            room_id=room_id,
            session_id=session_id,
            first_message_index=1,
            forwarded_count=2,
            is_verified=True,
            session_data=b"{}",
        )
        for room_id in ("!a", "!b")
        for session_id in ("B", "a", "é")
    ]

    async def write(tx: WriteTransaction) -> None:
        await key_backups.lock(tx, second)
        await key_backups.put_sessions(tx, second, sessions)
        await key_backups.put_sessions(tx, second, sessions)
        await key_backups.changed(tx, second, len(sessions))

    await database.write(write)
    current = await database.read(lambda tx: key_backups.current(tx, ALICE))
    assert current is not None
    assert (current.version, current.count, current.etag) == (second, 6, 1)
    assert await database.read(lambda tx: key_backups.find(tx, BOB, str(second))) is None
    found = await database.read(lambda tx: key_backups.find(tx, ALICE, str(second)))
    assert found is not None
    assert found.version == second

    async def everything(room_id: str | None) -> list[BackedUpSession]:
        found: list[BackedUpSession] = []
        after = ("", "")
        while page := await database.read(lambda tx: key_backups.page(tx, second, room_id, after, 2)):  # noqa: B023
            found += page
            after = page[-1].key
        return found

    assert {item.key for item in await everything(None)} == {item.key for item in sessions}
    assert len(await everything(None)) == 6
    assert {item.key for item in await everything("!b")} == {item.key for item in sessions[3:]}
    assert await database.write(lambda tx: key_backups.delete_sessions(tx, second, "!a", "a")) == 1
    assert await database.write(lambda tx: key_backups.delete_sessions(tx, second, "!a", None)) == 2
    assert await database.write(lambda tx: key_backups.delete_sessions(tx, second, None, None)) == 3
    await database.write(lambda tx: key_backups.delete_backup(tx, second))
    current = await database.read(lambda tx: key_backups.current(tx, ALICE))
    assert current is not None
    assert current.version == first
