"""Previews of web pages (spec: client-server API, ``GET /media/preview_url``)."""

from __future__ import annotations

import asyncio
import contextlib
import hashlib
from base64 import urlsafe_b64encode
from collections.abc import AsyncIterator
from functools import partial
from typing import Any
from urllib.parse import urljoin

import orjson

from palpo.config.sections.media import MediaConfig
from palpo.core.errors import Forbidden, InvalidParam, NotFound, ResourceLimitExceeded
from palpo.core.identifiers import MxcUri, ServerName, UserId
from palpo.core.records.media import MediaRecord
from palpo.core.records.quotas import Kind
from palpo.db.engine import Database
from palpo.db.transaction import WriteTransaction
from palpo.media.blobs import Blob, BlobStore, BlobTooLarge
from palpo.media.images import ImageFacts, ImageTooLarge, ImageUnsupported, ImageWorkers
from palpo.media.open_graph import MAX_URL, extract
from palpo.media.sniff import HEAD, image_type
from palpo.net.http_client import HttpClient, HttpError, HttpResponse
from palpo.services.media.media_cleanup import discard
from palpo.services.server.quotas import Quotas
from palpo.storage import media as storage
from palpo.storage.media import CachedPreview
from palpo.storage.quotas import SERVER
from palpo.streams.clock import Clock
from palpo.streams.fair_queue import FairQueue, FairThreads
from palpo.streams.keyed_locks import KeyedLocks

IMAGE_SECONDS = 7 * 24 * 3600
"""How long an image is kept after a preview with it was made last."""
FAILURE_SECONDS = 300
"""How long a URL that gave no preview is left alone."""
REDIRECTS = 5
AT_ONCE = 8
AT_ONCE_PER_USER = 2
"""Pages that are fetched at the same time."""
MAX_WAITING = 200
MAX_WAITING_PER_USER = 50
READERS = 2
"""Threads that read pages."""
HTML_TYPES = frozenset({"text/html", "application/xhtml+xml"})
HEADERS = {"Accept": "text/html,application/xhtml+xml,image/*;q=0.8", "Accept-Language": "en"}
NO_PREVIEW = "There is no preview of this URL"
"""Whatever the reason: telling refused, closed and silent addresses apart would make this a scanner."""


class _NotAnImage(Exception):
    """The content does not begin as an image does."""


