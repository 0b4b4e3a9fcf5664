"""The content repository: uploads, downloads and thumbnails (spec: "Content repository")."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from contextlib import suppress
from dataclasses import dataclass
from functools import partial

from palpo.core.errors import (
    BadRequest,
    Conflict,
    Forbidden,
    InvalidParam,
    LimitExceeded,
    MatrixError,
    NotFound,
    TooLarge,
)
from palpo.core.identifiers import MxcUri, UserId, parse_mxc_uri
from palpo.core.records.media import MediaRecord
from palpo.core.records.quotas import Kind
from palpo.db.errors import DatabaseError, StorageFailed, Unreachable
from palpo.db.transaction import WriteTransaction, WriteUnit
from palpo.media.blobs import Blob, BlobTooLarge, scratch_file, using
from palpo.media.headers import checked_type
from palpo.media.images import ImageTooLarge, ImageUnsupported, ImageWorkers, ThumbnailSpec
from palpo.media.remote import RemoteMedia
from palpo.services.media.media_accesses import MediaAccesses
from palpo.services.media.media_cleanup import discard
from palpo.services.media.quarantine import withheld, withhold_known
from palpo.services.server import Server
from palpo.storage import media as storage
from palpo.storage.media import Thumbnail
from palpo.storage.quotas import SERVER
from palpo.streams import topics
from palpo.streams.keyed_locks import KeyedLocks

DEFAULT_TIMEOUT_MS = 20_000
MAX_TIMEOUT_MS = 60_000
MAX_FILENAME = 1024
"""Bytes of UTF-8."""
SIDES = (16, 32, 48, 64, 96, 128, 240, 320, 480, 600, 640, 800, 1024, 1600, 2048)
"""Thumbnails have sides that are among these, so that nobody can have one made of every size."""

THUMBNAIL_NAMES = {
    "image/jpeg": "thumbnail.jpg",
    "image/gif": "thumbnail.gif",
    "image/webp": "thumbnail.webp",
}


@dataclass(frozen=True, slots=True, kw_only=True)
class Upload:
    """Content on its way in, and what its sender says of it."""

    chunks: AsyncIterator[bytes]
    declared_size: int | None = None
    """Bytes, where the sender says."""
    content_type: str | None = None
    filename: str | None = None


def thumbnail_name(content_type: str) -> str:
    """What the file of a thumbnail of this type is called."""
    return THUMBNAIL_NAMES.get(content_type, "thumbnail.png")


def thumbnail_spec(width: int, height: int, *, crop: bool, animated: bool) -> ThumbnailSpec:
    """What to make for a client that asks for ``width`` by ``height`` pixels: the next sides up."""
    return ThumbnailSpec(width=_side(width), height=_side(height), crop=crop, animated=animated)


def _side(wanted: int) -> int:
    """The next side up: of those above SIDES, the powers of two, since no thumbnail is too small."""
    return next((side for side in SIDES if side >= wanted), 1 << (wanted - 1).bit_length())


class Media:
    """Local media, and those of other servers through ``remote``."""

    def __init__(
        self,
        server: Server,
        images: ImageWorkers,
        accesses: MediaAccesses,
        *,
        remote: RemoteMedia | None = None,
    ) -> None:
        self._config = server.config.media
        self._db = server.db
        self._clock = server.clock
        self._wakeups = server.wakeups
        self._blobs = server.blobs
        self._images = images
        self._accesses = accesses
        self._remote = remote
        self._quotas = server.quotas
        self._server_name = server.name
        self._random_id = server.random_id
        self._locks = KeyedLocks()

    async def create(self, user_id: UserId) -> MediaRecord:
        """A new URI whose content is to be uploaded before it expires.

        Raises LimitExceeded where the user has too many that wait.
        """
        now = self._clock.now_ms()
        record = MediaRecord(
            origin=self._server_name,
            media_id=self._random_id(),
            user_id=user_id,
            created_ts=now,
            expires_ts=now + self._config.pending_seconds * 1000,
        )

        async def unit(tx: WriteTransaction) -> int | None:
            await storage.delete_expired(tx, user_id, now_ms=now)
            count, first = await storage.pending(tx, user_id, now_ms=now)
            if count >= self._config.max_pending:
                return first - now
            await storage.insert(tx, record)
            return None

        wait_ms = await self._db.write(unit)
        if wait_ms is not None:
            raise LimitExceeded("Too many media await their content", retry_after_ms=wait_ms)
        return record

    async def upload(self, user_id: UserId, upload: Upload) -> MediaRecord:
        """Store content under a new URI. Raises TooLarge, InvalidParam, and what quotas do."""
        filename = _checked_filename(upload.filename)
        blob = await self._receive(user_id, upload)
        record = MediaRecord(
            origin=self._server_name,
            media_id=self._random_id(),
            user_id=user_id,
            created_ts=self._clock.now_ms(),
            sha256=blob.sha256,
            size=blob.size,
            content_type=checked_type(upload.content_type),
            filename=filename,
            authenticated=not self._config.legacy,
        )

        async def unit(tx: WriteTransaction) -> None:
            await self._charge(tx, user_id, blob.size)
            await storage.insert(tx, await withheld(tx, record))

        await self._write_or_discard(unit, blob)
        return record

    async def upload_to(self, user_id: UserId, server_name: str, media_id: str, upload: Upload) -> None:
        """Store content under a URI that ``create`` made.

        Raises NotFound where it was not made or has expired, Forbidden where by another user,
        M_CANNOT_OVERWRITE_MEDIA (409) where it has content already, TooLarge, InvalidParam, and what quotas
        do.
        """
        filename = _checked_filename(upload.filename)
        uri = _uri(server_name, media_id)
        await self._check_pending(user_id, uri)
        blob = await self._receive(user_id, upload)

        async def unit(tx: WriteTransaction) -> None:
            await self._charge(tx, user_id, blob.size)
            filled = await storage.fill(
                tx,
                server_name,
                media_id,
                sha256=blob.sha256,
                size=blob.size,
                content_type=checked_type(upload.content_type),
                filename=filename,
                authenticated=not self._config.legacy,
            )
            if not filled:
                record = await storage.find(tx, server_name, media_id)
                raise _unknown(uri) if record is None else _overwriting()
            await withhold_known(tx, server_name, media_id)
            # A position, so that who looked before this commit and waits after it is woken too.
            await tx.positions()
            tx.notify(topics.MEDIA, media_id)

        await self._write_or_discard(unit, blob)

    async def find(
        self,
        server_name: str,
        media_id: str,
        *,
        timeout_ms: int | None = None,
        allow_remote: bool = True,
        unauthenticated: bool = False,
        even_quarantined: bool = False,
    ) -> MediaRecord:
        """Media whose content is here, waiting up to ``timeout_ms`` for one that is not uploaded yet.

        ``unauthenticated`` is a request to the endpoints that were frozen, ``even_quarantined`` that of an
        administrator who wants to see what others are not shown. Raises NotFound,
        M_NOT_YET_UPLOADED (504), and for other servers' media what RemoteMedia does.
        """
        uri = _uri(server_name, media_id)
        wait_ms = min(DEFAULT_TIMEOUT_MS if timeout_ms is None else max(0, timeout_ms), MAX_TIMEOUT_MS)
        if server_name == self._server_name:
            record = await self._local(uri, wait_ms)
        else:
            record = await self._cached(uri, wait_ms, allow_remote)
        if unauthenticated and record.authenticated and not self._config.legacy:
            raise _unknown(uri)
        if record.quarantined and not even_quarantined:
            raise _unknown(uri)
        if record.sha256 is None or not await self._blobs.has(record.sha256):
            raise _unknown(uri)
        self._accesses.note(record)
        return record

    def read(self, sha256: bytes, start: int = 0, stop: int | None = None) -> AsyncIterator[bytes]:
        """The content of what ``find`` or ``thumbnail`` found, from byte ``start`` to before ``stop``."""
        return self._blobs.read(sha256, start, stop)

    async def thumbnail(self, record: MediaRecord, spec: ThumbnailSpec) -> Thumbnail:
        """A thumbnail, made where there is none yet; the content itself where it is small.

        Raises TooLarge, with status 502 for other servers' images, and M_UNKNOWN (400) for what is
        no image.
        """
        assert record.sha256 is not None
        source = record.sha256
        async with self._locks.hold((source, spec.variant)):
            found = await self._db.read(lambda tx: storage.find_thumbnail(tx, source, spec.variant))
            if found is not None and await self._blobs.has(found.sha256):
                return found
            try:
                thumbnail = await self._make_thumbnail(record, source, spec)
            except ImageTooLarge:
                status = 413 if record.origin == self._server_name else 502
                raise TooLarge("The image is too large for a thumbnail", status=status) from None
            except ImageUnsupported:
                raise BadRequest("There are no thumbnails of this content") from None
            replaced = await self._db.write(partial(self._put_thumbnail, source, spec.variant, thumbnail))
            await discard(self._db, self._blobs, replaced)
            return thumbnail

    async def _put_thumbnail(
        self, source: bytes, variant: str, thumbnail: Thumbnail, tx: WriteTransaction
    ) -> list[bytes]:
        """Store a thumbnail; the content of those that had to make room for it."""
        before = await storage.find_thumbnail(tx, source, variant)
        more = _own_size(thumbnail, source) - (0 if before is None else _own_size(before, source))
        needed = await self._quotas.room_for(tx, Kind.THUMBNAIL_BYTES, more)
        gone = await storage.take_oldest_thumbnails(tx, needed)
        more -= sum(size for _, size in gone)
        await self._quotas.charge(tx, SERVER, {Kind.THUMBNAIL_BYTES: more})
        await storage.put_thumbnail(tx, source, variant, thumbnail, now_ms=self._clock.now_ms())
        return [sha256 for sha256, _ in gone]

    async def _make_thumbnail(self, record: MediaRecord, source: bytes, spec: ThumbnailSpec) -> Thumbnail:
        async with scratch_file(self._blobs) as target:
            async with self._blobs.local(source) as path:
                with using(self._blobs.condition):
                    facts = await self._images.thumbnail(path, target, spec)
            if facts.original:
                return Thumbnail(sha256=source, size=record.size, content_type=facts.content_type)
            blob = await self._blobs.adopt(target)
        return Thumbnail(sha256=blob.sha256, size=blob.size, content_type=facts.content_type)

    async def _receive(self, user_id: UserId, upload: Upload) -> Blob:
        """Store the content; raises TooLarge, and UserLimitExceeded at the user's bound."""
        most = self._config.max_upload_bytes
        left = await self._quotas.left(user_id, Kind.MEDIA_BYTES)
        limit = most if left is None else min(most, left)
        declared = upload.declared_size
        try:
            if declared is not None and declared > limit:
                raise BlobTooLarge
            return await self._blobs.put(upload.chunks, limit=limit)
        except BlobTooLarge:
            if limit < most and (declared is None or declared <= most):
                raise self._quotas.refusal(Kind.MEDIA_BYTES) from None
            raise TooLarge(f"Uploads may have {most} bytes") from None

    async def _charge(self, tx: WriteTransaction, user_id: UserId, size: int) -> None:
        await self._quotas.charge(tx, user_id, {Kind.MEDIA: 1, Kind.MEDIA_BYTES: size})

    async def _write_or_discard(self, unit: WriteUnit[None], blob: Blob) -> None:
        """Write what refers to ``blob``; where that is refused, or nothing can be written, remove it."""
        try:
            await self._db.write(unit)
        except (MatrixError, StorageFailed, Unreachable):
            with suppress(DatabaseError, MatrixError):
                await discard(self._db, self._blobs, [blob.sha256])
            raise

    async def _check_pending(self, user_id: UserId, uri: MxcUri) -> None:
        record = await self._db.read(lambda tx: storage.find(tx, uri.server, uri.media_id))
        if record is None or uri.server != self._server_name:
            raise _unknown(uri)
        if record.user_id != user_id:
            raise Forbidden("The media ID was created by somebody else")
        if record.sha256 is not None:
            raise _overwriting()
        if record.expires_ts is not None and record.expires_ts <= self._clock.now_ms():
            raise _unknown(uri)

    async def _local(self, uri: MxcUri, wait_ms: int) -> MediaRecord:
        loop = asyncio.get_running_loop()
        deadline = loop.time() + wait_ms / 1000
        while True:
            position = self._wakeups.position
            record = await self._db.read(lambda tx: storage.find(tx, uri.server, uri.media_id))
            if record is None:
                raise _unknown(uri)
            if record.sha256 is not None:
                return record
            if record.expires_ts is not None and record.expires_ts <= self._clock.now_ms():
                raise _unknown(uri)
            left = deadline - loop.time()
            wanted = {topics.MEDIA: {uri.media_id}}
            if not await self._wakeups.wait(wanted, after=position, timeout_s=left):
                raise MatrixError(
                    "The content has not been uploaded yet", status=504, errcode="M_NOT_YET_UPLOADED"
                )

    async def _cached(self, uri: MxcUri, wait_ms: int, allow_remote: bool) -> MediaRecord:
        """Another server's media, downloaded where they are not here yet."""
        async with self._locks.hold(uri):
            record = await self._db.read(lambda tx: storage.find(tx, uri.server, uri.media_id))
            if record is not None:
                return record
            if not allow_remote or self._remote is None:
                raise _unknown(uri)
            return await self._download(self._remote, uri, wait_ms)

    async def _download(self, remote: RemoteMedia, uri: MxcUri, wait_ms: int) -> MediaRecord:
        async with remote.fetch(uri.server, uri.media_id, timeout_ms=wait_ms) as content:
            try:
                blob = await self._blobs.put(content.chunks, limit=self._config.max_upload_bytes)
            except BlobTooLarge:
                raise TooLarge("The content is too large", status=502) from None
            filename = (content.filename or "").replace("\0", "")[: MAX_FILENAME // 4] or None
            record = MediaRecord(
                origin=uri.server,
                media_id=uri.media_id,
                user_id=None,
                created_ts=self._clock.now_ms(),
                sha256=blob.sha256,
                size=blob.size,
                content_type=checked_type(content.content_type),
                filename=filename,
                authenticated=not self._config.legacy,
            )
        stored, gone = await self._db.write(partial(self._put_remote, record))
        await discard(self._db, self._blobs, gone)
        return stored

    async def _put_remote(self, record: MediaRecord, tx: WriteTransaction) -> tuple[MediaRecord, list[bytes]]:
        """Store another server's media, withheld if their content is.

        Returns them with the content of those that had to make room for them.
        """
        record = await withheld(tx, record)
        needed = await self._quotas.room_for(tx, Kind.REMOTE_MEDIA_BYTES, record.size)
        gone = await storage.take_oldest_remote(tx, needed)
        more = record.size - sum(size for _, size in gone)
        await self._quotas.charge(tx, SERVER, {Kind.REMOTE_MEDIA_BYTES: more})
        await storage.insert_new(tx, record)
        return record, [sha256 for sha256, _ in gone]


def _own_size(thumbnail: Thumbnail, source: bytes) -> int:
    """Bytes that are stored for a thumbnail: none where it is the content itself."""
    return 0 if thumbnail.sha256 == source else thumbnail.size


def _uri(server_name: str, media_id: str) -> MxcUri:
    return parse_mxc_uri(f"mxc://{server_name}/{media_id}")


def _unknown(uri: MxcUri) -> NotFound:
    return NotFound(f"There is no {uri}")


def _overwriting() -> Conflict:
    return Conflict("The media ID has content already", errcode="M_CANNOT_OVERWRITE_MEDIA")


def _checked_filename(filename: str | None) -> str | None:
    if not filename:
        return None
    if len(filename.encode("utf-8", "replace")) > MAX_FILENAME:
        raise InvalidParam(f"A file name has at most {MAX_FILENAME} bytes")
    return filename
