"""Amounts of quotas that need not be read: what this process knows of them since its last commit."""

from __future__ import annotations

from collections.abc import Collection
from functools import partial

from palpo.core.records.quotas import Kind
from palpo.db.transaction import WriteTransaction
from palpo.storage import quotas as storage
from palpo.storage.quotas import SERVER, Amounts


class KnownAmounts:
    """The amounts in a database, of which a process has one. ``most`` bounds how many are remembered.

    All its transactions have taken a position. Where no other process has taken one since this process's
    last commit, nobody has changed what is remembered.
    """

    def __init__(self, *, most: int = 5000) -> None:
        self._most = most
        self._committed: Amounts = {}
        self._within: WriteTransaction | None = None
        self._seen: Amounts = {}
        """What the transaction ``_within`` has read or changed."""

    async def get(self, tx: WriteTransaction, kinds: Collection[Kind], user_id: str) -> Amounts:
        """What a user has of each of ``kinds``, and what all users have; nothing is 0."""
        self._enter(tx)
        amounts: Amounts = {}
        for key in [(kind, user) for kind in kinds for user in (user_id, SERVER)]:
            amount = self._seen.get(key, self._committed.get(key))
            if amount is None:
                found = await storage.amounts(tx, kinds, user_id)
                self._seen.update(found)
                return found
            amounts[key] = amount
        return amounts

    async def put(self, tx: WriteTransaction, changed: Amounts) -> None:
        """Store amounts over those that there were."""
        self._enter(tx)
        self._seen.update(changed)
        await storage.put(tx, changed)

    def _enter(self, tx: WriteTransaction) -> None:
        if tx is self._within:
            return
        self._within, self._seen = tx, {}
        if not tx.unbroken:
            self._committed = {}
        tx.on_commit(partial(self._keep, self._seen))

    def _keep(self, seen: Amounts, position: int) -> None:
        if len(self._committed) > self._most:
            self._committed = {}
        self._committed.update(seen)
