"""What every database engine promises to those who write units of work."""

from __future__ import annotations

import asyncio
import os
import signal
import subprocess
import sys
from collections.abc import AsyncIterator, Awaitable, Callable
from pathlib import Path
from typing import Any

import pytest
from sqlalchemy import (
    Column,
    Index,
    MetaData,
    PrimaryKeyConstraint,
    Table,
    bindparam,
    delete,
    func,
    select,
    update,
)

from palpo.db.connect import create_engine
from palpo.db.engine import Commit, Database
from palpo.db.errors import BadValue, DatabaseError, Retriable, UniqueViolation, Unreachable
from palpo.db.migrations.connection import on_connection
from palpo.db.position import CURRENT
from palpo.db.statements import Statement, in_list, insert_row, update_row, upsert
from palpo.db.tables.meta import blob, digest, flag, identifier, integer, text
from palpo.db.transaction import Transaction, WriteTransaction
from palpo.streams import topics

own = MetaData()
things = Table(
    "contract_things",
    own,
    Column("id", identifier(), nullable=False),
    Column("number", integer(), nullable=False),
    Column("body", blob(), nullable=False),
    Column("note", text(), nullable=True),
    Column("seen", flag(), nullable=False),
    PrimaryKeyConstraint("id", name="pk_contract_things"),
)
keys = Table(
    "contract_keys",
    own,
    Column("hash", digest(32), nullable=False),
    Column("room_id", identifier(), nullable=False),
    Column("type", identifier(), nullable=False),
    Column("state_key", identifier(), nullable=False),
    PrimaryKeyConstraint("hash"),
    Index("ix_contract_keys_three", "room_id", "type", "state_key", unique=True),
)

INSERT = insert_row(things)
INSERT_KEYS = insert_row(keys)
INSERT_PLAIN = insert_row(things, fixed={"number": 7, "seen": 1}, same={"note": "id"})
MOVE = update_row(things, key="id", columns=["number", "body"])
PUT = upsert(things, key=["id"])
PUT_NUMBER = upsert(things, key=["id"], update=["number"])
ADD = upsert(things, key=["id"], update=())
GET = Statement(select(things.c.number, things.c.body, things.c.note).where(things.c.id == bindparam("id")))
IDS = Statement(select(things.c.id).order_by(things.c.number))
NUMBERS = Statement(select(things.c.number).order_by(things.c.number))
COUNT = Statement(select(func.count()).select_from(things))
SET_NUMBER = Statement(update(things).where(things.c.id == bindparam("key")).values(number=bindparam("to")))
DELETE = Statement(delete(things).where(things.c.id == bindparam("id")))
BY_ID = Statement(select(things.c.id).where(in_list(things.c.id, "ids")).order_by(things.c.number))
BY_NUMBER = Statement(
    select(things.c.id).where(in_list(things.c.number, "numbers")).order_by(things.c.number)
)
BY_HASH = Statement(select(keys.c.room_id).where(in_list(keys.c.hash, "hashes")).order_by(keys.c.room_id))
TWICE = Statement(
    select(things.c.id).where((things.c.id == bindparam("id")) | (things.c.note == bindparam("id")))
)

Connect = Callable[[], Awaitable[Database]]


def thing(id: str, number: int = 0, body: bytes = b"", note: str | None = None) -> dict[str, Any]:
    return {"id": id, "number": number, "body": body, "note": note, "seen": 0}


def inserting(id: str, number: int = 0) -> Callable[[WriteTransaction], Awaitable[int]]:
    async def unit(tx: WriteTransaction) -> int:
        return await tx.run(INSERT, **thing(id, number))

    return unit


def reading(statement: Statement, **params: Any) -> Callable[[Transaction], Awaitable[list[tuple[Any, ...]]]]:
    async def unit(tx: Transaction) -> list[tuple[Any, ...]]:
        return [tuple(row) for row in await tx.all(statement, **params)]

    return unit


@pytest.fixture
async def db(database: Database, database_url: str) -> AsyncIterator[Database]:
    """``database``, with the tables of this module, empty."""

    def make(connection: Any) -> None:
        own.drop_all(connection)
        own.create_all(connection)

    await asyncio.to_thread(on_connection, database_url, make)
    yield database
    await asyncio.to_thread(on_connection, database_url, own.drop_all)


