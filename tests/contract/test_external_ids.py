"""Who users are elsewhere: the same on every database."""

from __future__ import annotations

import pytest

from palpo.core.identifiers import UserId
from palpo.db.engine import Database
from palpo.db.errors import UniqueViolation
from palpo.db.transaction import WriteTransaction
from palpo.storage import external_ids as storage
from palpo.storage.external_ids import ExternalId

ALICE, BOB = UserId("@alice:x"), UserId("@bob:x")


async def test_links(database: Database) -> None:
    async def unit(tx: WriteTransaction) -> None:
        await storage.add(tx, "work", "A", ALICE)
        await storage.add(tx, "work", "a", BOB)
        await storage.add(tx, "school", "A", BOB)
        assert await storage.find(tx, "work", "A") == ALICE
        assert await storage.find(tx, "work", "a") == BOB
        assert await storage.find(tx, "work", "a ") is None
        assert await storage.of_user(tx, BOB) == [
            ExternalId(auth_provider="school", external_id="A", user_id=BOB),
            ExternalId(auth_provider="work", external_id="a", user_id=BOB),
        ]
        assert not await storage.remove(tx, "school", "A", ALICE)
        assert await storage.remove(tx, "school", "A", BOB)
        assert await storage.find(tx, "school", "A") is None

    await database.write(unit)
    with pytest.raises(UniqueViolation):
        await database.write(lambda tx: storage.add(tx, "work", "A", BOB))
