"""What is done to a database that was put back from a backup, lest it repeats what it gave out since."""

from __future__ import annotations

from sqlalchemy import bindparam, delete, select, union, update

from palpo.db.statements import Statement
from palpo.db.tables.accounts import access_tokens
from palpo.db.tables.appservices import appservice_queues
from palpo.db.tables.browser_sessions import browser_sessions
from palpo.db.tables.key_backups import key_backups
from palpo.db.tables.keys import cross_signing_keys, device_keys, fallback_keys, one_time_keys
from palpo.db.tables.remote_device_lists import remote_device_keys, remote_device_lists, told_devices
from palpo.db.tables.sliding_sync import sliding_connections, sliding_rooms
from palpo.db.transaction import Transaction, WriteTransaction
from palpo.storage.keys import CLAIMED

ETAG_LEAP = 10**6
"""More than the writes to a backup of room keys since its database's backup."""
_UNCLAIMED = Statement(delete(one_time_keys).where(one_time_keys.c.algorithm != CLAIMED))
_FALLBACKS = Statement(update(fallback_keys).values(used=1))
_CONNECTIONS = (Statement(delete(sliding_rooms)), Statement(delete(sliding_connections)))
_QUEUES = Statement(update(appservice_queues).values(next_prefix=bindparam("prefix_")))
_WITH_KEYS = Statement(union(select(device_keys.c.user_id), select(cross_signing_keys.c.user_id)))
_ETAGS = Statement(update(key_backups).values(etag=key_backups.c.etag + ETAG_LEAP))
_DEVICE_LISTS = [
    Statement(delete(table)) for table in (remote_device_keys, remote_device_lists, told_devices)
]
_SESSIONS = [Statement(delete(table)) for table in (access_tokens, browser_sessions)]


async def retire_keys(tx: WriteTransaction) -> None:
    """No one-time key is given to a second device: all are dropped. Fallback keys count as used."""
    await tx.run(_UNCLAIMED)
    await tx.run(_FALLBACKS)


async def change_etags(tx: WriteTransaction) -> None:
    """No backup of room keys has an ``etag`` that stood for other contents."""
    await tx.run(_ETAGS)


async def end_connections(tx: WriteTransaction) -> None:
    """Connections of sliding sync begin anew."""
    for statement in _CONNECTIONS:
        await tx.run(statement)


async def rename_transactions(tx: WriteTransaction, prefix: str) -> None:
    """The next new transaction of each application service has an ID that begins with ``prefix``."""
    await tx.run(_QUEUES, prefix_=prefix)


async def users_with_keys(tx: Transaction) -> list[str]:
    """Everyone with device or cross-signing keys."""
    return [row[0] for row in await tx.all(_WITH_KEYS)]


async def forget_device_lists(tx: WriteTransaction) -> None:
    """Other servers have told of changes since, and were told of some: all is asked, and told, anew."""
    for statement in _DEVICE_LISTS:
        await tx.run(statement)


async def end_sessions(tx: WriteTransaction) -> None:
    """Forget every access token, and every browser: everyone has to log in again."""
    for statement in _SESSIONS:
        await tx.run(statement)
