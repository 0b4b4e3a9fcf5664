"""Lists of registration tokens, on every database."""

from __future__ import annotations

import pytest

from palpo.db.engine import Database
from palpo.db.transaction import WriteTransaction
from palpo.storage import registration_tokens as storage
from palpo.storage.registration_tokens import RegistrationToken

TOKENS = ("Summer_fete", "summer.fete", "winter-fete", "winter~ball")


@pytest.fixture
async def filled(database: Database) -> Database:
    async def unit(tx: WriteTransaction) -> None:
        for number, token in enumerate(TOKENS):
            new = RegistrationToken(token=token, uses_allowed=None, expires_ts=None, created_ts=number // 2)
            await storage.insert(tx, new)

    await database.write(unit)
    return database


@pytest.mark.parametrize(
    ("search", "expected"),
    [
        ("", [3, 2, 1, 0]),
        ("FETE", [2, 1, 0]),
        ("_", [0]),
        ("%", []),
        ("!", []),
        ("~b", [3]),
    ],
)
async def test_which_tokens(filled: Database, search: str, expected: list[int]) -> None:
    found = await filled.read(lambda tx: storage.page(tx, search, skipped=0, limit=9))
    assert [item.token for item in found] == [TOKENS[number] for number in expected]
    assert await filled.read(lambda tx: storage.total(tx, search)) == len(expected)
    second = await filled.read(lambda tx: storage.page(tx, search, skipped=1, limit=1))
    assert second == found[1:2]


async def test_how_often_some_are_held(filled: Database) -> None:
    async def unit(tx: WriteTransaction) -> None:
        for session, token in (("a", TOKENS[0]), ("b", TOKENS[0]), ("c", TOKENS[1])):
            await storage.hold(tx, token, session, 1)

    await filled.write(unit)
    held = await filled.read(lambda tx: storage.pending_of(tx, [TOKENS[0], TOKENS[3]]))
    assert held == {TOKENS[0]: 2}
    assert await filled.read(lambda tx: storage.pending_of(tx, [])) == {}
