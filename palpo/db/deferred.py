"""Writes of a transaction that nobody waits for: gathered, and sent when their table is next looked at.

On a server each statement is a round trip, and ``many`` promises no result. So its rows are kept
until a statement has to do with their table, or the transaction commits; the units of one group then
share a statement for each table. What they would have raised is raised there.
"""

from __future__ import annotations

from collections.abc import Awaitable, Callable, Sequence
from typing import Any

from palpo.db.compiled import Compiled

Batch = tuple[Compiled, list[list[Any]]]
"""A statement, and the rows that it is to be run for."""
Execute = Callable[[Sequence[Batch]], Awaitable[None]]
"""Sends batches, which are of different tables, in order."""


class DeferredWrites:
    """What one transaction has yet to send, in order, by table."""

    def __init__(self, execute: Execute) -> None:
        self._execute = execute
        self._batches: dict[str, list[Batch]] = {}

    def add(self, compiled: Compiled, rows: list[list[Any]]) -> bool:
        """Keep ``rows`` for later; False where this statement cannot wait."""
        table = compiled.writes
        if table is None or compiled.reads:
            return False
        batches = self._batches.setdefault(table, [])
        if batches and batches[-1][0] is compiled:
            batches[-1][1].extend(rows)
        else:
            batches.append((compiled, rows))
        return True

    async def send_for(self, compiled: Compiled) -> None:
        """Send what ``compiled`` might see."""
        if self._batches:
            for table in [table for table in self._batches if table in compiled.tables]:
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
