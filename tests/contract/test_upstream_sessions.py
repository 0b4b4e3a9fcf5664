"""What was begun by sessions that users have elsewhere: the same on every database."""

from __future__ import annotations

from dataclasses import replace

from palpo.core.identifiers import UserId
from palpo.db.engine import Database
from palpo.db.transaction import Transaction, WriteTransaction
from palpo.storage import accounts
from palpo.storage import upstream_sessions as storage
from palpo.storage.sessions import token_hash
from palpo.storage.upstream_sessions import UpstreamSession

ALICE = UserId("@alice:x")
FIRST = UpstreamSession(
    token_hash=token_hash("t1"),
    auth_provider="oidc-work",
    subject="alice",
    upstream_id="s1",
    user_id=ALICE,
    expires_ts=1000,
)
SECOND = replace(FIRST, token_hash=token_hash("t2"), upstream_id=None)


async def sessions(tx: Transaction) -> dict[bytes, UpstreamSession]:
    return {found.token_hash: found for found in await storage.of_subject(tx, "oidc-work", "alice")}


async def test_they_become_devices_and_expire_otherwise(database: Database) -> None:
    async def unit(tx: WriteTransaction) -> None:
        await storage.insert(tx, FIRST)
        await storage.insert(tx, SECOND)
        await storage.claim(tx, SECOND.token_hash, ALICE, "PHONE")
        claimed = replace(SECOND, device_id="PHONE", expires_ts=None)
        assert await sessions(tx) == {FIRST.token_hash: FIRST, SECOND.token_hash: claimed}
        await storage.prune(tx, now_ms=999)
        assert FIRST.token_hash in await sessions(tx)
        await storage.prune(tx, now_ms=1000)
        assert await sessions(tx) == {SECOND.token_hash: claimed}
        assert await storage.of_subject(tx, "oidc-other", "alice") == []
        assert await storage.of_subject(tx, "oidc-work", "Alice") == []

    await database.write(unit)


async def test_a_device_has_one(database: Database) -> None:
    async def unit(tx: WriteTransaction) -> None:
        await storage.insert(tx, FIRST)
        await storage.claim(tx, FIRST.token_hash, ALICE, "PHONE")
        await storage.insert(tx, SECOND)
        await storage.claim(tx, SECOND.token_hash, ALICE, "PHONE")
        assert list(await sessions(tx)) == [SECOND.token_hash]

    await database.write(unit)


async def test_what_ends_takes_its_login_token_with_it(database: Database) -> None:
    async def unit(tx: WriteTransaction) -> str | None:
        await accounts.insert_login_token(tx, "t1", ALICE, expires_ts=2000)
        await storage.insert(tx, FIRST)
        await storage.end(tx, FIRST)
        assert await sessions(tx) == {}
        return await accounts.spend_login_token(tx, "t1", now_ms=0)

    assert await database.write(unit) is None
