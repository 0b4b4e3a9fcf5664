"""A unit of work awaits nothing but its transaction, on every database and for reading too."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable
from typing import Any

import pytest
from sqlalchemy import bindparam, select

from palpo.db.engine import Database
from palpo.db.errors import ParameterError, UnitError
from palpo.db.position import CURRENT
from palpo.db.statements import Statement, insert_row
from palpo.db.tables.server_meta import server_meta
from palpo.db.tables.stream_position import stream_position

Elsewhere = Callable[[Database, Any], Awaitable[object]]
COUNT = Statement(select(stream_position.c.position).where(stream_position.c.id == bindparam("id")))
INSERT = insert_row(server_meta)


@pytest.fixture(params=["read", "write"])
def run(request: pytest.FixtureRequest, database: Database) -> Callable[[Any], Awaitable[Any]]:
    """``db.read`` and ``db.write``."""
    method: Callable[[Any], Awaitable[Any]] = getattr(database, request.param)
    return method


async def turn(db: Database, tx: Any) -> None:
    await asyncio.sleep(0)


async def timer(db: Database, tx: Any) -> None:
    await asyncio.sleep(0.001)


async def event(db: Database, tx: Any) -> None:
    await asyncio.Event().wait()


async def future(db: Database, tx: Any) -> None:
    await asyncio.Future()


async def task(db: Database, tx: Any) -> None:
    await asyncio.create_task(asyncio.sleep(0))


async def side_by_side(db: Database, tx: Any) -> None:
    await asyncio.gather(tx.value(CURRENT), tx.value(CURRENT))


@pytest.mark.filterwarnings("ignore:coroutine .* was never awaited")
@pytest.mark.parametrize("elsewhere", [turn, timer, event, future, task, side_by_side])
async def test_awaiting_anything_else_is_an_error(
    database: Database, run: Callable[[Any], Awaitable[Any]], elsewhere: Elsewhere
) -> None:
    went_on: list[bool] = []

    async def unit(tx: Any) -> None:
        await tx.value(CURRENT)
        await elsewhere(database, tx)
        went_on.append(True)

    with pytest.raises(UnitError, match=r"awaits nothing but its transaction: .*locals>\.unit awaits"):
        async with asyncio.timeout(5):
            await run(unit)
    assert went_on == []
    assert await run(lambda tx: tx.value(CURRENT)) == 0


async def test_so_is_what_others_wait_for_in_the_loop(run: Callable[[Any], Awaitable[Any]]) -> None:
    lock = asyncio.Lock()
    await lock.acquire()
    waiting = asyncio.create_task(lock.acquire())
    await asyncio.sleep(0)

    async def unit(tx: Any) -> None:
        await lock.acquire()

    with pytest.raises(UnitError):
        await run(unit)
    waiting.cancel()


@pytest.mark.parametrize("inner", ["read", "write"])
async def test_so_is_another_unit_within_one(
    database: Database, run: Callable[[Any], Awaitable[Any]], inner: str
) -> None:
    async def unit(tx: Any) -> Any:
        await tx.value(CURRENT)
        return await getattr(database, inner)(lambda tx: tx.value(CURRENT))

    with pytest.raises(UnitError, match=rf"its transaction: .*locals>\.unit calls db\.{inner}"):
        await run(unit)
    assert await run(lambda tx: tx.value(CURRENT)) == 0


async def test_what_was_written_before_is_taken_back(database: Database) -> None:
    async def unit(tx: Any) -> None:
        await tx.positions(7)
        await asyncio.sleep(0)

    with pytest.raises(UnitError):
        await database.write(unit)
    assert await database.read(lambda tx: tx.value(CURRENT)) == 0


async def test_no_other_unit_of_the_group_is_harmed(database: Database) -> None:
    async def bad(tx: Any) -> None:
        await asyncio.sleep(0)

    async def good(tx: Any) -> int:
        first: int = await tx.positions()
        return first

    outcomes = await asyncio.gather(
        *(database.write(unit) for unit in (good, bad, good)), return_exceptions=True
    )
    assert [type(outcome) for outcome in outcomes] == [int, UnitError, int]


async def test_a_task_that_a_unit_begins_is_not_within_it(database: Database) -> None:
    begun: list[asyncio.Task[Any]] = []

    def begin() -> None:
        begun.append(asyncio.ensure_future(database.read(lambda tx: tx.value(CURRENT))))

    async def unit(tx: Any) -> None:
        tx.on_commit(lambda position: begin())

    await database.write(unit)
    assert await begun[0] == 0


async def test_parameters_that_are_missing_or_too_many_are_named(
    run: Callable[[Any], Awaitable[Any]],
) -> None:
    with pytest.raises(ParameterError, match=r"parameters \['id'\] missing: SELECT stream_position"):
        await run(lambda tx: tx.value(COUNT))
    with pytest.raises(ParameterError, match=r"parameters \['key', 'other'\] too many: SELECT"):
        await run(lambda tx: tx.value(COUNT, id=1, other=2, key=3))
    with pytest.raises(ParameterError, match=r"\['id'\] missing, \['ID'\] too many: SELECT"):
        await run(lambda tx: tx.value(COUNT, ID=1))


async def test_so_are_those_of_a_row(database: Database) -> None:
    with pytest.raises(ParameterError, match=r"parameters \['value'\] missing: INSERT INTO server_meta"):
        await database.write(lambda tx: tx.many(INSERT, [{"name": "a"}]))
    with pytest.raises(ParameterError, match=r"parameters \['more'\] too many: INSERT INTO server_meta"):
        await database.write(lambda tx: tx.many(INSERT, [{"name": "a", "value": "b", "more": 1}]))
