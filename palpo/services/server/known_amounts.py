"""Amounts of quotas that need not be read: what this process knows of them since its last commit."""

from __future__ import annotations

from collections.abc import Collection
from functools import partial

from palpo.core.records.quotas import Kind
from palpo.db.engine import Commit, Database
from palpo.db.transaction import WriteTransaction
from palpo.storage import quotas as storage
from palpo.storage.quotas import SERVER, Amounts


class KnownAmounts:
    """The amounts in a database, of which a process has one. ``most`` bounds how many are remembered.

    All that change amounts take a position, and a transaction, or a commit, tells the position before its
    own. Where that is not where this process's last commit ended, another process has been between, and what
    is remembered may be out of date.
    """

    def __init__(self, db: Database, *, most: int = 5000) -> None:
        self._most = most
        self._upto = 0
        """Where this process's last commit ended: what is committed is as of then."""
        self._committed: Amounts = {}
        self._within: WriteTransaction | None = None
        self._seen: Amounts = {}
        """What the transaction ``_within`` has read or changed."""
        db.listen(self._on_commit)

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
        self._follow(tx.since)
        tx.on_commit(partial(self._keep, self._seen))

    def _follow(self, since: int) -> None:
        if since != self._upto:
            self._committed = {}

    def _on_commit(self, commit: Commit) -> None:
        """Any commit of this process, before what ``_keep`` is called for."""
        if commit.position:
            self._follow(commit.since)
            self._upto = commit.position

    def _keep(self, seen: Amounts, position: int) -> None:
        if len(self._committed) > self._most:
            self._committed = {}
        self._committed.update(seen)
