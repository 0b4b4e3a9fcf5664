"""How much each user has of what is bounded, counted when all is here."""

from __future__ import annotations

from collections.abc import AsyncIterator, Sequence
from functools import partial
from typing import Any

from palpo.db.engine import Database
from palpo.db.transaction import Transaction, WriteTransaction
from palpo.services.administration.synapse_import.steps import RowStep, Source
from palpo.storage import account_rows
from palpo.storage import quotas as storage
from palpo.storage.quotas import SERVER
from palpo.storage.synapse import users as their_storage


class Usage(RowStep[str]):
    """What users bring with them is theirs, also where it is more than they may have here."""

    name = "usage"
    batch = 50

    def __init__(self, source: Source, db: Database) -> None:
        self._source = source
        self._db = db

    async def count(self) -> int:
        """The users."""
        return await self._source.db.read(their_storage.count)

    async def page(self, after: Any) -> list[str]:
        """Users, in order."""
        return await self._source.db.read(partial(their_storage.page, after=after or "", limit=self.batch))

    def key(self, row: str) -> str:
        """The user ID."""
        return row

    async def write(self, rows: Sequence[str], tx: WriteTransaction) -> None:
        """Count, and add what is new to what all users have."""
        await tx.positions()
        for user_id in rows:
            changed = await _changed(tx, user_id)
            if changed:
                await storage.put(tx, changed)

    async def differences(self) -> AsyncIterator[str]:
        """Where something was counted that is not so any more."""
        after = None
        while users := await self.page(after):
            after = users[-1]
            for user_id in users:
                changed = await self._db.read(partial(_changed, user_id=user_id))
                for kind, whose in changed:
                    if whose == user_id:
                        yield f"{kind.value} of {user_id}: not as many as were counted"


async def _changed(tx: Transaction, user_id: str) -> storage.Amounts:
    """What is counted otherwise than it is stored, of the user and of all together."""
    counted = await account_rows.counted(tx, user_id, account_rows.COUNTED)
    known = await storage.amounts(tx, counted, user_id)
    changed: storage.Amounts = {}
    for kind, amount in counted.items():
        more = amount - known[kind, user_id]
        if more:
            changed[kind, user_id] = amount
            changed[kind, SERVER] = known[kind, SERVER] + more
    return changed
