"""Accounts, and the devices and single-use tokens that logging in makes."""

from __future__ import annotations

from sqlalchemy import bindparam, delete, func, null, select, update

from palpo.core.identifiers import UserId
from palpo.core.records.accounts import FLAGS, Account
from palpo.core.user_words import words_of_user
from palpo.db.statements import Statement, in_list, insert_row, upsert
from palpo.db.tables.accounts import deactivations, devices, login_tokens, registration_nonces, users
from palpo.db.transaction import Transaction, WriteTransaction
from palpo.storage import browser_sessions, profiles
from palpo.storage.records import Records
from palpo.storage.sessions import token_hash
from palpo.streams import topics

LISTED = 255
"""Characters."""

_RECORDS = Records(Account, users)
_USER = users.c.user_id == bindparam("user")
_FIND = Statement(select(*_RECORDS.columns).where(_USER))
_FIND_ANY = Statement(select(*_RECORDS.columns).where(in_list(users.c.user_id, "users")))
_ACTIVE_AFTER = Statement(
    select(users.c.user_id)
    .where(users.c.user_id > bindparam("after"), users.c.deactivated == 0)
    .order_by(users.c.user_id)
    .limit(bindparam("limit"))
)
_INSERT = insert_row(users)
_SET_PASSWORD = Statement(update(users).where(_USER).values(password_hash=bindparam("hash")))
_SET_FLAG = {name: Statement(update(users).where(_USER).values({name: bindparam("value")})) for name in FLAGS}
_UPGRADE_GUEST = Statement(
    update(users).where(_USER, users.c.is_guest == 1).values(is_guest=0, password_hash=bindparam("hash"))
)
_SET_TYPE = Statement(update(users).where(_USER).values(user_type=bindparam("type")))
_LIST = {
    "displayname": Statement(update(users).where(_USER).values(list_name=bindparam("value"))),
    "avatar_url": Statement(update(users).where(_USER).values(list_avatar=bindparam("value"))),
}
_DEACTIVATE = Statement(
    update(users).where(_USER).values(deactivated=1, password_hash=null(), erased=bindparam("value"))
)
_ERASE = Statement(update(users).where(_USER).values(list_name="", list_avatar=""))
_REACTIVATE = Statement(update(users).where(_USER, users.c.deactivated == 1).values(deactivated=0, erased=0))
_BEGIN_DEACTIVATION = upsert(deactivations, key=["user_id"])
_END_DEACTIVATION = Statement(delete(deactivations).where(deactivations.c.user_id == bindparam("user")))
_IS_ENDING = Statement(select(deactivations.c.user_id).where(deactivations.c.user_id == bindparam("user")))
_DEACTIVATIONS = Statement(select(deactivations.c.user_id, deactivations.c.erase))

_DEVICE = (devices.c.user_id == bindparam("user")) & (devices.c.device_id == bindparam("device"))
_OF_USER = devices.c.user_id == bindparam("user")
_HAS_DEVICE = Statement(select(devices.c.device_id).where(_DEVICE))
_INSERT_DEVICE = insert_row(devices)
_DEVICE_IDS = Statement(select(devices.c.device_id).where(_OF_USER))
_IDLE_DEVICES = Statement(
    select(devices.c.device_id)
    .where(_OF_USER, devices.c.device_id != bindparam("besides"))
    .order_by(func.coalesce(devices.c.last_seen_ts, devices.c.created_ts), devices.c.device_id)
    .limit(bindparam("limit"))
)

_INSERT_LOGIN_TOKEN = insert_row(login_tokens)
_LOGIN_TOKEN = login_tokens.c.token_hash == bindparam("hash")
_FIND_LOGIN_TOKEN = Statement(select(login_tokens.c.user_id, login_tokens.c.expires_ts).where(_LOGIN_TOKEN))
_DELETE_LOGIN_TOKEN = Statement(delete(login_tokens).where(_LOGIN_TOKEN))
_DELETE_LOGIN_TOKENS = Statement(delete(login_tokens).where(login_tokens.c.user_id == bindparam("user")))
_PRUNE_LOGIN_TOKENS = Statement(delete(login_tokens).where(login_tokens.c.expires_ts <= bindparam("now")))

