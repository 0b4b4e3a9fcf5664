"""The content repository: uploads, downloads, thumbnails, previews of URLs."""

from __future__ import annotations

from collections.abc import AsyncIterator

from palpo.api.call import Call, Handlers, Reply
from palpo.core.records.media import MediaRecord
from palpo.media.headers import DEFAULT_TYPE, SECURITY, Unsatisfiable, byte_range, disposition
from palpo.services.media.media import Upload, thumbnail_name, thumbnail_spec
from palpo.wire.client import media as wire
from palpo.wire.endpoint import Auth, Limit, NoBody, NoParams, Stream

handlers = Handlers()
MAX_AGE = 24 * 3600
"""Seconds that a browser may keep media; they never change, but they can be withdrawn."""


@handlers.serves(wire.upload_content)
async def upload_content(call: Call, params: wire.UploadParams, body: Stream) -> wire.ContentUri:
    """POST /upload."""
    record = await call.services.media.media.upload(call.user_id, _upload(call, params.filename))
    return wire.ContentUri(content_uri=_uri(record))


@handlers.serves(wire.upload_content_to_mxc)
async def upload_content_to_mxc(call: Call, params: wire.UploadToParams, body: Stream) -> None:
    """PUT /upload/{serverName}/{mediaId}."""
    upload = _upload(call, params.filename)
    await call.services.media.media.upload_to(call.user_id, params.server_name, params.media_id, upload)


@handlers.serves(wire.create_content)
async def create_content(call: Call, params: NoParams, body: NoBody) -> wire.CreatedUri:
    """POST /create."""
    record = await call.services.media.media.create(call.user_id)
    return wire.CreatedUri(content_uri=_uri(record), unused_expires_at=record.expires_ts or 0)


@handlers.serves(wire.get_content)
@handlers.serves(wire.get_content_authed)
async def get_content(call: Call, params: wire.DownloadParams, body: NoBody) -> Reply:
    """GET /download/{serverName}/{mediaId}."""
    return _original(call, await _find(call, params))


@handlers.serves(wire.get_content_override_name)
@handlers.serves(wire.get_content_override_name_authed)
async def get_content_override_name(call: Call, params: wire.NamedDownloadParams, body: NoBody) -> Reply:
    """GET /download/{serverName}/{mediaId}/{fileName}."""
    return _original(call, await _find(call, params), params.file_name)


@handlers.serves(wire.get_content_thumbnail)
@handlers.serves(wire.get_content_thumbnail_authed)
async def get_content_thumbnail(call: Call, params: wire.ThumbnailParams, body: NoBody) -> Reply:
    """GET /thumbnail/{serverName}/{mediaId}."""
    record = await _find(call, params)
    crop = params.method is wire.Method.CROP
    spec = thumbnail_spec(params.width, params.height, crop=crop, animated=params.animated)
    thumbnail = await call.services.media.media.thumbnail(record, spec)
    name = thumbnail_name(thumbnail.content_type)
    return _reply(call, thumbnail.sha256, thumbnail.size, thumbnail.content_type, name)


@handlers.serves(wire.get_url_preview)
@handlers.serves(wire.get_url_preview_authed)
async def get_url_preview(call: Call, params: wire.PreviewParams, body: NoBody) -> Reply:
    """GET /preview_url."""
    return Reply(body=await call.services.media.url_previews.preview(call.user_id, params.url))


@handlers.serves(wire.get_config)
@handlers.serves(wire.get_config_authed)
async def get_config(call: Call, params: NoParams, body: NoBody) -> wire.MediaLimits:
    """GET /config."""
    return wire.MediaLimits(upload_size=call.services.server.config.media.max_upload_bytes)


def _upload(call: Call, filename: str | None) -> Upload:
    """What comes in, charged as soon as its size is known."""
    declared = call.headers.get("content-length", "")
    size = int(declared[:20]) if declared.isdecimal() else None
    if size is not None and size <= call.services.server.config.media.max_upload_bytes:
        call.charge(size, Limit.WRITTEN)
    return Upload(
        chunks=call.stream if size is not None else _charged(call),
        declared_size=size,
        content_type=call.headers.get("content-type"),
        filename=filename,
    )


async def _charged(call: Call) -> AsyncIterator[bytes]:
    async for chunk in call.stream:
        call.charge(len(chunk), Limit.WRITTEN)
        yield chunk


def _uri(record: MediaRecord) -> str:
    return f"mxc://{record.origin}/{record.media_id}"


async def _find(call: Call, params: wire.DownloadParams) -> MediaRecord:
    record = await call.services.media.media.find(
        params.server_name,
        params.media_id,
        timeout_ms=params.timeout_ms,
        allow_remote=params.allow_remote,
        unauthenticated=call.endpoint.auth is Auth.NONE,
        even_quarantined=params.admin_unsafely_bypass_quarantine
        and call.caller is not None
        and call.caller.is_admin,
    )
    if call.caller is not None:
        # It may have been waited for, and whoever waited may have been logged out since.
        await call.services.reading.waiting.confirm(call.caller)
    return record


def _original(call: Call, record: MediaRecord, filename: str | None = None) -> Reply:
    """What was uploaded, under another name where there is one."""
    assert record.sha256 is not None
    content_type = record.content_type or DEFAULT_TYPE
    return _reply(call, record.sha256, record.size, content_type, filename or record.filename)


def _reply(call: Call, sha256: bytes, size: int, content_type: str, filename: str | None) -> Reply:
    """The content, the part of it that is asked for, or word that the client has it already."""
    audience = "public" if call.endpoint.auth is Auth.NONE else "private"
    headers = {
        **SECURITY,
        "Cache-Control": f"{audience}, max-age={MAX_AGE}, immutable",
        "ETag": f'"{sha256.hex()}"',
        "Accept-Ranges": "bytes",
        "Content-Disposition": disposition(content_type, filename),
    }
    known = call.headers.get("if-none-match", "")
    if headers["ETag"] in known or known.strip() == "*":
        return Reply(status=304, content_type=content_type, headers=headers)
    try:
        # RFC 9110, 13.1.5: of another version than the client has, everything.
        changed = call.headers.get("if-range", headers["ETag"]).strip() != headers["ETag"]
        wanted = None if changed else byte_range(call.headers.get("range"), size)
    except Unsatisfiable:
        headers["Content-Range"] = f"bytes */{size}"
        return Reply(status=416, content_type=content_type, headers=headers)
    start, stop = wanted or (0, size)
    headers["Content-Length"] = str(stop - start)
    if wanted is not None:
        headers["Content-Range"] = f"bytes {start}-{stop - 1}/{size}"
    return Reply(
        status=200 if wanted is None else 206,
        body=call.services.media.media.read(sha256, start, stop),
        content_type=content_type,
        headers=headers,
    )