async def test_a_unit_reads_what_it_wrote_and_others_read_it_after_the_commit(db: Database) -> None:
    async def unit(tx: WriteTransaction) -> Any:
        await tx.run(INSERT, **thing("a", 2**62, b"\x00\xff'\\%", "n"))
        return await tx.one(GET, id="a")

    assert tuple(await db.write(unit)) == (2**62, b"\x00\xff'\\%", "n")
    assert await db.read(reading(GET, id="a")) == [(2**62, b"\x00\xff'\\%", "n")]
    assert await db.read(reading(GET, id="b")) == []


async def test_none_is_returned_where_there_is_no_row(db: Database) -> None:
    async def unit(tx: Transaction) -> Any:
        return await tx.one(GET, id="a"), await tx.value(GET, id="a"), list(await tx.all(GET, id="a"))

    assert await db.read(unit) == (None, None, [])


async def until(event: asyncio.Event, tx: Transaction) -> None:
    """Wait within a unit of work, which awaits nothing but its transaction."""
    while not event.is_set():
        await tx.value(COUNT)


async def test_nothing_is_seen_before_the_commit(db: Database, backend: str) -> None:
    if backend == "sqlite":
        pytest.skip("a unit of work runs to its end in the writer's thread")
    written, may_go_on = asyncio.Event(), asyncio.Event()

    async def unit(tx: WriteTransaction) -> None:
        await tx.run(INSERT, **thing("a"))
        written.set()
        await until(may_go_on, tx)

    task = asyncio.create_task(db.write(unit))
    await written.wait()
    before = await db.read(reading(IDS))
    may_go_on.set()
    await task

    assert before == []
    assert await db.read(reading(IDS)) == [("a",)]


async def test_a_key_that_is_there_is_a_unique_violation(db: Database) -> None:
    await db.write(inserting("a"))

    with pytest.raises(UniqueViolation):
        await db.write(inserting("a", 1))
    assert await db.read(reading(GET, id="a")) == [(0, b"", None)]


async def test_a_failing_unit_does_not_harm_its_group(db: Database) -> None:
    async def fails(tx: WriteTransaction) -> None:
        await tx.run(INSERT, **thing("failed"))
        raise LookupError("no such room")

    units = [inserting(f"{n}", n) for n in range(10)]
    outcomes = await asyncio.gather(
        *(db.write(unit) for unit in [*units[:5], fails, inserting("3"), *units[5:]]), return_exceptions=True
    )

    assert isinstance(outcomes[5], LookupError)
    assert isinstance(outcomes[6], UniqueViolation)
    assert [outcome for outcome in outcomes if not isinstance(outcome, Exception)] == [1] * 10
    assert await db.read(reading(IDS)) == [(f"{n}",) for n in range(10)]


async def test_a_failed_statement_fails_its_transaction_even_if_caught(db: Database) -> None:
    await db.write(inserting("a"))

    async def unit(tx: WriteTransaction) -> None:
        await tx.run(INSERT, **thing("b"))
        with pytest.raises(UniqueViolation):
            await tx.run(INSERT, **thing("a"))

    with pytest.raises(DatabaseError):
        await db.write(unit)
    assert await db.read(reading(IDS)) == [("a",)]


async def test_a_retriable_unit_is_run_again(db: Database) -> None:
    runs = 0

    async def unit(tx: WriteTransaction) -> int:
        nonlocal runs
        runs += 1
        await tx.run(INSERT, **thing("a", runs))
        if runs < 3:
            raise Retriable("another writer was faster")
        return runs

    assert await db.write(unit) == 3
    assert await db.read(reading(GET, id="a")) == [(3, b"", None)]


async def test_a_write_goes_on_where_its_caller_is_cancelled(db: Database) -> None:
    task = asyncio.create_task(db.write(inserting("a")))
    await asyncio.sleep(0)
    task.cancel()
    with pytest.raises(asyncio.CancelledError):
        await task

    await db.write(inserting("b", 1))
    assert await db.read(reading(IDS)) == [("a",), ("b",)]


