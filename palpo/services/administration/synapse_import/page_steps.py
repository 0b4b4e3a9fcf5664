"""Steps that go through one table of Synapse's."""

from __future__ import annotations

from collections.abc import AsyncIterator, Sequence
from functools import partial
from typing import Any

from palpo.db.engine import Database
from palpo.db.transaction import Row, Transaction
from palpo.services.administration.synapse_import.steps import RowStep, Source
from palpo.storage.synapse.pages import Pages


class PageStep(RowStep[Row]):
    """A step that goes through one table of theirs."""

    pages: Pages

    def __init__(self, source: Source, db: Database) -> None:
        self.source = source
        self.db = db

    async def count(self) -> int:
        """The table's rows."""
        return await self.source.db.read(self.pages.count)

    async def page(self, after: Any) -> Sequence[Row]:
        """By the table's key."""
        return await self.source.db.read(partial(self.pages.page, after=after, limit=self.batch))

    def key(self, row: Row) -> Any:
        """What they are ordered by."""
        return self.pages.key(row)

    async def differences(self) -> AsyncIterator[str]:
        """Page by page."""
        after = None
        while rows := await self.page(after):
            after = self.key(rows[-1])
            for line in await self.db.read(partial(self.compare, rows)):
                yield line

    async def compare(self, rows: Sequence[Row], tx: Transaction) -> list[str]:
        """What of ``rows`` is different here."""
        return []
