"""Tasks that share one fate: the first that fails ends the others."""

from __future__ import annotations

from asyncio import TaskGroup
from collections.abc import AsyncIterator, Coroutine, Iterable
from contextlib import asynccontextmanager
from typing import Any, TypeVar

T = TypeVar("T")


@asynccontextmanager
async def task_group() -> AsyncIterator[TaskGroup]:
    """A ``TaskGroup`` that raises what failed first as it is, for callers that know it by its type."""
    try:
        async with TaskGroup() as group:
            yield group
    except BaseExceptionGroup as failed:
        raise failed.exceptions[0] from None


async def together(work: Iterable[Coroutine[Any, Any, T]]) -> list[T]:
    """What each has come to, in order; the first that fails ends the others, and is raised."""
    work = list(work)
    if len(work) == 1:
        return [await work[0]]
    async with task_group() as group:
        tasks = [group.create_task(item) for item in work]
    return [task.result() for task in tasks]
