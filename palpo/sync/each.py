"""The same work for many rooms, a few of them at once."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable, Sequence
from typing import TypeVar

T = TypeVar("T")
R = TypeVar("R")

AT_ONCE = 8
"""Rooms that are read at the same time, where the database is another process."""


async def each(items: Sequence[T], work: Callable[[T], Awaitable[R]]) -> list[R]:
    """``work`` for each of ``items``; the results are in their order."""
    if len(items) == 1:
        return [await work(items[0])]
    slots = asyncio.Semaphore(AT_ONCE)

    async def one(item: T) -> R:
        async with slots:
            return await work(item)

    return await asyncio.gather(*map(one, items))