_SPEND_NONCE = upsert(registration_nonces, key=["nonce"], update=())
_FIND_NONCE = Statement(
    select(registration_nonces.c.nonce).where(registration_nonces.c.nonce == bindparam("nonce"))
)
_PRUNE_NONCES = Statement(
    delete(registration_nonces).where(registration_nonces.c.expires_ts <= bindparam("now"))
)


async def find(tx: Transaction, user_id: str) -> Account | None:
    """The account of ``user_id``, deactivated or not."""
    return _RECORDS.one(await tx.one(_FIND, user=user_id))


async def find_all(tx: Transaction, user_ids: list[str]) -> dict[str, Account]:
    """The accounts that there are among ``user_ids``."""
    return {found.user_id: found for found in _RECORDS.all(await tx.all(_FIND_ANY, users=user_ids))}


async def active_after(tx: Transaction, after: str, limit: int) -> list[str]:
    """The next users, in order, whose accounts are not deactivated."""
    return [row[0] for row in await tx.all(_ACTIVE_AFTER, after=after, limit=limit)]


async def insert(tx: WriteTransaction, account: Account) -> None:
    """Store a new account; raises UniqueViolation where there is one."""
    await tx.run(_INSERT, **_RECORDS.values(account), list_name="", list_avatar="", last_seen_ts=0)
    await profiles.set_words(tx, account.user_id, words_of_user(account.user_id, None))
    # So that nobody is given a token at position 0, which would stand for the beginning.
    await tx.positions()


async def set_password(tx: WriteTransaction, user_id: str, password_hash: str | None) -> None:
    """Replace the password's hash."""
    await tx.run(_SET_PASSWORD, user=user_id, hash=password_hash)


async def set_flags(tx: WriteTransaction, user_id: str, **flags: bool) -> None:
    """Set some of an account's flags, and sign browsers out where it is locked; raises KeyError."""
    for name, value in flags.items():
        await tx.run(_SET_FLAG[name], user=user_id, value=int(value))
    if flags.get("locked"):
        await browser_sessions.delete_user(tx, user_id)
    tx.notify(topics.SESSION, user_id)


async def set_type(tx: WriteTransaction, user_id: str, user_type: str | None) -> None:
    """Say what kind of user somebody is."""
    await tx.run(_SET_TYPE, user=user_id, type=user_type)


async def list_as(tx: WriteTransaction, user_id: str, key: str, value: object) -> None:
    """Let a user be found in lists by the field ``displayname`` or ``avatar_url`` of the profile."""
    text = value if isinstance(value, str) else ""
    await tx.run(
        _LIST[key], user=user_id, value=listed(text) if key == "displayname" else listed_avatar(text)
    )


def listed(name: str) -> str:
    """What a display name is compared by in lists: its beginning in lower case."""
    return listed_avatar(name.casefold())


def listed_avatar(address: str) -> str:
    """What an avatar's address is compared by in lists: its beginning."""
    return address.replace("\0", "")[:LISTED]


def pattern_of(text: str) -> str:
    """A pattern for text as it is in lists."""
    return escaped(listed(text))


def escaped(text: str) -> str:
    """Text in the form in which a pattern with the escape ``!`` stands for itself."""
    return text.replace("\0", "").replace("!", "!!").replace("%", "!%").replace("_", "!_")


async def upgrade_guest(tx: WriteTransaction, user_id: str, password_hash: str | None) -> bool:
    """Make a guest a user; whether it was a guest until now."""
    changed = await tx.run(_UPGRADE_GUEST, user=user_id, hash=password_hash)
    tx.notify(topics.SESSION, user_id)
    return changed > 0