async def test_closing_finishes_what_waits(connect: Connect, db: Database) -> None:
    other = await connect()
    writes = [asyncio.create_task(other.write(inserting(f"{n}", n))) for n in range(200)]
    await asyncio.sleep(0)
    await other.close()

    assert await asyncio.gather(*writes) == [1] * 200
    assert len(await db.read(reading(IDS))) == 200
    with pytest.raises(DatabaseError):
        await other.write(inserting("late"))


async def test_run_counts_the_rows_that_matched(db: Database) -> None:
    async def unit(tx: WriteTransaction) -> list[int]:
        await tx.run(INSERT, **thing("a", 1))
        return [
            await tx.run(SET_NUMBER, key="a", to=1),
            await tx.run(SET_NUMBER, key="a", to=2),
            await tx.run(SET_NUMBER, key="b", to=2),
            await tx.run(DELETE, id="a"),
            await tx.run(DELETE, id="a"),
        ]

    assert await db.write(unit) == [1, 1, 0, 1, 0]


async def test_upsert(db: Database) -> None:
    async def unit(tx: WriteTransaction) -> None:
        await tx.run(PUT, **thing("all", 1, b"1", "1"))
        await tx.run(PUT, **thing("all", 2, b"2", None))
        await tx.run(PUT_NUMBER, **thing("number", 1, b"1", "1"))
        await tx.run(PUT_NUMBER, **thing("number", 2, b"2", "2"))
        await tx.run(ADD, **thing("kept", 1, b"1", "1"))
        await tx.run(ADD, **thing("kept", 2, b"2", "2"))

    await db.write(unit)

    assert await db.read(reading(GET, id="all")) == [(2, b"2", None)]
    assert await db.read(reading(GET, id="number")) == [(2, b"1", "1")]
    assert await db.read(reading(GET, id="kept")) == [(1, b"1", "1")]


async def test_an_upsert_that_keeps_hides_no_other_violation(db: Database) -> None:
    row = {"hash": b"1", "room_id": "!r", "type": "t", "state_key": ""}
    put = upsert(keys, key=["hash"])

    async def unit(tx: WriteTransaction) -> None:
        await tx.run(put, **row)
        await tx.run(put, **{**row, "type": "u"})

    await db.write(unit)
    assert await db.read(reading(BY_HASH, hashes=[b"1"])) == [("!r",)]


async def test_many(db: Database) -> None:
    async def unit(tx: WriteTransaction) -> None:
        await tx.many(INSERT, [])
        await tx.many(
            INSERT, [thing(f"{n}", n, bytes([n % 256]), None if n % 2 else "😀") for n in range(1000)]
        )
        await tx.many(PUT, [thing(f"{n}", n, b"new") for n in range(500)])
        await tx.many(PUT, [thing("0", n, b"last of a repeated key") for n in range(3)])
        await tx.many(ADD, [thing(f"{n}", 0, b"kept out") for n in (1, 1, 2, 2)])
        await tx.many(SET_NUMBER, [{"key": f"{n}", "to": -n} for n in (998, 999)])
        await tx.many(DELETE, [{"id": "3"}, {"id": "4"}])

    await db.write(unit)

    assert await db.read(reading(COUNT)) == [(998,)]
    assert await db.read(reading(GET, id="0")) == [(2, b"last of a repeated key", None)]
    assert await db.read(reading(GET, id="1")) == [(1, b"new", None)]
    assert await db.read(reading(GET, id="600")) == [(600, bytes([600 % 256]), "😀")]
    assert await db.read(reading(GET, id="999")) == [(-999, bytes([999 % 256]), None)]


async def test_many_that_share_values(db: Database) -> None:
    await db.write(lambda tx: tx.many(INSERT_PLAIN, [{"id": "a", "body": b"!"}]))
    await db.write(lambda tx: tx.many(INSERT_PLAIN, [{"id": name, "body": b"!"} for name in "bc"]))

    rows = await db.read(reading(Statement(select(things).order_by(things.c.id))))
    assert rows == [(name, 7, b"!", name, 1) for name in "abc"]


@pytest.mark.parametrize("names", [["a"], ["c", "a"], ["a", "b", "a"]])
async def test_many_rows_are_updated(db: Database, names: list[str]) -> None:
    await db.write(lambda tx: tx.many(INSERT, [thing(name, 0, b"", "n") for name in "abc"]))

    moved = [{"id": name, "number": at, "body": b"%d" % at} for at, name in enumerate(names, 1)]
    await db.write(lambda tx: tx.many(MOVE, moved))

    numbers = {name: at for at, name in enumerate(names, 1)}
    for name in "abc":
        at = numbers.get(name, 0)
        assert await db.read(reading(GET, id=name)) == [(at, b"%d" % at if at else b"", "n")]


