"""Browsers that are signed in, and what clients were granted: the same on every database."""

from __future__ import annotations

from dataclasses import replace

from palpo.core.identifiers import UserId
from palpo.core.oauth.clients import read_metadata
from palpo.core.records.accounts import Account
from palpo.core.records.browser_sessions import BrowserSession
from palpo.core.records.oauth import ALLOWED, PENDING, Client, Code, DeviceCode, Grant
from palpo.db.engine import Database
from palpo.db.transaction import Transaction, WriteTransaction
from palpo.storage import account_rows, accounts, browser_sessions
from palpo.storage import oauth as storage

ALICE, BOB = UserId("@alice:x"), UserId("@bob:x")
SESSION = BrowserSession(
    token_hash=b"a" * 32,
    session_id="one",
    user_id=ALICE,
    created_ts=1000,
    last_used_ts=1000,
    expires_ts=5000,
    address="192.0.2.1",
    user_agent=None,
)
METADATA = read_metadata({"client_uri": "https://x.example/", "redirect_uris": ["https://x.example/"]})
CODE = Code(
    code_hash=b"c" * 32,
    grant_id="g1",
    client_id="client",
    user_id=ALICE,
    device_id="D",
    scope="scope",
    redirect_uri="https://x.example/",
    code_challenge="challenge",
    expires_ts=2000,
)
WAITING = DeviceCode(
    code_hash=b"d" * 32,
    user_code="BBBBCCCC",
    client_id="client",
    device_id="D",
    scope="scope",
    user_id=None,
    state=PENDING,
    polled_ts=0,
    expires_ts=2000,
)
GRANT = Grant(grant_id="g1", client_id="client", user_id=ALICE, device_id="D", scope="s", created_ts=1)


async def test_browser_sessions(database: Database) -> None:
    other = replace(SESSION, token_hash=b"b" * 32, session_id="two", last_used_ts=2000, user_agent="Fox")

    async def begin(tx: WriteTransaction) -> None:
        for user in (ALICE, BOB):
            await accounts.insert(tx, Account(user_id=user))
        for new in (SESSION, other):
            await browser_sessions.insert(tx, new, most=5)

    await database.write(begin)

    async def look(tx: Transaction) -> None:
        assert await browser_sessions.find(tx, b"a" * 32, now_ms=4999) == SESSION
        assert await browser_sessions.find(tx, b"a" * 32, now_ms=5000) is None
        assert await browser_sessions.of_user(tx, ALICE, now_ms=1) == [other, SESSION]
        assert await browser_sessions.of_user(tx, BOB, now_ms=1) == []

    await database.read(look)
    await database.write(lambda tx: browser_sessions.used(tx, b"a" * 32, now_ms=3000))
    await database.write(lambda tx: browser_sessions.delete_named(tx, BOB, "two"))
    third = replace(SESSION, token_hash=b"e" * 32, session_id="three", last_used_ts=4000)
    await database.write(lambda tx: browser_sessions.insert(tx, third, most=2))
    found = await database.read(lambda tx: browser_sessions.of_user(tx, ALICE, now_ms=1))
    assert [session.session_id for session in found] == ["three", "one"]
    await database.write(lambda tx: accounts.set_flags(tx, ALICE, locked=True))
    await database.write(lambda tx: accounts.set_flags(tx, ALICE, locked=False))
    assert await database.read(lambda tx: browser_sessions.of_user(tx, ALICE, now_ms=1)) == []


