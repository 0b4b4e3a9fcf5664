"""What waits is committed together, and each outcome goes to its own caller."""

from __future__ import annotations

import asyncio
import gc
from pathlib import Path
from typing import Any

import pytest

from palpo.db.engine import Commit, Committed, Database
from palpo.db.errors import DatabaseError, OutcomeUnknown, Retriable, Unreachable
from palpo.db.migrations.upgrade import upgrade
from palpo.db.sqlite import SqliteEngine
from palpo.db.transaction import WriteTransaction


class CountingEngine(SqliteEngine):
    """SQLite, remembering how many units each commit had, and failing where told to."""

    def __init__(self, path: Path) -> None:
        super().__init__(path)
        self.groups: list[int] = []
        self.failures: list[BaseException] = []

    async def commit(self, units: Any) -> Committed:
        self.groups.append(len(units))
        committed = await super().commit(units)
        if self.failures:
            raise self.failures.pop(0)
        return committed


@pytest.fixture
async def engine(tmp_path: Path) -> CountingEngine:
    await asyncio.to_thread(upgrade, f"sqlite:///{tmp_path / 'group.db'}")
    return CountingEngine(tmp_path / "group.db")


async def take(tx: WriteTransaction) -> int:
    return await tx.positions()


@pytest.mark.parametrize("error", [Unreachable("away"), DatabaseError("refused")])
async def test_a_failure_that_nobody_awaits_is_not_logged(
    engine: CountingEngine, error: DatabaseError
) -> None:
    told: list[dict[str, Any]] = []
    asyncio.get_running_loop().set_exception_handler(lambda _, context: told.append(context))
    database = Database(engine)
    await database.open()
    engine.failures = [error]
    task = asyncio.ensure_future(database.write(take))
    await asyncio.sleep(0)
    task.cancel()
    with pytest.raises(asyncio.CancelledError):
        await task
    await database.close()
    gc.collect()
    assert (told, engine.failures) == ([], [])


async def test_what_waits_is_one_group_up_to_the_bound(engine: CountingEngine) -> None:
    database = Database(engine, group_bound=10)
    await database.open()
    positions = await asyncio.gather(*(database.write(take) for _ in range(25)))
    await database.close()

    assert sorted(positions) == list(range(1, 26))
    assert engine.groups == [10, 10, 5]


async def test_a_commit_of_unknown_outcome_is_not_run_again(engine: CountingEngine) -> None:
    database = Database(engine)
    await database.open()
    engine.failures.append(OutcomeUnknown("the server went away"))
    outcomes = await asyncio.gather(*(database.write(take) for _ in range(3)), return_exceptions=True)

    assert [type(outcome) for outcome in outcomes] == [OutcomeUnknown] * 3
    assert engine.groups == [3]
    assert await database.write(take) == 4
    await database.close()


@pytest.mark.parametrize("count", [1, 3])
async def test_what_was_committed_is_not_run_again_where_a_listener_fails(
    engine: CountingEngine, count: int
) -> None:
    database = Database(engine)
    await database.open()

    def fails(commit: Commit) -> None:
        raise LookupError

    heard: list[Commit] = []
    database.listen(fails)
    database.listen(heard.append)
    positions = await asyncio.gather(*(database.write(take) for _ in range(count)))
    await database.close()

    assert positions == list(range(1, count + 1))
    assert engine.groups == [count]
    assert [commit.position for commit in heard] == [count]


async def test_nobody_is_left_waiting_where_the_writer_is_ended(engine: CountingEngine) -> None:
    database = Database(engine, group_bound=2)
    await database.open()
    engine.failures.append(asyncio.CancelledError())
    async with asyncio.timeout(5):
        outcomes = await asyncio.gather(*(database.write(take) for _ in range(5)), return_exceptions=True)

    assert [type(outcome) for outcome in outcomes] == [OutcomeUnknown] * 5
    with pytest.raises(DatabaseError, match="not open"):
        await database.write(take)
    await engine.close()


async def test_retries_end(engine: CountingEngine) -> None:
    database = Database(engine)
    await database.open()

    async def always(tx: WriteTransaction) -> None:
        raise Retriable("again")

    with pytest.raises(Retriable):
        await database.write(always)
    await database.close()
    assert engine.groups == [1] * 8


async def test_a_database_that_is_not_open_is_said_to_be(engine: CountingEngine) -> None:
    database = Database(engine)

    with pytest.raises(DatabaseError, match="not open"):
        await database.write(take)
    with pytest.raises(DatabaseError, match="not open"):
        await database.read(take)  # type: ignore[arg-type]
    await database.close()
