"""Accounts and their sessions on every database."""

import pytest

from palpo.core.records.accounts import FLAGS, Account
from palpo.db.engine import Database
from palpo.db.errors import UniqueViolation
from palpo.db.transaction import WriteTransaction
from palpo.storage import accounts, sessions, uia

ALICE = "@alice:test.example"


async def add(db: Database, account: Account) -> None:
    await db.write(lambda tx: accounts.insert(tx, account))


async def test_accounts(database: Database) -> None:
    alice = Account(user_id=ALICE, password_hash="h", created_ts=5, is_admin=True)
    await add(database, alice)
    assert await database.read(lambda tx: accounts.find(tx, ALICE)) == alice
    found = await database.read(lambda tx: accounts.find_all(tx, [ALICE, "@ALICE:test.example"]))
    assert found == {ALICE: alice}
    with pytest.raises(UniqueViolation):
        await add(database, alice)


@pytest.mark.parametrize("flag", FLAGS)
async def test_flags(database: Database, flag: str) -> None:
    """Whoever acts for an account has its flags."""
    await add(database, Account(user_id=ALICE))
    await new_token(database, "t", used=True)
    for value in (True, False):
        await database.write(lambda tx, value=value: accounts.set_flags(tx, ALICE, **{flag: value}))  # type: ignore[misc]
        account = await database.read(lambda tx: accounts.find(tx, ALICE))
        session = await database.read(lambda tx: sessions.find(tx, sessions.token_hash("t")))
        assert account is not None
        assert session is not None
        assert account.flags() == session.flags() == {**dict.fromkeys(FLAGS, False), flag: value}


async def test_no_flag(database: Database) -> None:
    with pytest.raises(KeyError):
        await database.write(lambda tx: accounts.set_flags(tx, ALICE, erased=True))


async def test_deactivated(database: Database) -> None:
    await add(database, Account(user_id=ALICE, password_hash="h"))
    await database.write(lambda tx: accounts.deactivate(tx, ALICE, erase=True))
    account = await database.read(lambda tx: accounts.find(tx, ALICE))
    assert account == Account(user_id=ALICE, deactivated=True, erased=True)


async def test_guest_is_upgraded_once(database: Database) -> None:
    await add(database, Account(user_id=ALICE, is_guest=True))
    assert await database.write(lambda tx: accounts.upgrade_guest(tx, ALICE, "h"))
    assert not await database.write(lambda tx: accounts.upgrade_guest(tx, ALICE, "other"))
    account = await database.read(lambda tx: accounts.find(tx, ALICE))
    assert account == Account(user_id=ALICE, password_hash="h")


async def test_what_is_spent_once(database: Database) -> None:
    await database.write(lambda tx: accounts.insert_login_token(tx, "t", ALICE, expires_ts=100))
    assert await database.write(lambda tx: accounts.spend_login_token(tx, "t", now_ms=99)) == ALICE
    assert await database.write(lambda tx: accounts.spend_login_token(tx, "t", now_ms=99)) is None

    async def spend(tx: WriteTransaction) -> bool:
        return await accounts.spend_nonce(tx, "n", expires_ts=100, now_ms=1)

    assert await database.write(spend)
    assert not await database.write(spend)


async def test_devices(database: Database) -> None:
    async def ensure(tx: WriteTransaction) -> bool:
        return await accounts.ensure_device(tx, ALICE, "D", display_name="Phone", created_ts=1)

    assert await database.write(ensure)
    assert not await database.write(ensure)
    assert await database.read(lambda tx: accounts.device_ids(tx, ALICE)) == ["D"]


async def new_token(db: Database, token: str, *, used: bool, device: str = "D", expires_ts: int = 50) -> None:
    await db.write(
        lambda tx: sessions.insert(
            tx,
            access_token=token,
            refresh_token=f"r{token}",
            user_id=ALICE,
            device_id=device,
            created_ts=1,
            expires_ts=expires_ts,
            used=used,
        )
    )


async def known(db: Database, *tokens: str) -> list[str]:
    found = []
    for token in tokens:
        if await db.read(lambda tx, t=token: sessions.find(tx, sessions.token_hash(t))) is not None:  # type: ignore[misc]
            found.append(token)
    return found


async def test_refreshed_tokens(database: Database) -> None:
    await add(database, Account(user_id=ALICE))
    await new_token(database, "old", used=True)
    await new_token(database, "new", used=False)
    await new_token(database, "newer", used=False, expires_ts=90)
    await new_token(database, "elsewhere", used=True, device="E")
    await database.write(lambda tx: sessions.delete_stale(tx, ALICE, "D", now_ms=60))
    assert await known(database, "old", "new", "newer", "elsewhere") == ["old", "newer", "elsewhere"]
    refresh = await database.read(lambda tx: sessions.find_refresh(tx, "rnewer"))
    assert refresh is not None
    assert not refresh.used
    await database.write(lambda tx: sessions.mark_used(tx, refresh.token_hash, ALICE, "D"))
    assert await known(database, "old", "newer", "elsewhere") == ["newer", "elsewhere"]
    await database.write(lambda tx: sessions.delete_device(tx, ALICE, "D"))
    assert await known(database, "newer", "elsewhere") == ["elsewhere"]
    await database.write(lambda tx: sessions.delete_user(tx, ALICE))
    assert await known(database, "elsewhere") == []


async def test_uia_sessions(database: Database) -> None:
    for stages in (["a"], ["a", "b"]):
        await database.write(lambda tx, s=stages: uia.store(tx, "S", s, created_ts=5))  # type: ignore[misc]
        assert await database.read(lambda tx: uia.completed(tx, "S")) == stages
    await database.write(lambda tx: uia.prune(tx, before_ts=5))
    assert await database.write(lambda tx: uia.forget(tx, "S"))
    assert not await database.write(lambda tx: uia.forget(tx, "S"))
    await database.write(lambda tx: uia.store(tx, "S", ["a"], created_ts=5))
    await database.write(lambda tx: uia.prune(tx, before_ts=6))
    assert await database.read(lambda tx: uia.completed(tx, "S")) is None