async def test_clients(database: Database) -> None:
    client = Client(client_id="client", metadata=METADATA)

    async def put(tx: WriteTransaction, now_ms: int = 1000) -> None:
        await storage.put_client(tx, client, b"h" * 32, now_ms=now_ms)

    await database.write(put)
    await database.write(lambda tx: put(tx, 3000))
    assert await database.read(lambda tx: storage.client(tx, "client")) == client
    assert await database.read(lambda tx: storage.client(tx, "CLIENT")) is None
    assert await database.read(lambda tx: storage.age_of_surplus(tx, keep=0)) == 3000
    assert await database.read(lambda tx: storage.age_of_surplus(tx, keep=1)) is None
    assert await database.write(lambda tx: storage.forget_clients(tx, before_ts=3000, limit=5)) == 0
    await database.write(lambda tx: storage.insert_grant(tx, GRANT))
    assert await database.write(lambda tx: storage.forget_clients(tx, before_ts=3001, limit=5)) == 0
    await database.write(lambda tx: account_rows.delete_devices(tx, ALICE, ["D"]))
    assert await database.read(lambda tx: storage.grant(tx, "g1")) is None
    assert await database.write(lambda tx: storage.forget_clients(tx, before_ts=3001, limit=5)) == 1


async def test_codes_are_spent_once(database: Database) -> None:
    await database.write(lambda tx: storage.insert_code(tx, CODE, most=2, now_ms=1000))
    assert await database.read(lambda tx: storage.code(tx, CODE.code_hash)) == CODE
    assert await database.write(lambda tx: storage.spend_code(tx, CODE.code_hash))
    assert not await database.write(lambda tx: storage.spend_code(tx, CODE.code_hash))
    for number in range(4):
        new = replace(CODE, code_hash=bytes([number]) * 32, expires_ts=2000 + number)
        await database.write(lambda tx, new=new: storage.insert_code(tx, new, most=2, now_ms=1000))
    found = [await database.read(lambda tx, n=n: storage.code(tx, bytes([n]) * 32)) for n in range(4)]
    assert [code is not None for code in found] == [False, False, True, True]


async def test_device_codes_are_decided_once(database: Database) -> None:
    await database.write(lambda tx: storage.insert_device_code(tx, WAITING, now_ms=1000))
    assert await database.read(lambda tx: storage.by_user_code(tx, "BBBBCCCC")) == WAITING

    async def decide(tx: WriteTransaction, user: str = ALICE, now_ms: int = 1500) -> bool:
        return await storage.decide(tx, "BBBBCCCC", user, ALLOWED, now_ms=now_ms)

    assert not await database.write(lambda tx: decide(tx, now_ms=2000))
    assert await database.write(decide)
    assert not await database.write(lambda tx: decide(tx, BOB))
    await database.write(lambda tx: storage.polled(tx, WAITING.code_hash, now_ms=1600))
    decided = replace(WAITING, user_id=ALICE, state=ALLOWED, polled_ts=1600)
    assert await database.read(lambda tx: storage.device_code(tx, WAITING.code_hash)) == decided
    assert await database.write(lambda tx: storage.spend_device_code(tx, WAITING.code_hash))
    assert not await database.write(lambda tx: storage.spend_device_code(tx, WAITING.code_hash))
    for number in range(4):
        new = replace(
            WAITING, code_hash=bytes([number]) * 32, user_code=f"{number}", expires_ts=2000 + number
        )
        await database.write(lambda tx, new=new: storage.insert_device_code(tx, new, now_ms=1000))
    await database.write(lambda tx: storage.forget_device_codes(tx, keep=2))
    found = [await database.read(lambda tx, n=n: storage.by_user_code(tx, f"{n}")) for n in range(4)]
    assert [code is not None for code in found] == [False, False, True, True]


async def test_a_device_has_one_grant(database: Database) -> None:
    await database.write(lambda tx: storage.insert_grant(tx, GRANT))
    second = replace(GRANT, grant_id="g2")
    await database.write(lambda tx: storage.insert_grant(tx, second))
    assert await database.read(lambda tx: storage.grants_of(tx, ALICE)) == [second]
    assert await database.read(lambda tx: storage.grant_of_device(tx, ALICE, "D")) == second
    assert await database.read(lambda tx: storage.grant(tx, "g1")) is None
    await database.write(lambda tx: storage.delete_grant_of(tx, ALICE, "D"))
    assert await database.read(lambda tx: storage.grants_of(tx, ALICE)) == []
