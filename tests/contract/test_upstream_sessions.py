"""What was begun by sessions that users have elsewhere: the same on every database."""

from __future__ import annotations

import asyncio
from dataclasses import replace

from palpo.core.identifiers import UserId
from palpo.db.engine import Database
from palpo.db.errors import UniqueViolation
from palpo.db.transaction import Transaction, WriteTransaction
from palpo.storage import accounts, sign_on_answers
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


async def test_they_are_found_by_what_providers_call_them(database: Database) -> None:
    async def unit(tx: WriteTransaction) -> None:
        await storage.insert(tx, FIRST)
        await storage.insert(tx, SECOND)
        assert await storage.of_session(tx, "oidc-work", "s1") == [FIRST]
        for provider, session in (("oidc-other", "s1"), ("oidc-work", "S1"), ("oidc-work", "")):
            assert await storage.of_session(tx, provider, session) == []
        assert await storage.find(tx, SECOND.token_hash) == SECOND
        assert await storage.find(tx, token_hash("t3")) is None

    await database.write(unit)


async def test_providers_are_asked_about_those_that_are_due(database: Database) -> None:
    async def unit(tx: WriteTransaction) -> None:
        await storage.insert(tx, replace(FIRST, refresh_token="sealed" * 2000, ask_ts=20))
        await storage.insert(tx, replace(SECOND, refresh_token="sealed", ask_ts=10))
        await storage.insert(tx, replace(FIRST, token_hash=token_hash("t3")))
        assert await due(tx, 9) == []
        assert await due(tx, 10) == [SECOND.token_hash]
        assert await due(tx, 30) == [SECOND.token_hash, FIRST.token_hash]
        assert len(await storage.due(tx, now_ms=30, limit=1)) == 1
        await storage.renew(tx, SECOND.token_hash, "another", 40)
        await storage.renew(tx, FIRST.token_hash, None, None)
        assert await due(tx, 39) == []
        (found,) = await storage.due(tx, now_ms=40, limit=10)
        assert (found.refresh_token, found.ask_ts) == ("another", 40)

    await database.write(unit)


async def due(tx: Transaction, now_ms: int) -> list[bytes]:
    return [found.token_hash for found in await storage.due(tx, now_ms=now_ms, limit=10)]


async def test_an_answer_is_taken_once(database: Database) -> None:
    async def take(what: str, now_ms: int) -> bool:
        return await database.write(
            lambda tx: sign_on_answers.take(tx, token_hash(what), now_ms=now_ms, expires_ts=now_ms + 100)
        )

    assert await take("first", 0)
    assert not await take("first", 99)
    assert await take("second", 99)
    # It could not be shown any more: the flow has expired.
    assert await take("first", 100)
    taken = await asyncio.gather(*(take("third", 100) for _ in range(4)), return_exceptions=True)
    assert taken.count(True) == 1
    assert all(item is False or item is True or isinstance(item, UniqueViolation) for item in taken)
