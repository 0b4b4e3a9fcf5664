"""Steps that go through the users, some at a time, with all that each has of a noun."""

from __future__ import annotations

from abc import abstractmethod
from collections import Counter
from collections.abc import AsyncIterator, Collection, Mapping, Sequence
from functools import partial
from typing import Any

import orjson

from palpo.core import canonical_json
from palpo.db.engine import Database
from palpo.db.transaction import WriteTransaction
from palpo.services.administration.synapse_import.steps import Batch, Source, Step
from palpo.storage.synapse import users as storage
from palpo.storage.synapse.user_rows import OurRows, Row, TheirRows

USERS = 50
"""In one transaction."""
SHOWN = 10
"""Differences of one table and some users that are told one by one."""

Wanted = Mapping[OurRows, Sequence[Row]]
"""What is to be here of some users: all their rows of some tables."""


class UserStep(Step):
    """One noun of users: what there is there says what is to be here."""

    batch = USERS

    def __init__(self, source: Source, db: Database) -> None:
        self._source = source
        self._db = db

    @abstractmethod
    async def wanted(self, users: Sequence[str]) -> Wanted:
        """The rows that some users are to have, and no others, of each table."""

    async def count(self) -> int:
        """The users."""
        return await self._source.db.read(storage.count)

    async def batches(self, after: Any) -> AsyncIterator[Batch]:
        """Some users after the others."""
        while users := await self._users(after):
            after = users[-1]
            wanted = await self.wanted(self._ours(users))
            yield Batch(after=after, rows=len(users), write=partial(_store, wanted))

    async def differences(self) -> AsyncIterator[str]:
        """Of each row that is not here, or is here and not there."""
        after = None
        while users := await self._users(after):
            after = users[-1]
            ours = self._ours(users)
            for rows, wanted in (await self.wanted(ours)).items():
                here = await self._db.read(partial(rows.of, users=ours))
                for line in _differences(rows, wanted, here):
                    yield line

    async def there(self, rows: TheirRows, users: Collection[str]) -> dict[str, list[Row]]:
        """Synapse's rows of some users."""
        return await self._source.db.read(partial(rows.of, users=users))

    async def all_there(self, rows: TheirRows, users: Collection[str]) -> list[Row]:
        """The same, of all of them in one list."""
        return [row for found in (await self.there(rows, users)).values() for row in found]

    async def _users(self, after: str | None) -> list[str]:
        return await self._source.db.read(partial(storage.page, after=after or "", limit=self.batch))

    def _ours(self, users: Sequence[str]) -> list[str]:
        ending = f":{self._source.server_name}"
        return [user for user in users if user.endswith(ending)]


async def _store(wanted: Wanted, tx: WriteTransaction) -> None:
    for rows, values in wanted.items():
        await rows.put(tx, values)


def _differences(rows: OurRows, wanted: Sequence[Row], here: Sequence[Row]) -> list[str]:
    """What is missing here, and what is too much."""
    there, ours = Counter(map(rows.compared, wanted)), Counter(map(rows.compared, here))
    missing = [rows.named(row) for row in wanted if rows.compared(row) not in ours]
    surplus = [rows.named(row) for row in here if rows.compared(row) not in there]
    lines = [f"{rows.name} of {name}: not here as it is there" for name in missing]
    lines += [f"{rows.name} of {name}: here, but not so there" for name in surplus if name not in missing]
    if not lines and there != ours:
        lines = [f"{rows.name}: {len(here)} here, {len(wanted)} there"]
    more = len(lines) - SHOWN
    return lines[:SHOWN] + ([f"{rows.name}: {more} more differences"] if more > 0 else [])


def parsed(text: str | bytes | None) -> Any:
    """The value of JSON; None of NULL."""
    return None if text is None else orjson.loads(text)


def canonical(text: str | bytes) -> bytes:
    """JSON as it is stored here."""
    return canonical_json.encode_lax(orjson.loads(text))
