"""Lists of users, on every database."""

from __future__ import annotations

from typing import Any

import pytest

from palpo.core.identifiers import UserId
from palpo.core.records.accounts import Account
from palpo.db.engine import Database
from palpo.db.transaction import WriteTransaction
from palpo.storage import accounts, devices, rate_limits, sessions
from palpo.storage import user_lists as storage
from palpo.storage.devices import Seen
from palpo.storage.rate_limits import Override
from palpo.storage.user_lists import ORDERS, Wanted

SERVER = "test.example:8448"


def user(name: str) -> UserId:
    return UserId(f"@{name}:{SERVER}")


ACCOUNTS = (
    Account(user_id=user("anna"), created_ts=5, is_admin=True),
    Account(user_id=user("bert"), created_ts=4, user_type="bot"),
    Account(user_id=user("carl_x"), created_ts=3, deactivated=True),
    Account(user_id=user("carl1x"), created_ts=2, locked=True),
    Account(user_id=user("dora"), created_ts=1, is_guest=True, shadow_banned=True),
)
NAMES = {"anna": "Zoë Ünal", "bert": "100 % bot", "dora": "Ada"}


@pytest.fixture
async def filled(database: Database) -> Database:
    async def unit(tx: WriteTransaction) -> None:
        for account in ACCOUNTS:
            await accounts.insert(tx, account)
        for name, displayname in NAMES.items():
            await accounts.list_as(tx, user(name), "displayname", displayname)

    await database.write(unit)
    return database


async def names(db: Database, wanted: Wanted, **how: Any) -> list[str]:
    how = {"order": "name", "backwards": False, "skipped": 0, "limit": 10, **how}
    found = await db.read(lambda tx: storage.page(tx, wanted, **how))
    assert await db.read(lambda tx: storage.total(tx, wanted)) >= len(found)
    return [item.user_id[1:].partition(":")[0] for item in found]


@pytest.mark.parametrize(
    ("wanted", "found"),
    [
        (Wanted(), ["anna", "bert", "carl1x", "carl_x", "dora"]),
        (Wanted(guest=False), ["anna", "bert", "carl1x", "carl_x"]),
        (Wanted(deactivated=True), ["carl_x"]),
        (Wanted(deactivated=False, locked=False), ["anna", "bert", "dora"]),
        (Wanted(admin=True), ["anna"]),
        (Wanted(admin=True, admins=(user("dora"),)), ["anna", "dora"]),
        (Wanted(admin=False, admins=(user("dora"),)), ["bert", "carl1x", "carl_x"]),
        (Wanted(not_types=("bot",)), ["anna", "carl1x", "carl_x", "dora"]),
        (Wanted(not_types=("",)), ["bert"]),
        (Wanted(name="ÜNAL", server=SERVER), ["anna"]),
        (Wanted(name="AD", server=SERVER), ["dora"]),
        (Wanted(name="l_x", server=SERVER), ["carl_x"]),
        (Wanted(name="0 %", server=SERVER), ["bert"]),
        (Wanted(name="example", server=SERVER), []),
        (Wanted(user_id="example"), ["anna", "bert", "carl1x", "carl_x", "dora"]),
        (Wanted(user_id="@CARL_"), ["carl_x"]),
    ],
)
async def test_filters(filled: Database, wanted: Wanted, found: list[str]) -> None:
    assert await names(filled, wanted) == found
    assert await filled.read(lambda tx: storage.total(tx, wanted)) == len(found)


