"""How many statements something costs."""

from __future__ import annotations

from collections.abc import Awaitable, Callable
from typing import Any

import pytest

from palpo.db.server import ServerTransaction
from palpo.db.sqlite import SqliteTransaction


class Statements:
    """Counts the statements that are run while a test runs, those of background work too.

    Of a server of databases, the round trips, but for the one that commits.
    """

    def __init__(self, monkeypatch: pytest.MonkeyPatch) -> None:
        self.count = 0
        for kind, method in (
            (SqliteTransaction, "_run"),
            (SqliteTransaction, "many"),
            (ServerTransaction, "_call"),
        ):
            monkeypatch.setattr(kind, method, self._counting(getattr(kind, method)))

    def _counting(self, run: Callable[..., Any]) -> Callable[..., Any]:
        def counting(*args: Any) -> Any:
            # What has no rows to write is not sent.
            self.count += args[-1] != []
            return run(*args)

        return counting

    async def of(self, work: Awaitable[object]) -> int:
        """How many ``work`` costs."""
        before = self.count
        await work
        return self.count - before