async def deactivate(tx: WriteTransaction, user_id: str, *, erase: bool) -> None:
    """Forget the password and mark the account as gone for good, with more to be done about it."""
    await tx.run(_DEACTIVATE, user=user_id, value=int(erase))
    if erase:
        await tx.run(_ERASE, user=user_id)
    await tx.run(_BEGIN_DEACTIVATION, user_id=user_id, erase=int(erase))
    tx.notify(topics.SESSION, user_id)
    tx.notify(topics.ERASURE, user_id)


async def end_deactivation(tx: WriteTransaction, user_id: str) -> None:
    """Note that nothing more is to be done about an account that is gone."""
    await tx.run(_END_DEACTIVATION, user=user_id)


async def reactivate(tx: WriteTransaction, user_id: str) -> bool:
    """Let an account that is gone be one again; False where it is none, or is still being seen to."""
    if await tx.one(_IS_ENDING, user=user_id) is not None or not await tx.run(_REACTIVATE, user=user_id):
        return False
    await profiles.set_words(tx, user_id, words_of_user(user_id, None))
    tx.notify(topics.SESSION, user_id)
    tx.notify(topics.ERASURE, user_id)
    return True


async def unfinished_deactivations(tx: Transaction) -> list[tuple[UserId, bool]]:
    """The accounts about which more is to be done, each with whether its user is erased."""
    return [(row[0], bool(row[1])) for row in await tx.all(_DEACTIVATIONS)]


async def ensure_device(
    tx: WriteTransaction, user_id: str, device_id: str, *, display_name: str | None, created_ts: int
) -> bool:
    """Create the device unless it is known, in which case its display name stays; whether it is new."""
    if await tx.one(_HAS_DEVICE, user=user_id, device=device_id) is not None:
        return False
    await tx.run(
        _INSERT_DEVICE,
        user_id=user_id,
        device_id=device_id,
        display_name=display_name,
        created_ts=created_ts,
        last_seen_ts=None,
        last_seen_ip=None,
        user_agent=None,
    )
    return True


async def device_ids(tx: Transaction, user_id: str) -> list[str]:
    """Every device of a user."""
    return [row[0] for row in await tx.all(_DEVICE_IDS, user=user_id)]


async def idle_devices(tx: Transaction, user_id: str, *, besides: str, count: int) -> list[str]:
    """The ``count`` devices of a user, but for one, that were not used for longest."""
    return [row[0] for row in await tx.all(_IDLE_DEVICES, user=user_id, besides=besides, limit=count)]


async def insert_login_token(tx: WriteTransaction, token: str, user_id: str, *, expires_ts: int) -> None:
    """Store a token for ``m.login.token``."""
    await tx.run(_INSERT_LOGIN_TOKEN, token_hash=token_hash(token), user_id=user_id, expires_ts=expires_ts)


async def delete_login_tokens(tx: WriteTransaction, user_id: str) -> None:
    """Forget the tokens for ``m.login.token`` that a user has not used yet."""
    await tx.run(_DELETE_LOGIN_TOKENS, user=user_id)


async def spend_login_token(tx: WriteTransaction, token: str, *, now_ms: int) -> str | None:
    """Whose token it was; None if it is unknown, spent or expired. It works once."""
    await tx.run(_PRUNE_LOGIN_TOKENS, now=now_ms)
    hash_ = token_hash(token)
    row = await tx.one(_FIND_LOGIN_TOKEN, hash=hash_)
    if row is None or not await tx.run(_DELETE_LOGIN_TOKEN, hash=hash_):
        return None
    user_id: str = row[0]
    return user_id


async def spend_nonce(tx: WriteTransaction, nonce: str, *, expires_ts: int, now_ms: int) -> bool:
    """Whether a registration nonce was unused until now."""
    await tx.run(_PRUNE_NONCES, now=now_ms)
    if await tx.one(_FIND_NONCE, nonce=nonce) is not None:
        return False
    await tx.run(_SPEND_NONCE, nonce=nonce, expires_ts=expires_ts)
    return True
