"""Consumers of the stream, on every database: nothing is lost, and nothing is stored twice."""

from __future__ import annotations

import asyncio
import contextlib
import inspect
from collections.abc import AsyncIterator, Awaitable, Callable
from functools import partial
from itertools import repeat
from urllib.parse import urlsplit

import pytest
from sqlalchemy import bindparam, select
from structlog.testing import capture_logs

from palpo.db import consumers
from palpo.db.connect import create_engine
from palpo.db.engine import Database
from palpo.db.leases import Lease, acquire
from palpo.db.statements import Statement, insert_row
from palpo.db.tables.reports import reports
from palpo.db.topics import Kind
from palpo.db.transaction import Transaction, WriteTransaction
from palpo.streams import topics
from palpo.streams.clock import FakeClock
from palpo.streams.consumers import REMEMBER_EVERY, Consumer, Handler, Overtaken, Pauses, Progress, Window
from palpo.streams.leases import LeaseKeeper
from palpo.streams.polling import read_position
from palpo.streams.wakeups import Wakeups
from tests.support.line import Line

Connect = Callable[[], Awaitable[Database]]
BATCH = 3
HURRY = Pauses(first_s=0.01, longest_s=0.08, longest_away_s=0.02)

NAME = "copying"

_INSERT = insert_row(reports)
_NEXT = Statement(
    select(reports.c.position)
    .where(reports.c.position > bindparam("after"), reports.c.position <= bindparam("upto"))
    .order_by(reports.c.position)
    .limit(BATCH)
)
_COPIES = Statement(
    select(reports.c.position).where(reports.c.position < 0).order_by(reports.c.position.desc())
)


async def add(tx: WriteTransaction, position: int) -> None:
    """A row: what is in the stream has its position, the copy of it the same below 0."""
    row = dict.fromkeys(reports.columns.keys())
    await tx.run(_INSERT, **row | {"position": position, "reporter": "", "reason": "", "received_ts": 0})


async def eventually(condition: Callable[[], bool | Awaitable[bool]]) -> None:
    """Wait until it is so; raises TimeoutError after 20 seconds."""
    async with asyncio.timeout(20):
        for pause_s in repeat(0.01):
            so = condition()
            if so is True or (inspect.isawaitable(so) and await so):
                return
            await asyncio.sleep(pause_s)


class Copying(Handler):
    """Copies what comes into the stream. A copy that is made twice is a UniqueViolation."""

    def __init__(self, db: Database) -> None:
        self._db = db
        self.windows: list[Window] = []
        self.rests = 0
        self.stops = 0
        self.failures: list[Exception] = []
        """What goes wrong next, while a batch is stored."""
        self.batch = BATCH
        self.may_store = asyncio.Event()
        self.may_store.set()

    async def begin(self, tx: WriteTransaction) -> int:
        return 0

    async def handle(self, window: Window) -> Progress:
        self.windows.append(window)
        rows = await self._db.read(lambda tx: tx.all(_NEXT, after=window.after, upto=window.upto))
        positions = [row[0] for row in rows[: self.batch]]
        upto = positions[-1] if len(positions) == self.batch else window.upto
        failure = self.failures.pop(0) if self.failures else None

        async def write(tx: WriteTransaction) -> None:
            for position in positions:
                await add(tx, -position)
            if failure is not None:
                raise failure

        await self.may_store.wait()
        return Progress(upto=upto, write=write if positions or failure else None)

    async def rest(self) -> float:
        self.rests += 1
        return await super().rest()

    async def stop(self) -> None:
        self.stops += 1


class Process:
    """What one process has: a database, what it hears of it, and a consumer."""

    def __init__(self, db: Database, *kinds: Kind, apart_s: float = 0) -> None:
        self.db = db
        self.wakeups = Wakeups()
        self.copying = Copying(db)
        self.consumer = Consumer(
            NAME,
            self.copying,
            db,
            self.wakeups,
            gather_s=0.001,
            apart_s=apart_s,
            kinds=kinds,
            after_failure=HURRY,
        )

    async def start(self) -> None:
        self.db.listen(self.wakeups.on_commit)
        self.wakeups.start(await self.db.read(read_position))
        await self.consumer.prepare()

    async def send(self, count: int = 1, kind: Kind = topics.ROOM) -> None:
        """Put so much into the stream."""

        async def unit(tx: WriteTransaction) -> None:
            first = await tx.positions(count)
            for position in range(first, first + count):
                await add(tx, position)
            tx.notify(kind, "!room")

        await self.db.write(unit)

    async def stored(self) -> int | None:
        return await self.db.read(lambda tx: consumers.position_of(tx, NAME))

    async def copies(self) -> int:
        """How many there are; they are all that come first."""
        rows = await self.db.read(lambda tx: tx.all(_COPIES))
        everything = await self.db.read(lambda tx: all_positions(tx))
        assert [-row[0] for row in rows] == everything[: len(rows)]
        return len(rows)

    async def until(self, count: int) -> None:
        async def reached() -> bool:
            return await self.copies() >= count

        await eventually(reached)

    @contextlib.asynccontextmanager
    async def running(self) -> AsyncIterator[asyncio.Task[None]]:
        """As long as this is open, or until the task is cancelled, it follows."""
        keeper = LeaseKeeper(self.db, FakeClock(), holder=str(id(self)))
        task = asyncio.create_task(keeper.run(NAME, self.consumer.run))
        try:
            yield task
        finally:
            task.cancel()
            await asyncio.gather(task, return_exceptions=True)


