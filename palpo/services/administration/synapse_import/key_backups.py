"""Backups of room keys: versions, which keep their names, and the sessions in each."""

from __future__ import annotations

from collections.abc import AsyncIterator, Sequence
from functools import partial
from itertools import groupby
from typing import Any

from palpo.core.identifiers import RoomId
from palpo.core.records.key_backups import BackedUpSession
from palpo.db.transaction import Transaction, WriteTransaction
from palpo.services.administration.synapse_import.page_steps import PageStep
from palpo.services.administration.synapse_import.user_steps import UserStep, Wanted, canonical
from palpo.storage import key_backups as storage
from palpo.storage.synapse import here, there
from palpo.storage.synapse import key_backups as their_storage
from palpo.storage.synapse.user_rows import Row


class KeyBackups(UserStep):
    """Versions, deleted ones too: none is given out again."""

    name = "key backups"

    async def wanted(self, users: Sequence[str]) -> Wanted:
        """The versions in their order."""
        counts = await self._source.db.read(partial(their_storage.counts, users=users))
        rows = await self.all_there(there.BACKUPS, users)
        return {
            here.BACKUPS: [
                _version(number, row, counts.get((row["user_id"], row["version"]), 0))
                for number, row in enumerate(rows)
            ]
        }


class BackedUpKeys(PageStep):
    """The sessions in backups."""

    name = "keys in backups"
    pages = their_storage.SESSIONS

    async def write(self, rows: Sequence[Sequence[Any]], tx: WriteTransaction) -> None:
        """Put them into the versions of their names."""
        for (user_id, called), sessions in groupby(map(self.pages.named, rows), _backup):
            version = await _current(tx, user_id, called)
            if version is not None:
                await storage.put_sessions(tx, version, list(map(_session, sessions)))

    async def differences(self) -> AsyncIterator[str]:
        """Session by session, and how many there are."""
        after: Any = None
        seen: dict[tuple[str, int], int] = {}
        while rows := await self.page(after):
            after = self.key(rows[-1])
            for backup, found in groupby(map(self.pages.named, rows), _backup):
                sessions = list(map(_session, found))
                seen[backup] = seen.get(backup, 0) + len(sessions)
                missing = await self.db.read(partial(_missing, backup=backup, sessions=sessions))
                if missing:
                    yield f"version {backup[1]} of {backup[0]}: {missing} sessions are not here as there"
        for backup, number in seen.items():
            here_are = await self.db.read(partial(_number, backup=backup))
            if here_are not in (None, number):
                yield f"version {backup[1]} of {backup[0]}: {here_are} sessions here, {number} there"


def _backup(row: Row) -> tuple[str, int]:
    return row["user_id"], row["version"]


async def _current(tx: Transaction, user_id: str, called: int) -> int | None:
    """The version here of one there; None where it is deleted."""
    backup = await storage.find(tx, user_id, str(called))
    return None if backup is None or backup.deleted else backup.version


async def _missing(tx: Transaction, backup: tuple[str, int], sessions: Sequence[BackedUpSession]) -> int:
    version = await _current(tx, *backup)
    missing = 0
    for room_id, of_room in groupby(sessions, lambda session: session.room_id):
        wanted = {session.session_id: session for session in of_room}
        if version is not None:
            found = await storage.find_sessions(tx, version, room_id, list(wanted))
            missing += sum(found.get(session_id) != session for session_id, session in wanted.items())
    return missing


async def _number(tx: Transaction, backup: tuple[str, int]) -> int | None:
    version = await _current(tx, *backup)
    return None if version is None else (await storage.size(tx, version))[0]


def _version(number: int, row: Row, count: int) -> Row:
    deleted = bool(row["deleted"])
    return {
        "version": number,
        "user_id": row["user_id"],
        "algorithm": row["algorithm"],
        "auth_data": b"{}" if deleted else canonical(row["auth_data"]),
        "etag": row["etag"] or 0,
        "count": 0 if deleted else count,
        "deleted": int(deleted),
        "name": str(row["version"]),
    }


def _session(row: Row) -> BackedUpSession:
    return BackedUpSession(
        room_id=RoomId(row["room_id"]),
        session_id=row["session_id"],
        first_message_index=row["first_message_index"] or 0,
        forwarded_count=row["forwarded_count"] or 0,
        is_verified=bool(row["is_verified"]),
        session_data=canonical(row["session_data"]),
    )
