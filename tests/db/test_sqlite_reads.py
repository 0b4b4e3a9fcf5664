"""Reads that take long leave the event loop."""

from __future__ import annotations

import asyncio
import gc
import threading
import weakref
from collections.abc import AsyncIterator
from pathlib import Path
from typing import Any

import pytest
from sqlalchemy import func, literal, select, text

from palpo.db.engine import Database
from palpo.db.errors import DatabaseError
from palpo.db.sqlite import SqliteEngine
from palpo.db.statements import Statement
from palpo.db.transaction import Transaction
from palpo.streams.fair_queue import behalf
from palpo.streams.fair_reads import FairReads


def counting(rows: int) -> Statement:
    """A statement that counts so many rows, and takes as long."""
    numbers = select(literal(1).label("n")).cte("numbers", recursive=True)
    numbers = numbers.union_all(select(numbers.c.n + 1).where(numbers.c.n < rows))
    return Statement(select(func.count()).select_from(numbers))


SHORT, LONG = counting(10), counting(500_000)
MISSING = Statement(select(text("1")).select_from(text("nowhere")))


@pytest.fixture
async def database(tmp_path: Path) -> AsyncIterator[Database]:
    made = Database(SqliteEngine(tmp_path / "x.db", sharing=FairReads()))
    await made.open()
    yield made
    await made.close()


def threads_used(seen: list[int]) -> Any:
    async def unit(tx: Transaction) -> int:
        seen.append(threading.get_ident())
        count: int = await tx.value(LONG)
        return count

    return unit


async def test_a_short_read_stays_on_the_loop(database: Database) -> None:
    assert await database.read(lambda tx: tx.value(SHORT)) == 10
    assert database.engine.reads.in_threads == 0  # type: ignore[attr-defined]


async def test_a_long_statement_goes_on_in_a_thread(database: Database) -> None:
    seen: list[int] = []
    assert await database.read(threads_used(seen)) == 500_000
    assert seen[0] == threading.get_ident() != seen[-1]
    # The loop's own connection is as it was.
    assert await database.read(lambda tx: tx.value(SHORT)) == 10


async def test_so_does_a_unit_of_many_statements(database: Database) -> None:
    some = counting(20_000)

    async def unit(tx: Transaction) -> int:
        return sum([await tx.value(some) for _ in range(200)])

    assert await database.read(unit) == 200 * 20_000
    assert database.engine.reads.in_threads == 1  # type: ignore[attr-defined]


async def test_others_are_answered_meanwhile(database: Database) -> None:
    long = [asyncio.ensure_future(database.read(threads_used([]))) for _ in range(5)]
    answered = 0
    while not all(task.done() for task in long):
        assert await database.read(lambda tx: tx.value(SHORT)) == 10
        await asyncio.sleep(0)
        answered += 1
    assert answered > 5
    assert [task.result() for task in long] == [500_000] * 5


async def test_one_users_reads_leave_threads_to_others(database: Database) -> None:
    ended: list[str] = []

    async def read(user: str) -> None:
        behalf.set(user)
        await database.read(threads_used([]))
        ended.append(user)

    await asyncio.gather(*map(read, "aaaaaaaaab"))
    assert ended[-1] == "a", "who came last is not served last"


async def test_an_error_is_the_callers_wherever_it_is_found(database: Database) -> None:
    async def unit(tx: Transaction) -> None:
        await tx.value(LONG)
        await tx.value(MISSING)

    with pytest.raises(DatabaseError, match="nowhere"):
        await database.read(unit)
    with pytest.raises(ZeroDivisionError):
        await database.read(_divides)
    assert await database.read(lambda tx: tx.value(SHORT)) == 10


async def _divides(tx: Transaction) -> float:
    return await tx.value(SHORT) / 0


async def test_nothing_of_a_read_that_failed_is_kept(database: Database) -> None:
    class Large:
        """What a request has in memory."""

    large = Large()
    gone = weakref.ref(large)

    async def unit(tx: Transaction, large: Large = large) -> object:
        return await tx.value(MISSING)

    with pytest.raises(DatabaseError):
        await database.read(unit)
    del large, unit
    gc.collect()
    assert gone() is None