async def test_a_unit_reads_what_it_wrote_with_many(db: Database) -> None:
    async def unit(tx: WriteTransaction) -> list[Any]:
        seen: list[Any] = []
        await tx.many(INSERT, [thing("a", 1)])
        seen.append(await tx.value(COUNT))
        await tx.many(INSERT, [thing("b", 2)])
        await tx.many(SET_NUMBER, [{"key": "b", "to": 3}])
        seen.append(await tx.run(SET_NUMBER, key="b", to=4))
        await tx.many(DELETE, [{"id": "a"}])
        seen.extend(tuple(row) for row in await tx.all(NUMBERS))
        return seen

    assert await db.write(unit) == [1, 1, (4,)]


async def test_an_error_of_many_is_its_own_callers(db: Database) -> None:
    await db.write(inserting("there"))

    def adding(id: str) -> Callable[[WriteTransaction], Awaitable[str]]:
        async def unit(tx: WriteTransaction) -> str:
            await tx.many(INSERT, [thing(id)])
            return id

        return unit

    outcomes = await asyncio.gather(
        *(db.write(adding(id)) for id in ("a", "there", "b")), return_exceptions=True
    )

    assert outcomes[0] == "a"
    assert isinstance(outcomes[1], UniqueViolation)
    assert outcomes[2] == "b"
    assert await db.read(reading(COUNT)) == [(3,)]


async def test_many_with_a_key_that_is_there_writes_nothing(db: Database) -> None:
    async def unit(tx: WriteTransaction) -> None:
        await tx.many(INSERT, [thing("a"), thing("b"), thing("a")])

    with pytest.raises(UniqueViolation):
        await db.write(unit)
    assert await db.read(reading(IDS)) == []


