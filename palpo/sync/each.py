"""The same work for many rooms, a few of them at once."""

from __future__ import annotations

from collections.abc import Awaitable, Callable, Sequence
from typing import TypeVar

from palpo.streams.task_group import task_group
from palpo.streams.turns import Turns

T = TypeVar("T")
R = TypeVar("R")

AT_ONCE = 8
"""Rooms that are read at the same time, where the database is another process."""


async def each(items: Sequence[T], work: Callable[[T], Awaitable[R]]) -> list[R]:
    """``work`` for each of ``items``; the results are in their order."""
    if not items:
        return []
    if len(items) == 1:
        return [await work(items[0])]
    turns = Turns()
    waiting = iter(enumerate(items))
    results: dict[int, R] = {}

    async def some() -> None:
        for number, item in waiting:
            await turns.breathe()
            results[number] = await work(item)

    async with task_group() as group:
        for _ in range(min(AT_ONCE, len(items))):
            group.create_task(some())
    return [results[number] for number in range(len(items))]
