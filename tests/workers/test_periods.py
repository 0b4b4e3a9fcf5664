"""Work that is done now and then."""

from __future__ import annotations

import asyncio

import pytest

from palpo.db.errors import Unreachable
from palpo.workers.periods import now_and_then


async def test_work_that_fails_is_done_again() -> None:
    done: list[int] = []
    third = asyncio.Event()

    async def work() -> None:
        done.append(len(done))
        if len(done) == 1:
            raise Unreachable("the database is away")
        if len(done) == 3:
            third.set()

    task = asyncio.create_task(now_and_then(work, failed="work_failed", start_s=0, period_s=0, retry_s=3600))
    async with asyncio.timeout(20):
        await third.wait()
    task.cancel()
    with pytest.raises(asyncio.CancelledError):
        await task
    assert done[:3] == [0, 1, 2]


async def test_what_is_wrong_with_the_work_itself_is_not_swallowed() -> None:
    async def work() -> None:
        raise ZeroDivisionError

    with pytest.raises(ZeroDivisionError):
        await now_and_then(work, failed="work_failed", start_s=0, period_s=3600)
