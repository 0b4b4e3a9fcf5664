"""Awaiting what is mostly there already, without what waiting costs."""

from __future__ import annotations

import asyncio
import types
from collections.abc import Awaitable, Generator
from typing import Any, TypeVar

T = TypeVar("T")


async def within(seconds: float, awaitable: Awaitable[T]) -> T:
    """What ``awaitable`` gives; raises TimeoutError where that takes longer than ``seconds``.

    A timer costs several microseconds, so it is only made once there is something to wait for.
    """
    steps = awaitable.__await__()
    try:
        awaited = next(steps)
    except StopIteration as done:
        result: T = done.value
        return result
    async with asyncio.timeout(seconds):
        return await _rest(steps, awaited)


@types.coroutine
def _rest(steps: Generator[Any, Any, T], awaited: Any) -> Generator[Any, Any, T]:
    """What ``steps`` give in the end, which wait for ``awaited`` now."""
    while True:
        try:
            step, argument = steps.send, (yield awaited)
        except BaseException as error:  # noqa: BLE001 - it is theirs
            step, argument = steps.throw, error
        try:
            awaited = step(argument)
        except StopIteration as done:
            result: T = done.value
            return result
