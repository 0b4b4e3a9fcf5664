"""Backups of room keys: versions, and the sessions in each."""

from __future__ import annotations

from dataclasses import dataclass

from palpo.core.identifiers import RoomId, UserId


@dataclass(frozen=True, slots=True, kw_only=True)
class Backup:
    """One version of a user's backup. ``auth_data`` is JSON."""

    version: int
    user_id: UserId
    algorithm: str
    auth_data: bytes
    etag: int = 0
    count: int = 0
    deleted: bool = False
    name: str | None = None
    """What clients call it where that is not ``version``: so it is where they had it on another server."""

    @property
    def called(self) -> str:
        """The version as clients know it."""
        return self.name or str(self.version)


@dataclass(frozen=True, slots=True, kw_only=True)
class BackedUpSession:
    """A session's key in a backup. ``session_data`` is JSON."""

    room_id: RoomId
    session_id: str
    first_message_index: int
    forwarded_count: int
    is_verified: bool
    session_data: bytes

    @property
    def key(self) -> tuple[str, str]:
        """``(room, session)``."""
        return self.room_id, self.session_id