async def all_positions(tx: Transaction) -> list[int]:
    found: list[int] = []
    while rows := await tx.all(_NEXT, after=found[-1] if found else 0, upto=2**62):
        found += [row[0] for row in rows]
    return found


@pytest.fixture
async def process(database: Database) -> Process:
    process = Process(database)
    await process.start()
    return process


async def test_everything_once_in_bounded_batches(process: Process) -> None:
    await process.send(2 * BATCH + 1)
    async with process.running():
        await process.until(2 * BATCH + 1)
        await process.send()
        await process.until(2 * BATCH + 2)  # A look without news would come too late.
        await eventually(lambda: process.consumer.position == process.wakeups.position)
        assert process.consumer.behind == 0
        assert await process.stored() == process.wakeups.position
    ends = [window.after for window in process.copying.windows]
    assert ends == sorted(ends)
    assert [window.anew for window in process.copying.windows].count(True) == 1
    assert process.copying.rests >= 2
    assert process.copying.stops == 1


async def test_only_some_kinds_wake_it(database: Database) -> None:
    process = Process(database, topics.HEAD)
    await process.start()
    async with process.running():
        await eventually(lambda: process.copying.rests > 0)
        await process.send(kind=topics.ROOM)
        await asyncio.sleep(0.1)
        assert await process.copies() == 0
        assert process.consumer.behind > 0
        await process.send(kind=topics.HEAD)
        await process.until(2)


async def test_what_comes_soon_after_the_last_is_handled_together(database: Database) -> None:
    process = Process(database, apart_s=1)
    await process.start()
    async with process.running():
        await eventually(lambda: process.copying.rests == 1)
        for _ in range(BATCH - 1):
            await process.send()
            await asyncio.sleep(0.02)
        assert await process.copies() == 0
        await process.until(BATCH - 1)
    assert len([window for window in process.copying.windows if window.after < window.upto]) == 1


async def test_a_handler_that_knows_of_more_is_asked(process: Process) -> None:
    async with process.running():
        await eventually(lambda: process.copying.rests == 1)
        process.consumer.wake()
        await eventually(lambda: process.copying.rests == 2)
    assert all(window.after == window.upto for window in process.copying.windows)


async def test_a_restart_goes_on_where_the_last_ended(process: Process, connect: Connect) -> None:
    async with process.running():
        await process.send(BATCH)
        await process.until(BATCH)
    await process.send(2)
    other = Process(await connect())
    await other.start()
    async with other.running():
        await other.until(BATCH + 2)
    assert other.copying.windows[0].after >= process.copying.windows[-1].after
    assert other.copying.windows[0].anew


async def test_what_fails_is_not_stored_and_tried_again(process: Process) -> None:
    process.copying.failures = [LookupError("broken") for _ in range(5)]
    with capture_logs() as lines:
        await process.send(BATCH)
        async with process.running():
            await process.until(BATCH)
            await eventually(lambda: process.copying.rests > 0)
            process.copying.failures = [LookupError("again")]
            await process.send()
            await process.until(BATCH + 1)
    said = [line for line in lines if line["event"] == "consumer_failed"]
    assert {line["log_level"] for line in said} == {"error"}
    assert {line["consumer"] for line in said} == {NAME}
    assert [line["position"] for line in said[:5]] == [0] * 5
    pauses = [line["retry_s"] for line in said]
    assert pauses[4] > 3 * pauses[0], "each pause is longer"
    assert pauses[5] < pauses[4] / 2, "and short again once it has worked"
    assert [window.anew for window in process.copying.windows[:6]] == [True] * 6


