"""Tasks that share one fate."""

from __future__ import annotations

import asyncio

import pytest

from palpo.core.errors import NotFound
from palpo.streams.task_group import task_group, together


async def test_together() -> None:
    assert await together(asyncio.sleep(0, number) for number in range(3)) == [0, 1, 2]
    assert await together([]) == []


async def test_results() -> None:
    async with task_group() as group:
        tasks = [group.create_task(asyncio.sleep(0, number)) for number in range(3)]
    assert [task.result() for task in tasks] == [0, 1, 2]


async def test_a_failure_ends_the_others_and_is_raised_as_it_is() -> None:
    ended: list[str] = []

    async def forever() -> None:
        try:
            await asyncio.Event().wait()
        finally:
            ended.append("forever")

    async def failing() -> None:
        await asyncio.sleep(0)
        raise NotFound("gone")

    async def both() -> None:
        async with task_group() as group:
            group.create_task(forever())
            group.create_task(failing())

    with pytest.raises(NotFound, match="gone"):
        await both()
    assert ended == ["forever"]


async def test_who_is_cancelled_ends_them_too() -> None:
    began, ended = asyncio.Event(), asyncio.Event()

    async def forever() -> None:
        try:
            began.set()
            await asyncio.Event().wait()
        finally:
            ended.set()

    async def both() -> None:
        async with task_group() as group:
            group.create_task(forever())

    task = asyncio.create_task(both())
    await began.wait()
    task.cancel()
    with pytest.raises(asyncio.CancelledError):
        await task
    assert ended.is_set()
