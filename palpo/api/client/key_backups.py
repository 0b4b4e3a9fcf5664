"""Backups of room keys. What may be large, a whole backup, is read and sent piece by piece."""

from collections.abc import AsyncIterator, Mapping

import msgspec

from palpo.api.call import Call, Handlers, Reply
from palpo.api.codec import encode
from palpo.api.pieces import Pieces
from palpo.core.identifiers import RoomId, parse_room_id
from palpo.core.records.key_backups import BackedUpSession, Backup
from palpo.services.encryption.key_backups import Contents, check_number, make_session
from palpo.wire.client import key_backups as wire
from palpo.wire.endpoint import NoBody, NoParams

handlers = Handlers()

ROOMS = Pieces[wire.RoomKeyBackup](wire.RoomKeyBackup)
SESSIONS = Pieces[wire.KeyBackupData](wire.KeyBackupData)

Pages = AsyncIterator[list[BackedUpSession]]


def _info(backup: Backup) -> wire.BackupInfo:
    return wire.BackupInfo(
        algorithm=backup.algorithm,
        auth_data=msgspec.Raw(bytes(backup.auth_data)),
        count=backup.count,
        etag=str(backup.etag),
        version=backup.called,
    )


async def _put(call: Call, version: str, sessions: list[BackedUpSession]) -> wire.RoomKeysUpdated:
    backups = call.services.encryption.key_backups
    return _updated(await backups.put_sessions(call.user_id, version, sessions))


async def _delete(
    call: Call, version: str, room_id: RoomId | None = None, session_id: str | None = None
) -> wire.RoomKeysUpdated:
    backups = call.services.encryption.key_backups
    return _updated(await backups.delete_sessions(call.user_id, version, room_id, session_id))


def _updated(contents: Contents) -> wire.RoomKeysUpdated:
    return wire.RoomKeysUpdated(etag=contents.etag, count=contents.count)


def _stored(session: BackedUpSession) -> wire.StoredKeyBackupData:
    return wire.StoredKeyBackupData(
        first_message_index=session.first_message_index,
        forwarded_count=session.forwarded_count,
        is_verified=session.is_verified,
        session_data=msgspec.Raw(bytes(session.session_data)),
    )


def _session(room_id: RoomId, session_id: str, data: wire.KeyBackupData) -> BackedUpSession:
    return make_session(
        room_id,
        session_id,
        first_message_index=data.first_message_index,
        forwarded_count=data.forwarded_count,
        is_verified=data.is_verified,
        session_data=data.session_data,
    )


async def _sessions(
    room_id: RoomId, sessions: Mapping[str, msgspec.Raw], *, before: int = 0
) -> list[BackedUpSession]:
    """A room's sessions, of which ``before`` came in other rooms. Raises TooLarge, BadJson, MissingParam."""
    check_number(before + len(sessions))
    return [_session(room_id, session_id, data) async for session_id, data in SESSIONS.each(sessions)]


@handlers.serves(wire.post_room_keys_version)
async def post_room_keys_version(call: Call, params: NoParams, body: wire.NewBackup) -> wire.NewBackupVersion:
    """POST /room_keys/version."""
    version = await call.services.encryption.key_backups.create(call.user_id, body.algorithm, body.auth_data)
    return wire.NewBackupVersion(version=version)


@handlers.serves(wire.get_room_keys_version_current)
async def get_room_keys_version_current(call: Call, params: NoParams, body: NoBody) -> wire.BackupInfo:
    """GET /room_keys/version."""
    return _info(await call.services.encryption.key_backups.get(call.user_id, None))


@handlers.serves(wire.get_room_keys_version)
async def get_room_keys_version(call: Call, params: wire.VersionParams, body: NoBody) -> wire.BackupInfo:
    """GET /room_keys/version/{version}."""
    return _info(await call.services.encryption.key_backups.get(call.user_id, params.version))


@handlers.serves(wire.put_room_keys_version)
async def put_room_keys_version(call: Call, params: wire.VersionParams, body: wire.BackupUpdate) -> None:
    """PUT /room_keys/version/{version}."""
    await call.services.encryption.key_backups.update(
        call.user_id,
        params.version,
        algorithm=body.algorithm,
        auth_data=body.auth_data,
        body_version=body.version,
    )