class UrlPreviews:
    """Fetches pages for clients, and keeps what they say about themselves for a while."""

    def __init__(
        self,
        config: MediaConfig,
        db: Database,
        clock: Clock,
        http: HttpClient,
        blobs: BlobStore,
        images: ImageWorkers,
        quotas: Quotas,
        *,
        server_name: ServerName,
    ) -> None:
        self._config = config.previews
        self._legacy = config.legacy
        self._db = db
        self._clock = clock
        self._http = http
        self._blobs = blobs
        self._images = images
        self._quotas = quotas
        self._server_name = server_name
        self._locks = KeyedLocks()
        self._slots = FairQueue(
            "url-previews",
            workers=AT_ONCE,
            each=AT_ONCE_PER_USER,
            waiting=MAX_WAITING,
            waiting_each=MAX_WAITING_PER_USER,
        )
        self._readers = FairThreads(
            "preview", workers=READERS, waiting=MAX_WAITING, waiting_each=MAX_WAITING_PER_USER
        )

    async def preview(self, user_id: UserId, url: str) -> bytes:
        """The OpenGraph properties of what is at ``url``, a JSON object.

        Raises InvalidParam for what is no http or https URL, NotFound where nothing can be said of it,
        Forbidden where the operator wants no previews, and LimitExceeded where too many wait.
        """
        if not self._config.enabled:
            raise Forbidden("This server makes no previews of URLs")
        if len(url) > MAX_URL or not url.lower().startswith(("http://", "https://")):
            raise InvalidParam("Not an http or https URL")
        url_hash = hashlib.sha256(url.encode("utf-8", "replace")).digest()
        cached = await self._cached(url_hash)
        if cached is None:
            # One user's slow pages take but so many of the slots.
            async with self._slots.turn(user_id), self._locks.hold(url_hash):
                cached = await self._cached(url_hash) or await self._refresh(url, url_hash)
        if cached.preview is None:
            raise NotFound(NO_PREVIEW)
        return cached.preview

    async def _cached(self, url_hash: bytes) -> CachedPreview | None:
        now = self._clock.now_ms()
        return await self._db.read(lambda tx: storage.find_preview(tx, url_hash, now_ms=now))

    async def _refresh(self, url: str, url_hash: bytes) -> CachedPreview:
        try:
            async with asyncio.timeout(self._config.timeout_seconds):
                preview = await self._fetch(url)
        except (HttpError, TimeoutError):
            preview = None
        now = self._clock.now_ms()
        seconds = FAILURE_SECONDS if preview is None else self._config.cache_seconds

        async def unit(tx: WriteTransaction) -> None:
            await tx.positions()
            await storage.put_preview(tx, url_hash, preview, now_ms=now, expires_ts=now + seconds * 1000)
            await self._count(tx)

        with contextlib.suppress(ResourceLimitExceeded):
            await self._db.write(unit)  # Else it is shown once, and not kept.
        return CachedPreview(preview=preview)

    async def _count(self, tx: WriteTransaction) -> None:
        """Raises ResourceLimitExceeded."""
        await self._quotas.settle(tx, SERVER, {Kind.PREVIEW_BYTES: await storage.size_of_previews(tx)})

    async def _fetch(self, url: str) -> bytes | None:
        async with self._get(url, HEADERS) as response:
            if response.status != 200:
                return None
            if response.content_type.startswith("image/"):
                return orjson.dumps(await self._image(response))
            if response.content_type not in HTML_TYPES:
                return None
            html = await response.read_start(self._config.max_page_bytes)
            content_type = response.headers.get("Content-Type", "")
            location = response.url
        page = await self._readers.run(partial(extract, html, content_type))
        properties: dict[str, Any] = dict(page.properties)
        if page.image is not None:
            properties |= await self._image_at(location, page.image)
        return orjson.dumps(properties)

    def _get(self, url: str, headers: dict[str, str]) -> Any:
        return self._http.request(
            "GET", url, headers=headers, timeout_s=self._config.timeout_seconds, redirects=REDIRECTS
        )

    async def _image_at(self, page: str, image: str) -> dict[str, Any]:
        """The properties of a page's image; none where it cannot be had."""
        try:
            async with self._get(urljoin(page, image), {"Accept": "image/*"}) as response:
                return await self._image(response) if response.status == 200 else {}
        except (HttpError, ValueError):
            return {}

    async def _image(self, response: HttpResponse) -> dict[str, Any]:
        limit = self._config.max_image_bytes
        try:
            blob = await self._blobs.put(_only_image(response.chunks(limit)), limit=limit)
        except (_NotAnImage, BlobTooLarge):
            return {}
        try:
            async with self._blobs.local(blob.sha256) as path:
                facts = await self._images.inspect(path)
            uri = await self._keep(blob, facts)
        except (ImageUnsupported, ImageTooLarge, ResourceLimitExceeded):
            await discard(self._db, self._blobs, [blob.sha256])
            return {}
        return {
            "og:image": str(uri),
            "og:image:type": facts.content_type,
            "og:image:width": facts.width,
            "og:image:height": facts.height,
            "matrix:image:size": blob.size,
        }

    async def _keep(self, blob: Blob, facts: ImageFacts) -> MxcUri:
        """A URI for the image, always the same for the same image."""
        name = hashlib.sha256(b"preview:" + blob.sha256).digest()[:24]
        now = self._clock.now_ms()
        record = MediaRecord(
            origin=self._server_name,
            media_id=urlsafe_b64encode(name).decode(),
            user_id=None,
            created_ts=now,
            expires_ts=now + (self._config.cache_seconds + IMAGE_SECONDS) * 1000,
            sha256=blob.sha256,
            size=blob.size,
            content_type=facts.content_type,
            authenticated=not self._legacy,
        )

        async def unit(tx: WriteTransaction) -> None:
            await tx.positions()
            await storage.keep(tx, record)
            await self._count(tx)

        await self._db.write(unit)
        return MxcUri(ServerName(record.origin), record.media_id)


async def _only_image(chunks: AsyncIterator[bytes]) -> AsyncIterator[bytes]:
    """The same bytes; raises _NotAnImage before the first where they are no image."""
    head = b""
    async for chunk in chunks:
        if len(head) < HEAD:
            head += chunk
            if len(head) < HEAD:
                continue
            if image_type(head) is None:
                raise _NotAnImage
            chunk = head
        yield chunk
    if len(head) < HEAD:
        raise _NotAnImage
