"""Failures that are handed to whoever awaits a future, by the task that works for many."""

from __future__ import annotations

import asyncio
import traceback
from typing import Any, TypeVar

E = TypeVar("E", bound=BaseException)


def fail(future: asyncio.Future[Any], error: BaseException) -> None:
    """Have ``future`` raise ``error``, unless it has an outcome."""
    if not future.done():
        future.set_exception(error)
        # Who awaited it may be gone (a client has hung up, say), and then asyncio would log it.
        future.exception()


def detached(error: E) -> E:
    """``error`` without the variables of the frames that it came through; called where it was caught.

    They lead to the future in most cases, and from there to the error again: such a circle would keep a whole
    refused request in memory until the garbage collector comes by.
    """
    reached: BaseException | None = error
    while reached is not None:
        traceback.clear_frames(reached.__traceback__)
        reached = reached.__cause__ or reached.__context__
    if error.__traceback__ is not None:
        error.__traceback__ = error.__traceback__.tb_next  # The frame that has caught it is still needed.
    return error
