"""Backups of room keys (spec: "Server-side key backups")."""

from __future__ import annotations

from collections.abc import AsyncIterator, Mapping, Sequence
from dataclasses import dataclass
from functools import partial
from typing import Any

from palpo.core import canonical_json
from palpo.core.device_keys import storable
from palpo.core.errors import Forbidden, InvalidParam, NotFound, TooLarge
from palpo.core.identifiers import RoomId, UserId
from palpo.core.records.key_backups import BackedUpSession, Backup
from palpo.core.records.quotas import Kind
from palpo.db.engine import Database
from palpo.db.transaction import Transaction, WriteTransaction
from palpo.services.server.quotas import Quotas
from palpo.storage import key_backups as storage

PAGE = 100
"""Sessions that are read or written at a time."""
MAX_ALGORITHM = 255
MAX_SESSIONS = 5_000
"""Sessions in one request, which has not place for as many that are real."""
MAX_SESSION_DATA = 64 * 1024
"""Bytes: what the spec's algorithm makes of a session has less than one thousand."""

MAX_AUTH_DATA = 64 * 1024
"""Bytes: what the spec's algorithm has there is a key and some signatures."""
KEPT_DELETED = 100
"""Deleted versions of one user that are remembered as such."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Contents:
    """What a backup holds after a write: ``etag`` differs whenever the sessions do."""

    etag: str
    count: int


def check_number(sessions: int) -> None:
    """Raises TooLarge for too many sessions at once."""
    if sessions > MAX_SESSIONS:
        raise TooLarge(f"More than {MAX_SESSIONS} sessions at once")


def make_session(
    room_id: RoomId,
    session_id: str,
    *,
    first_message_index: int,
    forwarded_count: int,
    is_verified: bool,
    session_data: Mapping[str, Any],
) -> BackedUpSession:
    """A session as a client gives it; raises InvalidParam, BadJson and TooLarge."""
    if not storable(session_id):
        raise InvalidParam("A session ID has 1 to 255 bytes, and no NUL")
    if not 0 <= first_message_index < 2**63 or not 0 <= forwarded_count < 2**63:
        raise InvalidParam("first_message_index and forwarded_count are not negative, nor of 64 bits")
    encoded = canonical_json.encode_lax(session_data)
    if len(encoded) > MAX_SESSION_DATA:
        raise TooLarge(f"session_data is over {MAX_SESSION_DATA} bytes")
    return BackedUpSession(
        room_id=room_id,
        session_id=session_id,
        first_message_index=first_message_index,
        forwarded_count=forwarded_count,
        is_verified=is_verified,
        session_data=encoded,
    )


class KeyBackups:
    """Keeps the keys that users' clients store, encrypted, on the server."""

    def __init__(self, db: Database, quotas: Quotas) -> None:
        self._db = db
        self._quotas = quotas

    async def create(self, user_id: UserId, algorithm: str, auth_data: Mapping[str, Any]) -> str:
        """Begin a new backup; its version. Raises InvalidParam, BadJson, TooLarge, and what quotas do."""
        if not algorithm or len(algorithm) > MAX_ALGORITHM:
            raise InvalidParam("Not an algorithm")
        encoded = _auth_data(auth_data)

        async def unit(tx: WriteTransaction) -> str:
            version = await storage.insert(tx, user_id, algorithm, encoded)
            await self._quotas.recount(tx, user_id, Kind.BACKUP_VERSIONS)
            return str(version)

        return await self._db.write(unit)

    async def get(self, user_id: UserId, version: str | None) -> Backup:
        """One version, or (None) the current one; raises NotFound."""

        async def unit(tx: Transaction) -> Backup:
            if version is not None:
                return await _existing(tx, user_id, version)
            current = await storage.current(tx, user_id)
            if current is None:
                raise NotFound("There is no backup")
            return current

        return await self._db.read(unit)

    async def update(
        self,
        user_id: UserId,
        version: str,
        *,
        algorithm: str,
        auth_data: Mapping[str, Any],
        body_version: str | None,
    ) -> None:
        """Replace ``auth_data``; raises NotFound, TooLarge, and InvalidParam where more would change."""
        encoded = _auth_data(auth_data)

        async def unit(tx: WriteTransaction) -> None:
            backup = await _existing(tx, user_id, version)
            if algorithm != backup.algorithm:
                raise InvalidParam("The algorithm is not the backup's")
            if body_version not in (None, version):
                raise InvalidParam("The version in the body is not the one in the path")
            await storage.set_auth_data(tx, backup.version, encoded)

        await self._db.write(unit)

    async def delete(self, user_id: UserId, version: str) -> None:
        """Delete a version, again if need be; raises NotFound for one that there never was."""

        async def unit(tx: WriteTransaction) -> None:
            backup = await storage.find(tx, user_id, version)
            if backup is None:
                raise NotFound("Unknown backup version")
            if not backup.deleted:
                await _lock(tx, backup)
                keys, size = await storage.size(tx, backup.version)
                await storage.delete_backup(tx, backup.version)
                await self._charge(tx, user_id, -keys, -size)
                await self._quotas.recount(tx, user_id, Kind.BACKUP_VERSIONS)
                await storage.forget_deleted(tx, user_id, keep=KEPT_DELETED)

        await self._db.write(unit)

    async def put_sessions(
        self, user_id: UserId, version: str, sessions: Sequence[BackedUpSession]
    ) -> Contents:
        """Store sessions where they are better than those that are there.

        Some at a time: others write in between, and where it ends early the client sends all of them again.
        Raises NotFound, Forbidden (M_WRONG_ROOM_KEYS_VERSION) for any but the current version, TooLarge
        for too many at once, and what quotas do.
        """
        check_number(len(sessions))
        contents = await self._put_some(user_id, version, sessions[:PAGE])
        for start in range(PAGE, len(sessions), PAGE):
            contents = await self._put_some(user_id, version, sessions[start : start + PAGE])
        return contents

    async def _put_some(self, user_id: UserId, version: str, sessions: Sequence[BackedUpSession]) -> Contents:
        async def unit(tx: WriteTransaction) -> Contents:
            backup = await _existing(tx, user_id, version)
            await _lock(tx, backup)
            current = await storage.current(tx, user_id)
            if current is None:
                raise NotFound("Unknown backup version")
            if current.version != backup.version:
                raise Forbidden(
                    "That is not the current backup version",
                    errcode="M_WRONG_ROOM_KEYS_VERSION",
                    fields={"current_version": current.called},
                )
            known = await _known(tx, backup.version, sessions)
            better = [item for item in sessions if _is_better(item, known.get(item.key))]
            added = sum(item.key not in known for item in better)
            if better:
                replaced = [known[item.key] for item in better if item.key in known]
                await self._charge(tx, user_id, added, _size(better) - _size(replaced))
                await storage.put_sessions(tx, backup.version, better)
                await storage.changed(tx, backup.version, added)
            return Contents(etag=str(current.etag + bool(better)), count=current.count + added)

        return await self._db.write(unit)

    async def session(
        self, user_id: UserId, version: str, room_id: RoomId, session_id: str
    ) -> BackedUpSession:
        """One session; raises NotFound."""

        async def unit(tx: Transaction) -> BackedUpSession:
            backup = await _existing(tx, user_id, version)
            found = await storage.find_session(tx, backup.version, room_id, session_id)
            if found is None:
                raise NotFound("The backup has no such key")
            return found

        return await self._db.read(unit)

    async def pages(
        self, user_id: UserId, version: str, room_id: RoomId | None
    ) -> AsyncIterator[list[BackedUpSession]]:
        """All sessions, or a room's, some at a time, by room and session.

        Raises NotFound, before anything is iterated over.
        """
        backup = await self._db.read(lambda tx: _existing(tx, user_id, version))
        return self._pages(backup.version, room_id)

    async def _pages(self, version: int, room_id: RoomId | None) -> AsyncIterator[list[BackedUpSession]]:
        find = partial(storage.page, version=version, room_id=room_id, limit=PAGE)
        after = ("", "")
        while True:
            page = await self._db.read(partial(find, after=after))
            if page:
                yield page
            if len(page) < PAGE:
                return
            after = page[-1].key

    async def delete_sessions(
        self, user_id: UserId, version: str, room_id: RoomId | None = None, session_id: str | None = None
    ) -> Contents:
        """Delete one session, a room's, or all; raises NotFound for an unknown version."""

        async def unit(tx: WriteTransaction) -> Contents:
            backup = await _existing(tx, user_id, version)
            await _lock(tx, backup)
            keys, size = await storage.size(tx, backup.version, room_id, session_id)
            await self._charge(tx, user_id, -keys, -size)
            deleted = await storage.delete_sessions(tx, backup.version, room_id, session_id)
            if deleted:
                await storage.changed(tx, backup.version, -deleted)
            after = await _existing(tx, user_id, version)
            return Contents(etag=str(after.etag), count=after.count)

        return await self._db.write(unit)

    async def _charge(self, tx: WriteTransaction, user_id: UserId, keys: int, size: int) -> None:
        await self._quotas.charge(tx, user_id, {Kind.BACKUP_KEYS: keys, Kind.BACKUP_BYTES: size})