@handlers.serves(wire.delete_room_keys_version)
async def delete_room_keys_version(call: Call, params: wire.VersionParams, body: NoBody) -> None:
    """DELETE /room_keys/version/{version}."""
    await call.services.encryption.key_backups.delete(call.user_id, params.version)


@handlers.serves(wire.put_room_key_by_session_id)
async def put_room_key_by_session_id(
    call: Call, params: wire.SessionParams, body: wire.KeyBackupData
) -> wire.RoomKeysUpdated:
    """PUT /room_keys/keys/{roomId}/{sessionId}."""
    return await _put(call, params.version, [_session(params.room_id, params.session_id, body)])


@handlers.serves(wire.get_room_key_by_session_id)
async def get_room_key_by_session_id(
    call: Call, params: wire.SessionParams, body: NoBody
) -> wire.StoredKeyBackupData:
    """GET /room_keys/keys/{roomId}/{sessionId}."""
    return _stored(
        await call.services.encryption.key_backups.session(
            call.user_id, params.version, params.room_id, params.session_id
        )
    )


@handlers.serves(wire.delete_room_key_by_session_id)
async def delete_room_key_by_session_id(
    call: Call, params: wire.SessionParams, body: NoBody
) -> wire.RoomKeysUpdated:
    """DELETE /room_keys/keys/{roomId}/{sessionId}."""
    return await _delete(call, params.version, params.room_id, params.session_id)


@handlers.serves(wire.put_room_keys_by_room_id)
async def put_room_keys_by_room_id(
    call: Call, params: wire.RoomParams, body: wire.RoomKeyBackup
) -> wire.RoomKeysUpdated:
    """PUT /room_keys/keys/{roomId}."""
    return await _put(call, params.version, await _sessions(params.room_id, body.sessions))


@handlers.serves(wire.get_room_keys_by_room_id)
async def get_room_keys_by_room_id(call: Call, params: wire.RoomParams, body: NoBody) -> Reply:
    """GET /room_keys/keys/{roomId}."""
    pages = await call.services.encryption.key_backups.pages(call.user_id, params.version, params.room_id)
    return Reply(body=_room_json(pages))


@handlers.serves(wire.delete_room_keys_by_room_id)
async def delete_room_keys_by_room_id(
    call: Call, params: wire.RoomParams, body: NoBody
) -> wire.RoomKeysUpdated:
    """DELETE /room_keys/keys/{roomId}."""
    return await _delete(call, params.version, params.room_id)


@handlers.serves(wire.put_room_keys)
async def put_room_keys(call: Call, params: wire.VersionParams, body: wire.KeyBackup) -> wire.RoomKeysUpdated:
    """PUT /room_keys/keys."""
    sessions: list[BackedUpSession] = []
    async for room_id, room in ROOMS.each(body.rooms):
        sessions += await _sessions(parse_room_id(room_id), room.sessions, before=len(sessions))
    return await _put(call, params.version, sessions)


@handlers.serves(wire.get_room_keys)
async def get_room_keys(call: Call, params: wire.VersionParams, body: NoBody) -> Reply:
    """GET /room_keys/keys."""
    return Reply(
        body=_rooms_json(await call.services.encryption.key_backups.pages(call.user_id, params.version, None))
    )


@handlers.serves(wire.delete_room_keys)
async def delete_room_keys(call: Call, params: wire.VersionParams, body: NoBody) -> wire.RoomKeysUpdated:
    """DELETE /room_keys/keys."""
    return await _delete(call, params.version)


def _member(session: BackedUpSession) -> bytes:
    return encode(session.session_id) + b":" + encode(_stored(session))


async def _room_json(pages: Pages) -> AsyncIterator[bytes]:
    """``{"sessions": ...}``, a page at a time."""
    yield b'{"sessions":{'
    separator = b""
    async for page in pages:
        yield separator + b",".join(map(_member, page))
        separator = b","
    yield b"}}"


async def _rooms_json(pages: Pages) -> AsyncIterator[bytes]:
    """``{"rooms": ...}``, a page at a time: sessions come sorted by room."""
    yield b'{"rooms":{'
    room_id: RoomId | None = None
    async for page in pages:
        parts: list[bytes] = []
        for session in page:
            if session.room_id == room_id:
                parts.append(b",")
            else:
                parts += [b"" if room_id is None else b"}},", encode(session.room_id), b':{"sessions":{']
                room_id = session.room_id
            parts.append(_member(session))
        yield b"".join(parts)
    yield b"}}" if room_id is None else b"}}}}"