async def test_lists_as_parameters(db: Database) -> None:
    hashes = [bytes([n % 256, n // 256, 0, 39, 92]) for n in range(1000)]

    async def unit(tx: WriteTransaction) -> None:
        await tx.many(INSERT, [thing(f"'{n}\\%s", n) for n in range(1000)])
        await tx.many(
            INSERT_KEYS,
            [{"hash": h, "room_id": f"{n:04}", "type": "t", "state_key": ""} for n, h in enumerate(hashes)],
        )

    await db.write(unit)

    assert await db.read(reading(BY_ID, ids=["'7\\%s", "absent", "'3\\%s", "'3\\%s"])) == [
        ("'3\\%s",),
        ("'7\\%s",),
    ]
    assert await db.read(reading(BY_NUMBER, numbers=[5, -1, 2])) == [("'2\\%s",), ("'5\\%s",)]
    assert await db.read(reading(BY_HASH, hashes=[hashes[2], b"", hashes[999]])) == [("0002",), ("0999",)]
    assert len(await db.read(reading(BY_ID, ids=[f"'{n}\\%s" for n in range(1000)]))) == 1000
    assert len(await db.read(reading(BY_NUMBER, numbers=list(range(1000))))) == 1000
    assert len(await db.read(reading(BY_HASH, hashes=hashes))) == 1000
    for statement, name in ((BY_ID, "ids"), (BY_NUMBER, "numbers"), (BY_HASH, "hashes")):
        assert await db.read(reading(statement, **{name: []})) == []


async def test_a_longer_value_in_a_list_is_not_cut_to_match(db: Database) -> None:
    await db.write(inserting("x" * 255))

    assert await db.read(reading(BY_ID, ids=["x" * 256])) == []
    assert await db.read(reading(BY_ID, ids=["x" * 255])) == [("x" * 255,)]


async def test_a_parameter_may_occur_twice(db: Database) -> None:
    await db.write(inserting("a"))

    assert await db.read(reading(TWICE, id="a")) == [("a",)]


@pytest.mark.parametrize(
    "alike",
    ["a|A", "a|a ", "e\u0301|é", "| ", "ß|ss", "😀|😁", "a|a\u200b", "ａ|a"],
)
async def test_text_differs_where_its_bytes_do(db: Database, alike: str) -> None:
    pair = alike.split("|")
    for n, id in enumerate(pair):
        await db.write(inserting(id, n))

    for n, id in enumerate(pair):
        assert await db.read(reading(GET, id=id)) == [(n, b"", None)]
        assert await db.read(reading(BY_ID, ids=[id])) == [(id,)]


async def test_text_sorts_by_its_bytes(db: Database) -> None:
    texts = ["", " ", "!a", "A", "B", "a", "a ", "a!", "b", "é", "ａ", "😀"]
    by_id = Statement(select(things.c.id).order_by(things.c.id))
    by_note = Statement(
        select(things.c.note).where(things.c.note > bindparam("above")).order_by(things.c.note)
    )

    async def unit(tx: WriteTransaction) -> None:
        await tx.many(INSERT, [thing(id, note=id) for id in reversed(texts)])

    await db.write(unit)

    assert await db.read(reading(by_id)) == [(id,) for id in texts]
    assert await db.read(reading(by_note, above="B")) == [(id,) for id in texts if id > "B"]


async def test_keys_of_255_bytes_and_three_of_them_in_one_index(db: Database) -> None:
    row = {"hash": b"\xff" * 32, "room_id": "!" + "r" * 254, "type": "é" * 127, "state_key": "@" + "s" * 254}

    async def unit(tx: WriteTransaction) -> None:
        await tx.run(INSERT_KEYS, **row)

    await db.write(unit)
    assert await db.read(reading(BY_HASH, hashes=[b"\xff" * 32])) == [(row["room_id"],)]
    with pytest.raises(UniqueViolation):
        await db.write(unit)


async def test_large_values(db: Database) -> None:
    body, note = os.urandom(3_000_000), "é" * 1_000_000

    async def unit(tx: WriteTransaction) -> None:
        await tx.run(INSERT, **thing("large", 1, body, note))

    await db.write(unit)
    assert await db.read(reading(GET, id="large")) == [(1, body, note)]


@pytest.mark.parametrize("bad", [thing("\ud800"), thing("a", 2**63), thing("a", note="\udfff")])
async def test_what_no_column_holds_is_a_bad_value(db: Database, bad: dict[str, Any]) -> None:
    async def unit(tx: WriteTransaction) -> None:
        await tx.run(INSERT, **bad)

    with pytest.raises(BadValue):
        await db.write(unit)


async def test_nul_in_text_is_a_bad_value(db: Database) -> None:
    async def unit(tx: WriteTransaction) -> None:
        await tx.run(INSERT, **thing("a\0b"))

    async def many(tx: WriteTransaction) -> None:
        await tx.many(INSERT, [thing("a"), thing("a\0b")])

    for writing in (unit, many):
        with pytest.raises(BadValue):
            await db.write(writing)
    with pytest.raises(BadValue):
        await db.read(reading(BY_ID, ids=["a", "a\0b"]))
    await db.write(inserting("\\u0000"))
    assert await db.read(reading(BY_ID, ids=["\\u0000"])) == [("\\u0000",)]


async def test_a_read_cannot_write(db: Database) -> None:
    async def unit(tx: Any) -> None:
        await tx.run(INSERT, **thing("a"))

    with pytest.raises(DatabaseError):
        await db.read(unit)


async def test_reads_run_side_by_side(db: Database) -> None:
    await db.write(inserting("a", 1))

    rows = await asyncio.gather(*(db.read(reading(GET, id="a")) for _ in range(100)))

    assert rows == [[(1, b"", None)]] * 100


async def test_positions_of_one_unit_are_consecutive(db: Database) -> None:
    async def unit(tx: WriteTransaction) -> tuple[int, int, int]:
        return await tx.positions(3), await tx.positions(), await tx.positions(100)

    first, second, third = await db.write(unit)
    current = await db.read(reading(CURRENT))
    again, _, _ = await db.write(unit)

    assert first >= 1
    assert second >= first + 3
    assert third >= second + 1
    assert current[0][0] >= third + 99
    assert again > current[0][0]


async def test_a_unit_that_is_rolled_back_takes_no_positions_visibly(db: Database) -> None:
    async def unit(tx: WriteTransaction) -> None:
        await tx.positions(5)
        raise LookupError

    with pytest.raises(LookupError):
        await db.write(unit)
    assert await db.read(reading(CURRENT)) == [(0,)]


async def test_positions_become_visible_in_order_whoever_writes(db: Database, connect: Connect) -> None:
    writers = [await connect() for _ in range(3)]
    done = False
    seen: list[int] = []

    async def writing(tx: WriteTransaction) -> None:
        first = await tx.positions(2)
        await tx.many(INSERT, [thing(f"{n}", n) for n in (first, first + 1)])

    async def looking(tx: Transaction) -> tuple[int, list[int]]:
        until = await tx.value(CURRENT)
        return until, [number for (number,) in await tx.all(NUMBERS)]

    async def watch() -> None:
        while not done:
            until, numbers = await db.read(looking)
            settled = [number for number in numbers if number <= until]
            assert seen == settled[: len(seen)], "a position appeared before one that had been seen"
            seen[:] = settled
            await asyncio.sleep(0)

    watcher = asyncio.create_task(watch())
    await asyncio.gather(*(writer.write(writing) for writer in writers for _ in range(100)))
    done = True
    await watcher

    _, numbers = await db.read(looking)
    assert len(numbers) == len(set(numbers)) == 600


async def test_writers_of_several_processes_lose_no_update(db: Database, connect: Connect) -> None:
    add_one = Statement(update(things).where(things.c.id == "a").values(number=things.c.number + 1))
    await db.write(inserting("a"))
    writers = [await connect() for _ in range(3)]

    async def unit(tx: WriteTransaction) -> None:
        assert await tx.run(add_one) == 1

    await asyncio.gather(*(writer.write(unit) for writer in writers for _ in range(50)))

    assert await db.read(reading(GET, id="a")) == [(150, b"", None)]


async def test_a_deadlock_is_resolved_by_running_again(db: Database, connect: Connect, backend: str) -> None:
    if backend == "sqlite":
        pytest.skip("there is one writer")
    other = await connect()
    await db.write(inserting("a"))
    await db.write(inserting("b"))
    begun: list[str] = []
    both = asyncio.Event()

    def locking(first: str, second: str) -> Callable[[WriteTransaction], Awaitable[None]]:
        async def unit(tx: WriteTransaction) -> None:
            await tx.run(SET_NUMBER, key=first, to=1)
            begun.append(first)
            if len(begun) == 2:
                both.set()
            await until(both, tx)
            await tx.run(SET_NUMBER, key=second, to=2)

        return unit

    async with asyncio.timeout(10):
        await asyncio.gather(db.write(locking("a", "b")), other.write(locking("b", "a")))
    assert len(begun) > 2


async def test_topics_are_told_after_the_commit(db: Database) -> None:
    heard: list[Commit] = []
    db.listen(heard.append)

    async def tells(tx: WriteTransaction) -> None:
        tx.notify(topics.ROOM, "!a")
        tx.notify(topics.ROOM, "!a", "!b")
        tx.notify(topics.USER, "@b")
        tx.notify(topics.READ)
        await tx.positions()

    async def fails(tx: WriteTransaction) -> None:
        tx.notify(topics.ROOM, "!never")
        raise LookupError

    await db.write(tells)
    with pytest.raises(LookupError):
        await db.write(fails)

    current = await db.read(reading(CURRENT))
    told = {topics.ROOM: {"!a", "!b"}, topics.USER: {"@b"}}
    assert heard == [Commit(position=current[0][0], topics=told)]
    await db.write(tells)
    assert heard[1].since == heard[0].position


async def test_a_unit_is_told_of_its_commit_before_anyone_else_goes_on(db: Database) -> None:
    order: list[str] = []
    loop = asyncio.get_running_loop()
    heard = asyncio.Event()
    db.listen(lambda commit: heard.set())

    async def waits() -> None:
        await heard.wait()
        order.append("waiter")

    async def tells(tx: WriteTransaction) -> None:
        first = await tx.positions()

        def told(position: int) -> None:
            assert position >= first
            order.append("callback" if asyncio.get_running_loop() is loop else "elsewhere")

        tx.on_commit(told)

    async def fails(tx: WriteTransaction) -> None:
        tx.on_commit(lambda _: order.append("never"))
        raise LookupError

    waiter = asyncio.create_task(waits())
    await db.write(tells)
    order.append("writer")
    await waiter
    with pytest.raises(LookupError):
        await db.write(fails)
    assert order[0] == "callback"
    assert sorted(order) == ["callback", "waiter", "writer"]


async def test_whoever_notifies_takes_a_position(db: Database) -> None:
    commits: list[Commit] = []
    db.listen(commits.append)

    async def notifies(tx: WriteTransaction) -> None:
        tx.notify(topics.SESSION, "@a")

    async def keeps_quiet(tx: WriteTransaction) -> None:
        tx.notify(topics.SESSION)
        await tx.one(CURRENT)

    before = await db.read(lambda tx: tx.value(CURRENT))
    await db.write(notifies)
    await db.write(keeps_quiet)
    assert await db.read(lambda tx: tx.value(CURRENT)) == commits[0].position > commits[0].since == before
    assert commits[1] == Commit(position=0, topics={})


async def test_a_transaction_knows_what_came_before_it(db: Database) -> None:
    async def unit(tx: WriteTransaction) -> tuple[int, int, int]:
        before = tx.since
        await tx.positions(2)
        since = tx.since
        await tx.positions(100)
        assert tx.since == since
        return before, since, (await tx.all(CURRENT))[0][0]

    before, since, _ = await db.write(unit)
    assert (before, since) == (0, 0)
    visible = (await db.read(reading(CURRENT)))[0][0]
    assert (await db.write(unit))[1] == visible


async def test_a_lost_connection_is_made_again(db: Database, backend: str, database_url: str) -> None:
    if backend == "sqlite":
        pytest.skip("there is no connection to lose")
    await db.write(inserting("a"))
    await db.read(reading(IDS))
    kill = (
        "SELECT pg_terminate_backend(pid) FROM pg_stat_activity"
        " WHERE pid <> pg_backend_pid() AND datname = current_database()"
        if backend == "postgresql"
        else "SELECT id FROM information_schema.processlist WHERE id <> connection_id() AND db = database()"
    )

    def kill_all(connection: Any) -> None:
        rows = connection.exec_driver_sql(kill).fetchall()
        if backend == "mysql":
            for (id,) in rows:
                connection.exec_driver_sql(f"KILL {id}")

    await asyncio.to_thread(on_connection, database_url, kill_all)
    await db.write(inserting("b", 1))
    assert await db.read(reading(IDS)) == [("a",), ("b",)]


async def test_an_absent_server_is_unreachable(backend: str) -> None:
    if backend == "sqlite":
        pytest.skip("there is no server")
    database = Database(create_engine(f"{backend}://nobody@127.0.0.1:9/none"))

    with pytest.raises(Unreachable):
        await database.open()


def test_an_unknown_scheme_is_refused() -> None:
    for url in ("oracle://x/y", "sqlite://host/path", "sqlite:///"):
        with pytest.raises(ValueError, match=r"scheme|SQLite"):
            create_engine(url)


WRITER = """
import asyncio, sys
from palpo.db.connect import create_engine
from palpo.db.engine import Database
from palpo.streams import topics

async def main():
    database = Database(create_engine(sys.argv[1]))
    await database.open()
    while True:
        async def unit(tx):
            return await tx.positions()
        print(await database.write(unit), flush=True)

asyncio.run(main())
"""


def test_what_was_acknowledged_outlives_sigkill(servers: Any, tmp_path: Path) -> None:
    """SQLite, where the process is the server."""
    path = tmp_path / "killed.db"
    path.write_bytes(servers.sqlite_template().read_bytes())
    process = subprocess.Popen(
        [sys.executable, "-c", WRITER, f"sqlite:///{path}"], stdout=subprocess.PIPE, text=True
    )
    assert process.stdout is not None
    for _ in range(50):
        acknowledged = int(process.stdout.readline())
    process.send_signal(signal.SIGKILL)
    acknowledged = max([acknowledged, *(int(line) for line in process.stdout if line.endswith("\n"))])
    process.stdout.close()
    process.wait()

    def position(connection: Any) -> int:
        return int(connection.exec_driver_sql("SELECT position FROM stream_position").scalar())

    assert on_connection(f"sqlite:///{path}", position) >= acknowledged
