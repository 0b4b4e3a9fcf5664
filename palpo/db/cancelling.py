"""Cancellations, which a library may lose."""

from __future__ import annotations

import asyncio
from collections.abc import Iterable, Iterator
from contextlib import contextmanager
from typing import Any

AGAIN_S = 2.0
"""After how long a task that goes on is cancelled again."""


@contextmanager
def still_cancelled() -> Iterator[None]:
    """Raise CancelledError if the task was cancelled in the block, whatever the block has made of it.

    ``asyncio.wait_for``, which drivers use, returns what it waited for where that is there at the moment of
    the cancellation (Python 3.11): the task would go on, and whoever has cancelled it wait for ever.
    """
    task = asyncio.current_task()
    before = 0 if task is None else task.cancelling()
    yield
    if task is not None and task.cancelling() > before:
        raise asyncio.CancelledError


async def end(tasks: Iterable[asyncio.Task[Any]]) -> None:
    """Cancel tasks, those that go on again and again, and wait until all have ended, however they did."""
    going_on = set(tasks)
    while going_on:
        for task in going_on:
            task.cancel()
        ended, going_on = await asyncio.wait(going_on, timeout=AGAIN_S)
        for task in ended:
            if not task.cancelled():
                task.exception()  # It is known now, and nobody is told of it.
