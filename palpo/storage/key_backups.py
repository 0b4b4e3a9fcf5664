"""Backups of room keys: versions, and the sessions in each."""

from __future__ import annotations

from collections.abc import Sequence

from sqlalchemy import and_, bindparam, delete, func, or_, select, update

from palpo.core.records.key_backups import BackedUpSession, Backup
from palpo.db.statements import Statement, in_list, insert_row, upsert
from palpo.db.tables.key_backups import key_backup_sessions, key_backups
from palpo.db.transaction import Transaction, WriteTransaction
from palpo.storage.records import Records
from palpo.storage.surplus import Surplus

MAX_DIGITS = 18
"""Of a version."""

b = key_backups.c
s = key_backup_sessions.c
_BACKUPS = Records(Backup, key_backups)
_BACKUP = b.version == bindparam("version_")
_USER = b.user_id == bindparam("user")
_INSERT = insert_row(key_backups)
_FIND = Statement(select(*_BACKUPS.columns).where(_USER, _BACKUP, b.name.is_(None)))
_FIND_NAMED = Statement(select(*_BACKUPS.columns).where(_USER, b.name == bindparam("called")))
_CURRENT = Statement(
    select(*_BACKUPS.columns).where(_USER, b.deleted == 0).order_by(b.version.desc()).limit(1)
)
_DELETED = Surplus(key_backups, b.version, _USER, b.deleted == 1)
_SET_AUTH_DATA = Statement(update(key_backups).where(_BACKUP).values(auth_data=bindparam("data")))
_DELETE = Statement(update(key_backups).where(_BACKUP).values(deleted=1, count=0, auth_data=b"{}"))
_LOCK = Statement(update(key_backups).where(_BACKUP).values(etag=b.etag))
_CHANGED = Statement(
    update(key_backups).where(_BACKUP).values(etag=b.etag + 1, count=b.count + bindparam("added"))
)

_SESSIONS = Records(BackedUpSession, key_backup_sessions)
_OF_BACKUP = s.version == bindparam("version_")
_IN_ROOM = and_(_OF_BACKUP, s.room_id == bindparam("room"))
_ONE = and_(_IN_ROOM, s.session_id == bindparam("session"))
_PUT_SESSION = upsert(key_backup_sessions, key=["version", "room_id", "session_id"])
_FIND_SESSION = Statement(select(*_SESSIONS.columns).where(_ONE))
_FIND_SESSIONS = Statement(select(*_SESSIONS.columns).where(_IN_ROOM, in_list(s.session_id, "sessions")))
_PAGE = Statement(
    select(*_SESSIONS.columns)
    .where(
        _OF_BACKUP,
        s.room_id >= bindparam("room"),
        or_(s.room_id > bindparam("room"), s.session_id > bindparam("session")),
    )
    .order_by(s.room_id, s.session_id)
    .limit(bindparam("limit"))
)
_ROOM_PAGE = Statement(
    select(*_SESSIONS.columns)
    .where(_IN_ROOM, s.session_id > bindparam("session"))
    .order_by(s.session_id)
    .limit(bindparam("limit"))
)
_SIZE = {
    depth: Statement(select(func.count(), func.sum(func.length(s.session_data))).where(*where))
    for depth, where in enumerate(((_OF_BACKUP,), (_IN_ROOM,), (_ONE,)))
}
_DELETE_ALL = Statement(delete(key_backup_sessions).where(_OF_BACKUP))
_DELETE_ROOM = Statement(delete(key_backup_sessions).where(_IN_ROOM))
_DELETE_ONE = Statement(delete(key_backup_sessions).where(_ONE))


async def insert(tx: WriteTransaction, user_id: str, algorithm: str, auth_data: bytes) -> int:
    """Begin a new backup; its version."""
    version = await tx.positions()
    await tx.run(
        _INSERT,
        version=version,
        user_id=user_id,
        algorithm=algorithm,
        auth_data=auth_data,
        etag=0,
        count=0,
        deleted=0,
        name=None,
    )
    return version