def _auth_data(auth_data: Mapping[str, Any]) -> bytes:
    encoded = canonical_json.encode_lax(auth_data)
    if len(encoded) > MAX_AUTH_DATA:
        raise TooLarge(f"auth_data is over {MAX_AUTH_DATA} bytes")
    return encoded


def _size(sessions: Sequence[BackedUpSession]) -> int:
    return sum(len(item.session_data) for item in sessions)


async def _existing(tx: Transaction, user_id: UserId, version: str) -> Backup:
    backup = await storage.find(tx, user_id, version)
    if backup is None or backup.deleted:
        raise NotFound("Unknown backup version")
    return backup


async def _lock(tx: WriteTransaction, backup: Backup) -> None:
    """Keep others from the backup; the positions' lock, which quotas take, comes first everywhere."""
    await tx.positions()
    await storage.lock(tx, backup.version)


async def _known(
    tx: Transaction, version: int, sessions: Sequence[BackedUpSession]
) -> dict[tuple[str, str], BackedUpSession]:
    by_room: dict[str, list[str]] = {}
    for item in sessions:
        by_room.setdefault(item.room_id, []).append(item.session_id)
    known: dict[tuple[str, str], BackedUpSession] = {}
    for room_id, session_ids in by_room.items():
        found = await storage.find_sessions(tx, version, room_id, session_ids)
        known.update({(room_id, session_id): item for session_id, item in found.items()})
    return known


def _is_better(new: BackedUpSession, known: BackedUpSession | None) -> bool:
    """Whether ``new`` replaces ``known``: verified, then reaching further back, then less forwarded."""
    return known is None or _rank(new) < _rank(known)


def _rank(item: BackedUpSession) -> tuple[bool, int, int]:
    return not item.is_verified, item.first_message_index, item.forwarded_count