async def test_where_two_follow_one_stores_and_the_other_reads_anew(
    process: Process, connect: Connect
) -> None:
    other = Process(await connect())
    await other.start()
    await process.send(2 * BATCH)
    process.copying.may_store.clear()
    with capture_logs() as lines:
        async with process.running():
            await eventually(lambda: len(process.copying.windows) == 1)
            other.copying.batch = 1
            await other.consumer.catch_up(batches=1)
            assert await process.copies() == 1
            process.copying.may_store.set()
            await process.until(2 * BATCH)
    assert [window.anew for window in process.copying.windows[:3]] == [True, True, False]
    # It is of no interest to an operator; another test may have left logs at a level without it.
    assert all(line["log_level"] == "debug" for line in lines)


async def test_whoever_asks_catches_up_with_the_database(process: Process, connect: Connect) -> None:
    others = [Process(await connect()) for _ in range(3)]
    for other in others:
        await other.start()
    await process.send(2 * BATCH)  # None of the others hears of it.
    await others[0].consumer.catch_up(batches=1)
    assert await process.copies() == BATCH
    await asyncio.gather(*(one.consumer.catch_up(batches=10) for one in [process, *others] for _ in range(2)))
    assert await process.copies() == 2 * BATCH


async def test_a_handler_may_say_that_it_was_overtaken(process: Process) -> None:
    process.copying.failures = [Overtaken()]
    await process.send()
    await process.consumer.catch_up(batches=2)
    assert await process.copies() == 1
    assert [window.anew for window in process.copying.windows] == [True, True]


async def test_a_lost_lease_ends_it(process: Process) -> None:
    clock = FakeClock()

    async def taken(tx: WriteTransaction) -> Lease | None:
        return await acquire(tx, NAME, holder="b", now_ms=clock.now_ms(), until_ms=2**62)

    keeper = LeaseKeeper(process.db, clock, holder="a", duration_ms=300)
    task = asyncio.create_task(keeper.run(NAME, process.consumer.run))
    await process.send()
    await process.until(1)
    clock.advance(1000)
    async with asyncio.timeout(20):
        # It may have been renewed at the new time.
        while await process.db.write(taken) is None:
            clock.advance(1000)
        await eventually(lambda: process.copying.stops > 0)
    await process.send()
    await asyncio.sleep(0.1)
    assert await process.copies() == 1
    assert process.consumer.behind == 0, "another's"
    task.cancel()
    await asyncio.gather(task, return_exceptions=True)


async def test_the_gap_after_a_backup_was_put_back(process: Process) -> None:
    await process.send()
    await process.consumer.catch_up(batches=2)
    before = await process.stored()

    async def leap(tx: WriteTransaction) -> None:
        await tx.positions(2**40)
        tx.notify(topics.ROOM, "!room")

    await process.db.write(leap)
    async with process.running():
        await process.send()
        await process.until(2)
    assert (await process.stored() or 0) - (before or 0) > 2**40


async def test_where_there_is_nothing_to_write_its_position_is_stored_now_and_then(process: Process) -> None:
    await process.consumer.catch_up(batches=1)
    begun = await process.stored()

    async def quiet(count: int, tx: WriteTransaction) -> None:
        await tx.positions(count)

    await process.db.write(partial(quiet, REMEMBER_EVERY // 2))
    await process.consumer.catch_up(batches=1)
    assert await process.stored() == begun
    assert process.consumer.position >= REMEMBER_EVERY // 2
    await process.db.write(partial(quiet, REMEMBER_EVERY // 2))
    await process.consumer.catch_up(batches=1)
    assert await process.stored() == process.consumer.position >= REMEMBER_EVERY


@pytest.mark.parametrize(
    "backend",
    [pytest.param(name, marks=getattr(pytest.mark, name)) for name in ("postgresql", "mysql")],
    indirect=True,
)
async def test_a_database_that_goes_away_as_it_stores(database: Database, database_url: str) -> None:
    parts = urlsplit(database_url)
    line = Line(parts.hostname or "127.0.0.1", parts.port or 0)
    user = parts.netloc.rpartition("@")[0]
    far = Database(create_engine(parts._replace(netloc=f"{user}@127.0.0.1:{await line.start()}").geturl()))
    await far.open()
    process = Process(far)
    await process.start()
    with capture_logs() as lines:
        async with process.running():
            for word in (b"UPDATE consumers", b"COMMIT", b"COMMIT"):
                await process.send(BATCH)
                line.on_word = (word, line.cut)
                await asyncio.sleep(0.05)
            line.on_word = None
            await process.until(3 * BATCH)
    assert not [item for item in lines if item["event"] == "consumer_failed" and item["log_level"] != "debug"]
    line.cut()
    await far.close()
    await line.stop()
