"""What a transaction leaves behind, on every database."""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Callable, Sequence
from typing import Any

from palpo.db.engine import Commit, Committed
from palpo.db.errors import DatabaseError
from palpo.db.topics import Kind


class Effects(ABC):
    """The positions that a transaction has taken, and who is to be told of it once it is committed."""

    def __init__(self) -> None:
        self._topics: dict[Kind, set[str]] = {}
        self._callbacks: list[Callable[[int], None]] = []
        self.last_position = 0
        """The highest position that was taken, used or not; 0 if none."""
        self.since = 0
        """The position before the first that was taken, 0 if none was."""
        self.failure: DatabaseError | None = None
        """The first error of a statement, after which nothing may be committed."""

    @abstractmethod
    async def positions(self, count: int = 1) -> int: ...

    def notify(self, kind: Kind, *keys: str) -> None:
        if keys:
            self._topics.setdefault(kind, set()).update(keys)

    def on_commit(self, callback: Callable[[int], None]) -> None:
        self._callbacks.append(callback)

    async def finish(self) -> None:
        """Take a position if somebody is to be woken; raises what a unit caught."""
        if self._topics and not self.last_position and self.failure is None:
            await self.positions()
        if self.failure is not None:
            raise self.failure

    def committed(self, results: Sequence[Any]) -> Committed:
        """What to tell, and to whom, now that it is committed."""
        commit = Commit(position=self.last_position, topics=self._topics, since=self.since)
        return Committed(results=results, commit=commit, callbacks=self._callbacks)
