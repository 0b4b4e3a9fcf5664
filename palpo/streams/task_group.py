"""Tasks that share one fate: the first that fails ends the others."""

from __future__ import annotations

from asyncio import TaskGroup
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager


@asynccontextmanager
async def task_group() -> AsyncIterator[TaskGroup]:
    """A ``TaskGroup`` that raises what failed first as it is, for callers that know it by its type."""
    try:
        async with TaskGroup() as group:
            yield group
    except BaseExceptionGroup as failed:
        raise failed.exceptions[0] from None
