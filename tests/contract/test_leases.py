"""Leases and consumers, on every database."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable
from functools import partial
from typing import Any

import pytest

from palpo.db import consumers
from palpo.db.engine import Database
from palpo.db.leases import Lease, acquire, held, holder_of, release, renew
from palpo.db.migrations.start import take_over
from palpo.streams.clock import FakeClock, SystemClock
from palpo.streams.leases import LeaseKeeper, all_run_out

Connect = Callable[[], Awaitable[Database]]


async def take(database: Database, name: str, holder: str, now_ms: int, until_ms: int) -> Lease | None:
    return await database.write(lambda tx: acquire(tx, name, holder=holder, now_ms=now_ms, until_ms=until_ms))


async def keep(database: Database, lease: Lease, now_ms: int, until_ms: int) -> Lease | None:
    return await database.write(lambda tx: renew(tx, lease, now_ms=now_ms, until_ms=until_ms))


async def test_in_a_copy_of_a_database_nobody_holds_anything(
    database: Database, backend: str, database_url: str
) -> None:
    holders = {
        "here": holder_of("a", database_url),
        "original": holder_of("b", "mysql://u@h/of_the_original"),
        "older": "c",
    }
    for name, holder in holders.items():
        await take(database, name, holder, 1000, 9000)
    await asyncio.to_thread(take_over, database_url)
    left = await database.read(lambda tx: held(tx, now_ms=1000))
    assert set(left) == (set() if backend == "sqlite" else {"here", "older"})


async def test_one_holder_at_a_time(database: Database) -> None:
    clock = FakeClock(1000)

    async def taken(holder: str) -> Lease | None:
        now_ms = clock.now_ms()
        return await take(database, "sender:1", holder, now_ms, now_ms + 100)

    first = await taken("a")
    assert first == Lease(name="sender:1", holder="a", fence=1, until_ms=1100)
    assert await taken("b") is None
    clock.advance(50)
    assert await taken("a") == Lease(name="sender:1", holder="a", fence=1, until_ms=1150)
    clock.advance(99)
    assert await taken("b") is None
    clock.advance(1)
    second = await taken("b")
    assert second == Lease(name="sender:1", holder="b", fence=2, until_ms=1250)
    assert await keep(database, first, 1150, 9999) is None
    assert await database.write(partial(release, lease=first)) is False
    assert await keep(database, second, 1249, 1300) is not None
    assert await database.write(partial(release, lease=second)) is True
    assert await taken("c") == Lease(name="sender:1", holder="c", fence=3, until_ms=1250)


async def test_whether_anybody_works(database: Database) -> None:
    """A process that was killed leaves leases that run out, one that works renews them."""
    clock = SystemClock()
    assert await all_run_out(database, clock)
    assert await take(database, "left", "killed", clock.now_ms(), clock.now_ms() + 1500)
    assert await all_run_out(database, clock)
    started = asyncio.Event()

    async def work(lease: Lease) -> None:
        started.set()
        await asyncio.Event().wait()

    keeper = LeaseKeeper(database, clock, holder="a", duration_ms=3000)
    working = asyncio.ensure_future(keeper.run("x", work))
    await started.wait()
    assert not await all_run_out(database, clock)
    working.cancel()
    await asyncio.gather(working, return_exceptions=True)
    assert await all_run_out(database, clock)


async def test_a_lease_that_ran_out_is_not_renewed(database: Database) -> None:
    lease = await take(database, "x", "a", 0, 10)
    assert lease is not None

    assert await keep(database, lease, 10, 20) is None
    again = await take(database, "x", "a", 10, 20)
    assert again == Lease(name="x", holder="a", fence=2, until_ms=20)


async def test_of_several_processes_one_gets_it(database: Database, connect: Connect) -> None:
    others = [database, *[await connect() for _ in range(3)]]

    for turn in range(5):
        outcomes = await asyncio.gather(
            *(take(other, f"x{turn}", f"p{n}", 0, 10) for n, other in enumerate(others) for _ in range(3))
        )
        assert len({lease.holder for lease in outcomes if lease is not None}) == 1


async def test_work_goes_to_the_next_when_its_holder_stops(database: Database) -> None:
    started = asyncio.Queue[str]()

    def keeper(holder: str) -> asyncio.Task[None]:
        async def work(lease: Lease) -> None:
            started.put_nowait(lease.holder)
            await asyncio.sleep(60)

        leases = LeaseKeeper(database, SystemClock(), holder=holder, duration_ms=1200)
        return asyncio.create_task(leases.run("work", work))

    tasks = [keeper("a"), keeper("b")]
    async with asyncio.timeout(10):
        first = await started.get()
        # Longer than the lease; a holder that could not renew it for two thirds of that would lose it.
        await asyncio.sleep(1.5)
        assert started.empty()
        tasks["ab".index(first)].cancel()
        second = await started.get()
    for task in tasks:
        task.cancel()
    await asyncio.gather(*tasks, return_exceptions=True)

    assert {first, second} == {"a", "b"}


async def test_work_that_fails_is_not_hidden(database: Database) -> None:
    async def work(lease: Lease) -> None:
        raise LookupError("broken")

    leases = LeaseKeeper(database, SystemClock(), holder="a", duration_ms=90)
    async with asyncio.timeout(10):
        with pytest.raises(LookupError):
            await leases.run("work", work)
    assert await take(database, "work", "b", 0, 1) is not None


async def test_a_consumer_moves_from_where_it_is(database: Database) -> None:
    async def moves(tx: Any) -> list[Any]:
        return [
            await consumers.position_of(tx, "pushers"),
            await consumers.register(tx, "pushers", position=5),
            await consumers.register(tx, "pushers", position=9),
            await consumers.advance(tx, "pushers", since=5, to=7),
            await consumers.advance(tx, "pushers", since=5, to=8),
            await consumers.position_of(tx, "pushers"),
        ]

    assert await database.write(moves) == [None, 5, 5, True, False, 7]
