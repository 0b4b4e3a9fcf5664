"""How reads from SQLite share the event loop and the threads: each user's in turn."""

from __future__ import annotations

from collections.abc import Callable
from contextvars import ContextVar
from typing import TypeVar

from palpo.streams.fair_queue import FairThreads
from palpo.streams.turns import Turns

T = TypeVar("T")

THREADS = 3
MAX_WAITING = 2000
MAX_WAITING_EACH = 200

_turns: ContextVar[Turns | None] = ContextVar("turns_of_reads", default=None)
"""Of the task, and of those that it begins."""


class FairReads:
    """What ``palpo.db.sqlite_reads.Sharing`` asks for."""

    def __init__(self) -> None:
        self.threads = FairThreads(
            "sqlite-reader", workers=THREADS, waiting=MAX_WAITING, waiting_each=MAX_WAITING_EACH
        )

    async def breathe(self) -> None:
        """Let others have their turn, if this task has held the loop for long."""
        turns = _turns.get()
        if turns is None:
            turns = Turns()
            _turns.set(turns)
        elif turns.due():
            await turns.wait()

    async def in_thread(self, work: Callable[[], T]) -> T:
        """What ``work`` returns, from a thread; raises LimitExceeded where too much waits."""
        return await self.threads.run(work)

    async def close(self) -> None:
        """End the threads."""
        await self.threads.close()
