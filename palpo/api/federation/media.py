"""Media that other servers download."""

from __future__ import annotations

from collections.abc import AsyncIterator

from palpo.api.call import Call, Handlers, Reply
from palpo.core.records.media import MediaRecord
from palpo.media.headers import DEFAULT_TYPE, disposition
from palpo.services.media.media import thumbnail_name, thumbnail_spec
from palpo.wire.client.media import Method
from palpo.wire.endpoint import NoBody
from palpo.wire.federation import media as wire

handlers = Handlers()


@handlers.serves(wire.get_content)
async def get_content(call: Call, params: wire.Download, body: NoBody) -> Reply:
    """GET /media/download/{mediaId}."""
    record = await _find(call, params)
    assert record.sha256 is not None
    content_type = record.content_type or DEFAULT_TYPE
    return _reply(call, record.sha256, record.size, content_type, record.filename)


@handlers.serves(wire.get_content_thumbnail)
async def get_content_thumbnail(call: Call, params: wire.Thumbnail, body: NoBody) -> Reply:
    """GET /media/thumbnail/{mediaId}."""
    record = await _find(call, params)
    crop = params.method is Method.CROP
    spec = thumbnail_spec(params.width, params.height, crop=crop, animated=params.animated)
    found = await call.services.media.media.thumbnail(record, spec)
    return _reply(call, found.sha256, found.size, found.content_type, thumbnail_name(found.content_type))


async def _find(call: Call, params: wire.Download) -> MediaRecord:
    """Media of this server's own; raises NotFound."""
    return await call.services.media.media.find(
        call.services.server.name, params.media_id, timeout_ms=params.timeout_ms, allow_remote=False
    )


def _reply(call: Call, sha256: bytes, size: int, content_type: str, filename: str | None) -> Reply:
    """Two parts: nothing is said of the content, and the content."""
    boundary = call.services.server.random_id()
    head = (
        f"--{boundary}\r\nContent-Type: application/json\r\n\r\n{{}}\r\n--{boundary}\r\n"
        f"Content-Type: {content_type}\r\n"
        f"Content-Disposition: {disposition(content_type, filename)}\r\n\r\n"
    ).encode()
    tail = f"\r\n--{boundary}--\r\n".encode()

    async def parts() -> AsyncIterator[bytes]:
        yield head
        async for chunk in call.services.media.media.read(sha256):
            yield chunk
        yield tail

    return Reply(
        body=parts(),
        content_type=f"multipart/mixed; boundary={boundary}",
        headers={"Content-Length": str(len(head) + size + len(tail))},
    )