async def find(tx: Transaction, user_id: str, called: str) -> Backup | None:
    """One version of a user's as clients know it, deleted or not."""
    if called.isascii() and called.isdigit() and len(called) <= MAX_DIGITS:
        found = _BACKUPS.one(await tx.one(_FIND, user=user_id, version_=int(called)))
        return found or _BACKUPS.one(await tx.one(_FIND_NAMED, user=user_id, called=called))
    return None


async def current(tx: Transaction, user_id: str) -> Backup | None:
    """A user's latest version."""
    return _BACKUPS.one(await tx.one(_CURRENT, user=user_id))


async def forget_deleted(tx: WriteTransaction, user_id: str, *, keep: int) -> None:
    """Forget which versions were deleted, but for the ``keep`` latest of them."""
    await _DELETED.forget(tx, keep=keep, user=user_id)


async def size(
    tx: Transaction, version: int, room_id: str | None = None, session_id: str | None = None
) -> tuple[int, int]:
    """How many sessions there are of a backup, a room of it, or by one ID, and their bytes together."""
    params = {"version_": version, "room": room_id, "session": session_id}
    given = {name: value for name, value in params.items() if value is not None}
    row = await tx.one(_SIZE[len(given) - 1], **given)
    assert row is not None
    return int(row[0]), int(row[1] or 0)


async def lock(tx: WriteTransaction, version: int) -> None:
    """Keep others from writing to the backup until the transaction ends."""
    await tx.run(_LOCK, version_=version)


async def set_auth_data(tx: WriteTransaction, version: int, auth_data: bytes) -> None:
    """Replace ``auth_data``."""
    await tx.run(_SET_AUTH_DATA, version_=version, data=auth_data)


async def delete_backup(tx: WriteTransaction, version: int) -> None:
    """Delete a backup with its sessions, and remember that it was there."""
    await tx.run(_DELETE_ALL, version_=version)
    await tx.run(_DELETE, version_=version)


async def changed(tx: WriteTransaction, version: int, added: int) -> None:
    """Count a write to the sessions, that made them ``added`` more (or fewer, where negative)."""
    await tx.run(_CHANGED, version_=version, added=added)


async def put_sessions(tx: WriteTransaction, version: int, sessions: Sequence[BackedUpSession]) -> None:
    """Store sessions over those that are there."""
    rows = [{"version": version, **_SESSIONS.values(item)} for item in sessions]
    await tx.many(_PUT_SESSION, rows)


async def find_session(
    tx: Transaction, version: int, room_id: str, session_id: str
) -> BackedUpSession | None:
    """One session."""
    return _SESSIONS.one(await tx.one(_FIND_SESSION, version_=version, room=room_id, session=session_id))


async def find_sessions(
    tx: Transaction, version: int, room_id: str, session_ids: Sequence[str]
) -> dict[str, BackedUpSession]:
    """Those of a room's sessions that are there."""
    rows = await tx.all(_FIND_SESSIONS, version_=version, room=room_id, sessions=list(session_ids))
    return {row[1]: _SESSIONS.of(row) for row in rows}


async def page(
    tx: Transaction, version: int, room_id: str | None, after: tuple[str, str], limit: int
) -> list[BackedUpSession]:
    """The next ``limit`` sessions after ``(room, session)``, of one room or (None) of all, in order."""
    if room_id is not None:
        rows = await tx.all(_ROOM_PAGE, version_=version, room=room_id, session=after[1], limit=limit)
    else:
        rows = await tx.all(_PAGE, version_=version, room=after[0], session=after[1], limit=limit)
    return _SESSIONS.all(rows)


async def delete_sessions(
    tx: WriteTransaction, version: int, room_id: str | None, session_id: str | None
) -> int:
    """Delete one session, a room's, or all; how many there were."""
    if room_id is None:
        return await tx.run(_DELETE_ALL, version_=version)
    if session_id is None:
        return await tx.run(_DELETE_ROOM, version_=version, room=room_id)
    return await tx.run(_DELETE_ONE, version_=version, room=room_id, session=session_id)
