"""How many statements something costs."""

from __future__ import annotations

from typing import Any

import pytest

from palpo.db.sqlite import SqliteTransaction


class Statements:
    """Counts the statements that are run on SQLite while a test runs, those of background work too."""

    def __init__(self, monkeypatch: pytest.MonkeyPatch) -> None:
        self.count = 0
        run = SqliteTransaction._run

        def counting(transaction: SqliteTransaction, *args: Any) -> Any:
            self.count += 1
            return run(transaction, *args)

        monkeypatch.setattr(SqliteTransaction, "_run", counting)