@pytest.mark.parametrize("order", ORDERS)
async def test_orders(filled: Database, order: str) -> None:
    """Those who are alike are by user ID, whichever way it goes."""
    forwards = await names(filled, Wanted(), order=order)
    backwards = await names(filled, Wanted(), order=order, backwards=True)
    expected = {
        "name": ["anna", "bert", "carl1x", "carl_x", "dora"],
        "displayname": ["carl1x", "carl_x", "bert", "dora", "anna"],
        "is_guest": ["anna", "bert", "carl1x", "carl_x", "dora"],
        "admin": ["bert", "carl1x", "carl_x", "dora", "anna"],
        "deactivated": ["anna", "bert", "carl1x", "dora", "carl_x"],
        "user_type": ["anna", "carl1x", "carl_x", "dora", "bert"],
        "shadow_banned": ["anna", "bert", "carl1x", "carl_x", "dora"],
        "creation_ts": ["dora", "carl1x", "carl_x", "bert", "anna"],
        "locked": ["anna", "bert", "carl_x", "dora", "carl1x"],
    }
    if order in expected:
        assert forwards == expected[order]
    assert sorted(forwards) == sorted(backwards)
    pages = [await names(filled, Wanted(), order=order, skipped=at, limit=2) for at in (0, 2, 4)]
    assert [name for page in pages for name in page] == forwards


async def test_when_somebody_was_seen_last(filled: Database) -> None:
    def seen(device_id: str, ts: int) -> Seen:
        return Seen(user_id=user("anna"), device_id=device_id, ts=ts, ip="127.0.0.1", user_agent=None)

    await filled.write(lambda tx: devices.seen(tx, [seen("A", 7), seen("B", 9)]))
    await filled.write(lambda tx: devices.seen(tx, [seen("A", 8)]))
    assert await filled.read(lambda tx: storage.last_seen(tx, user("anna"))) == 9
    assert (await names(filled, Wanted(), order="last_seen_ts", backwards=True))[0] == "anna"


async def test_who_is_erased_is_not_found_by_their_name(filled: Database) -> None:
    await filled.write(lambda tx: accounts.deactivate(tx, user("dora"), erase=True))
    assert await names(filled, Wanted(name="ada", server=SERVER)) == []


async def test_an_account_comes_back_once_its_end_is_seen_to(filled: Database) -> None:
    await filled.write(lambda tx: accounts.deactivate(tx, user("dora"), erase=True))
    assert not await filled.write(lambda tx: accounts.reactivate(tx, user("dora")))
    await filled.write(lambda tx: accounts.end_deactivation(tx, user("dora")))
    assert await filled.write(lambda tx: accounts.reactivate(tx, user("dora")))
    account = await filled.read(lambda tx: accounts.find(tx, user("dora")))
    assert account is not None
    assert not account.deactivated
    assert not account.erased
    assert not await filled.write(lambda tx: accounts.reactivate(tx, user("anna")))


async def test_a_session_has_its_users_override(filled: Database) -> None:
    await token(filled, "one", user("bert"))
    assert await overridden(filled, "one") == (None, None)
    await filled.write(lambda tx: rate_limits.put(tx, user("bert"), Override(per_second=3, burst=7)))
    await filled.write(lambda tx: rate_limits.put(tx, user("bert"), Override(per_second=3, burst=8)))
    assert await overridden(filled, "one") == (3, 8)
    await filled.write(lambda tx: rate_limits.remove(tx, user("bert")))
    assert await overridden(filled, "one") == (None, None)


async def test_logins_of_administrators_go_with_theirs(filled: Database) -> None:
    await token(filled, "own", user("bert"))
    await token(filled, "annas", user("bert"), made_by=user("anna"))
    await filled.write(lambda tx: sessions.delete_user(tx, user("bert")))
    assert not await is_known(filled, "own")
    assert await is_known(filled, "annas")
    await filled.write(lambda tx: sessions.delete_user(tx, user("anna")))
    assert not await is_known(filled, "annas")


async def token(db: Database, text: str, user_id: UserId, made_by: UserId | None = None) -> None:
    await db.write(
        lambda tx: sessions.insert(
            tx,
            access_token=text,
            refresh_token=None,
            user_id=user_id,
            device_id=None,
            created_ts=1,
            expires_ts=None,
            made_by=made_by,
        )
    )


async def overridden(db: Database, text: str) -> tuple[int | None, int | None]:
    found = await db.read(lambda tx: sessions.find(tx, sessions.token_hash(text)))
    assert found is not None
    return found.per_second, found.burst


async def is_known(db: Database, text: str) -> bool:
    return await db.read(lambda tx: sessions.find(tx, sessions.token_hash(text))) is not None
