"""Tasks end though a library loses a cancellation."""

from __future__ import annotations

import asyncio

import pytest

from palpo.db import cancelling
from palpo.db.cancelling import end, still_cancelled


async def deaf() -> None:
    """What ``asyncio.wait_for`` does where the result is there at the moment of the cancellation."""
    try:
        await asyncio.get_running_loop().create_future()
    except asyncio.CancelledError:
        return


async def test_a_cancellation_that_was_lost_is_raised() -> None:
    async def connect() -> None:
        with still_cancelled():
            await deaf()

    task = asyncio.create_task(connect())
    await asyncio.sleep(0)
    task.cancel()
    with pytest.raises(asyncio.CancelledError):
        await task


async def test_what_is_cancelled_before_goes_on() -> None:
    """Cleaning up, for example."""

    async def clean_up() -> str:
        await deaf()
        with still_cancelled():
            await asyncio.sleep(0)
        return "done"

    task = asyncio.create_task(clean_up())
    await asyncio.sleep(0)
    task.cancel()
    assert await task == "done"


async def test_a_time_that_runs_out_is_a_time_that_runs_out() -> None:
    async def connect() -> None:
        async with asyncio.timeout(0):
            with still_cancelled():
                await deaf()

    with pytest.raises(TimeoutError):
        await connect()


async def test_tasks_that_go_on_are_cancelled_again(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(cancelling, "AGAIN_S", 0.0)

    async def worker() -> None:
        for _ in range(3):
            await deaf()
        raise OSError("and fails")

    tasks = [asyncio.create_task(worker()), asyncio.create_task(asyncio.sleep(1000))]
    await asyncio.sleep(0)
    await end(tasks)
    assert all(task.done() for task in tasks)
    await end(())
