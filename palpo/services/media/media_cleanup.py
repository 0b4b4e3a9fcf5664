"""Removing media: a URI and its content, URIs whose time is over, and content that nothing refers to."""

from __future__ import annotations

from collections.abc import AsyncIterator, Iterable, Sequence
from dataclasses import dataclass
from functools import partial

from palpo.core.errors import NotFound
from palpo.core.identifiers import MxcUri, parse_mxc_uri
from palpo.core.records.quotas import Kind
from palpo.db.engine import Database
from palpo.db.transaction import WriteTransaction
from palpo.media.blobs import BlobStore, StoredBlob
from palpo.services.server.quotas import Quotas
from palpo.storage import media as storage
from palpo.storage import media_references as references
from palpo.storage.quotas import SERVER
from palpo.streams.clock import Clock

BATCH = 200
"""Hashes that are looked up at once."""
YOUNG_SECONDS = 24 * 3600
"""Content of this age may be of an upload that is not complete yet."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Removed:
    """What was removed from the store."""

    count: int
    size: int
    """Bytes."""


class MediaCleanup:
    """For administrators, and for what runs once a day (``palpo.workers.media``)."""

    def __init__(self, db: Database, clock: Clock, blobs: BlobStore, quotas: Quotas) -> None:
        self._db = db
        self._quotas = quotas
        self._clock = clock
        self._blobs = blobs

    async def delete(self, server_name: str, media_id: str) -> None:
        """Forget a URI, and remove its content and thumbnails unless another URI has the same content.

        Another server's media may be downloaded again: quarantine is what keeps them away. Raises
        NotFound and InvalidParam.
        """
        uri = parse_mxc_uri(f"mxc://{server_name}/{media_id}")
        found, unwanted = await self._db.write(partial(self.forget, uris=[uri]))
        if not found:
            raise NotFound(f"There is no {uri}")
        await self.remove(unwanted)

    async def forget(self, tx: WriteTransaction, uris: Sequence[MxcUri]) -> tuple[int, list[bytes]]:
        """Forget URIs: how many were there, and the content that nothing wants any more."""
        hashes: list[bytes] = []
        found = 0
        for uri in uris:
            record = await storage.find(tx, uri.server, uri.media_id)
            if record is None or not await references.delete_uri(tx, uri.server, uri.media_id):
                continue
            found += 1
            if record.sha256 is None:
                continue
            hashes.append(record.sha256)
            if record.user_id is not None:
                less = {Kind.MEDIA: -1, Kind.MEDIA_BYTES: -record.size}
                await self._quotas.charge(tx, record.user_id, less)
        await self._count_remote(tx)
        unwanted = await references.release(tx, hashes)
        await self._count_thumbnails(tx)
        return found, unwanted

    async def remove(self, hashes: Iterable[bytes]) -> None:
        """Remove content that nothing wants; what is left where this is cut short, ``sweep`` removes."""
        for sha256 in hashes:
            await self._blobs.delete(sha256)

    async def sweep(self, *, age_seconds: int = YOUNG_SECONDS) -> Removed:
        """Forget URIs that have expired, and remove unreferenced content stored ``age_seconds`` ago."""
        now = self._clock.now_ms()
        before_ts = now - age_seconds * 1000
        await self._db.write(lambda tx: references.delete_expired(tx, now_ms=now))
        await self._release_thumbnails()
        await self._db.write(self._count_thumbnails)
        await self._db.write(self._count_previews)
        await self._db.write(self._count_remote)
        count = size = 0
        async for batch in _batches(self._blobs.stored(), before_ts):
            sizes = {blob.sha256: blob.size for blob in batch}
            for sha256 in await self._unreferenced(list(sizes)):
                if await self._blobs.delete(sha256, before_ts=before_ts):
                    count, size = count + 1, size + sizes[sha256]
        return Removed(count=count, size=size)

    async def _count_thumbnails(self, tx: WriteTransaction) -> None:
        await tx.positions()
        size = await references.size_of_thumbnails(tx)
        await self._quotas.settle(tx, SERVER, {Kind.THUMBNAIL_BYTES: size})

    async def _count_remote(self, tx: WriteTransaction) -> None:
        await tx.positions()
        size = await storage.size_of_remote(tx)
        await self._quotas.settle(tx, SERVER, {Kind.REMOTE_MEDIA_BYTES: size})

    async def _count_previews(self, tx: WriteTransaction) -> None:
        await tx.positions()
        size = await storage.size_of_previews(tx)
        await self._quotas.settle(tx, SERVER, {Kind.PREVIEW_BYTES: size})

    async def _release_thumbnails(self) -> None:
        """Forget the thumbnails of content that no URI has."""
        after: bytes | None = b""
        while after is not None:
            after = await self._release_some(after)

    async def _release_some(self, after: bytes) -> bytes | None:
        async def unit(tx: WriteTransaction) -> bytes | None:
            sources = await references.thumbnail_sources(tx, after=after, count=BATCH)
            await references.release(tx, sources)
            return sources[-1] if sources else None

        return await self._db.write(unit)

    async def _unreferenced(self, hashes: list[bytes]) -> list[bytes]:
        return await self._db.read(lambda tx: references.unreferenced(tx, hashes))


async def discard(db: Database, blobs: BlobStore, hashes: Iterable[bytes]) -> None:
    """Remove content that was stored for nothing, but for what something refers to."""
    wanted = list(hashes)
    for sha256 in await db.read(lambda tx: references.unreferenced(tx, wanted)):
        await blobs.delete(sha256)


async def _batches(stored: AsyncIterator[StoredBlob], before_ts: int) -> AsyncIterator[list[StoredBlob]]:
    batch: list[StoredBlob] = []
    async for blob in stored:
        if blob.stored_ts < before_ts:
            batch.append(blob)
        if len(batch) == BATCH:
            yield batch
            batch = []
    if batch:
        yield batch
