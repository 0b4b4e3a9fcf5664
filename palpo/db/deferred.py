"""Writes of a transaction that nobody waits for: gathered, and sent when their table is next looked at.

On a server each statement is a round trip, and ``many`` promises no result. So its rows are kept
until a statement mentions their table, or the transaction commits; the units of one group then
share a statement for each table. What they would have raised is raised there.
"""

from __future__ import annotations

import re
from collections.abc import Awaitable, Callable, Sequence
from functools import lru_cache
from typing import Any

from palpo.db.statements import Compiled

Batch = tuple[Compiled, list[list[Any]]]
"""A statement, and the rows that it is to be run for."""
Execute = Callable[[Sequence[Batch]], Awaitable[None]]
"""Sends batches, which are of different tables, in order."""

_TARGET = re.compile(r'(?:INSERT INTO|UPDATE|DELETE FROM) ["`]?(\w+)["`]? ')


@lru_cache(maxsize=4096)
def target(sql: str) -> str | None:
    """The one table that ``sql`` writes and reads; None where it is not as simple as that."""
    found = _TARGET.match(sql)
    return found[1] if found is not None and "SELECT" not in sql and " JOIN " not in sql else None


@lru_cache(maxsize=16384)
def mentions(sql: str, table: str) -> bool:
    """Whether ``sql`` has to do with ``table``; True perhaps where it has not."""
    return re.search(rf"\b{re.escape(table)}\b", sql) is not None


class DeferredWrites:
    """What one transaction has yet to send, in order, by table."""

    def __init__(self, execute: Execute) -> None:
        self._execute = execute
        self._batches: dict[str, list[Batch]] = {}

    def add(self, compiled: Compiled, rows: list[list[Any]]) -> bool:
        """Keep ``rows`` for later; False where this statement cannot wait."""
        table = target(compiled.sql)
        if table is None:
            return False
        batches = self._batches.setdefault(table, [])
        if batches and batches[-1][0] is compiled:
            batches[-1][1].extend(rows)
        else:
            batches.append((compiled, rows))
        return True

    async def send_for(self, sql: str) -> None:
        """Send what ``sql`` might see."""
        if self._batches:
            for table in [table for table in self._batches if mentions(sql, table)]:
                await self._send(table)

    async def send_all(self) -> None:
        """Send what there is, in the order of the tables' names; at once what is one batch of its table.

        The same order in every process: two that wrote the same rows in different orders would
        wait for each other.
        """
        tables = sorted(self._batches)
        together = [table for table in tables if len(self._batches[table]) == 1]
        if together:
            await self._execute([self._batches.pop(table)[0] for table in together])
        for table in sorted(self._batches):
            await self._send(table)

    async def _send(self, table: str) -> None:
        for batch in self._batches.pop(table):
            await self._execute([batch])
