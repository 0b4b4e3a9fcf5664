"""Backups of room keys (spec: client-server API, "Server-side key backups")."""

from __future__ import annotations

import msgspec

from palpo.core.identifiers import RoomId
from palpo.wire.endpoint import (
    KIB,
    Body,
    Endpoint,
    Json,
    Limit,
    NoBody,
    NoParams,
    Params,
    Response,
    client,
    draft,
)

MAX_UPLOAD = 4 * 1024 * KIB
"""Bytes of keys in one request."""


class NewBackup(Body, frozen=True):
    """Body of POST /room_keys/version."""

    algorithm: str
    auth_data: Json


class NewBackupVersion(Response, frozen=True):
    """The version of a new backup."""

    version: str


class VersionParams(Params, frozen=True):
    """A backup's version, in the path or in the query."""

    version: str


class BackupInfo(Response, frozen=True):
    """A backup."""

    algorithm: str
    auth_data: msgspec.Raw
    count: int
    etag: str
    version: str


class BackupUpdate(Body, frozen=True):
    """Body of PUT /room_keys/version/{version}."""

    algorithm: str
    auth_data: Json
    version: str | None = None


class RoomParams(VersionParams, frozen=True):
    """A room's keys in a backup."""

    room_id: RoomId


class SessionParams(RoomParams, frozen=True):
    """A session's key in a backup."""

    session_id: str


class KeyBackupData(Body, frozen=True):
    """A session's key."""

    first_message_index: int
    forwarded_count: int
    is_verified: bool
    session_data: Json


class StoredKeyBackupData(Response, frozen=True):
    """A session's key, as it is given back."""

    first_message_index: int
    forwarded_count: int
    is_verified: bool
    session_data: msgspec.Raw


class RoomKeyBackup(Body, frozen=True):
    """A room's keys, by session ID: each a KeyBackupData."""

    sessions: dict[str, msgspec.Raw]


class KeyBackup(Body, frozen=True):
    """Keys, by room ID: each a RoomKeyBackup."""

    rooms: dict[str, msgspec.Raw]


class RoomKeysUpdated(Response, frozen=True):
    """What the backup holds after a write."""

    etag: str
    count: int


def _paths(path: str) -> tuple[str, ...]:
    return client(f"/room_keys{path}") + draft(f"/room_keys{path}")


post_room_keys_version: Endpoint[NoParams, NewBackup, NewBackupVersion] = Endpoint(
    operation_id="postRoomKeysVersion",
    method="POST",
    paths=_paths("/version"),
    limit=Limit.BACKUP,
    body=NewBackup,
    response=NewBackupVersion,
)

get_room_keys_version_current: Endpoint[NoParams, NoBody, BackupInfo] = Endpoint(
    operation_id="getRoomKeysVersionCurrent",
    method="GET",
    paths=_paths("/version"),
    limit=Limit.BACKUP,
    response=BackupInfo,
)

get_room_keys_version: Endpoint[VersionParams, NoBody, BackupInfo] = Endpoint(
    operation_id="getRoomKeysVersion",
    method="GET",
    paths=_paths("/version/{version}"),
    limit=Limit.BACKUP,
    params=VersionParams,
    response=BackupInfo,
)

put_room_keys_version: Endpoint[VersionParams, BackupUpdate, None] = Endpoint(
    operation_id="putRoomKeysVersion",
    method="PUT",
    paths=_paths("/version/{version}"),
    limit=Limit.BACKUP,
    params=VersionParams,
    body=BackupUpdate,
)

delete_room_keys_version: Endpoint[VersionParams, NoBody, None] = Endpoint(
    operation_id="deleteRoomKeysVersion",
    method="DELETE",
    paths=_paths("/version/{version}"),
    limit=Limit.BACKUP,
    params=VersionParams,
)

put_room_key_by_session_id: Endpoint[SessionParams, KeyBackupData, RoomKeysUpdated] = Endpoint(
    operation_id="putRoomKeyBySessionId",
    method="PUT",
    paths=_paths("/keys/{room_id}/{session_id}"),
    limit=Limit.BACKUP,
    params=SessionParams,
    body=KeyBackupData,
    response=RoomKeysUpdated,
)

get_room_key_by_session_id: Endpoint[SessionParams, NoBody, StoredKeyBackupData] = Endpoint(
    operation_id="getRoomKeyBySessionId",
    method="GET",
    paths=_paths("/keys/{room_id}/{session_id}"),
    limit=Limit.BACKUP,
    params=SessionParams,
    response=StoredKeyBackupData,
)

delete_room_key_by_session_id: Endpoint[SessionParams, NoBody, RoomKeysUpdated] = Endpoint(
    operation_id="deleteRoomKeyBySessionId",
    method="DELETE",
    paths=_paths("/keys/{room_id}/{session_id}"),
    limit=Limit.BACKUP,
    params=SessionParams,
    response=RoomKeysUpdated,
)

put_room_keys_by_room_id: Endpoint[RoomParams, RoomKeyBackup, RoomKeysUpdated] = Endpoint(
    operation_id="putRoomKeysByRoomId",
    method="PUT",
    paths=_paths("/keys/{room_id}"),
    limit=Limit.BACKUP,
    params=RoomParams,
    body=RoomKeyBackup,
    response=RoomKeysUpdated,
    max_body=MAX_UPLOAD,
)

get_room_keys_by_room_id: Endpoint[RoomParams, NoBody, Json] = Endpoint(
    operation_id="getRoomKeysByRoomId",
    method="GET",
    paths=_paths("/keys/{room_id}"),
    limit=Limit.BACKUP,
    params=RoomParams,
    response=dict,
    large_answer=True,
)

delete_room_keys_by_room_id: Endpoint[RoomParams, NoBody, RoomKeysUpdated] = Endpoint(
    operation_id="deleteRoomKeysByRoomId",
    method="DELETE",
    paths=_paths("/keys/{room_id}"),
    limit=Limit.BACKUP,
    params=RoomParams,
    response=RoomKeysUpdated,
)

put_room_keys: Endpoint[VersionParams, KeyBackup, RoomKeysUpdated] = Endpoint(
    operation_id="putRoomKeys",
    method="PUT",
    paths=_paths("/keys"),
    limit=Limit.BACKUP,
    params=VersionParams,
    body=KeyBackup,
    response=RoomKeysUpdated,
    max_body=MAX_UPLOAD,
)

get_room_keys: Endpoint[VersionParams, NoBody, Json] = Endpoint(
    operation_id="getRoomKeys",
    method="GET",
    paths=_paths("/keys"),
    limit=Limit.BACKUP,
    params=VersionParams,
    response=dict,
    large_answer=True,
)

delete_room_keys: Endpoint[VersionParams, NoBody, RoomKeysUpdated] = Endpoint(
    operation_id="deleteRoomKeys",
    method="DELETE",
    paths=_paths("/keys"),
    limit=Limit.BACKUP,
    params=VersionParams,
    response=RoomKeysUpdated,
)
