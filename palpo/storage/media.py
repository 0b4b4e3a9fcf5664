"""Media, their thumbnails, and previews of URLs."""

from __future__ import annotations

from dataclasses import dataclass

from sqlalchemy import bindparam, delete, func, null, select, union_all, update

from palpo.core.records.media import MediaRecord
from palpo.db.statements import Statement, insert_row, upsert
from palpo.db.tables.media import media, media_thumbnails, url_previews
from palpo.db.transaction import Transaction, WriteTransaction
from palpo.storage.records import Records

m = media.c
t = media_thumbnails.c


@dataclass(frozen=True, slots=True, kw_only=True)
class Thumbnail:
    """A stored thumbnail's content."""

    sha256: bytes
    size: int
    content_type: str


_THIS = (m.origin == bindparam("of_origin")) & (m.media_id == bindparam("of_media_id"))
_RECORDS = Records(MediaRecord, media)
_FIND = Statement(select(*_RECORDS.columns).where(_THIS))
_INSERT = insert_row(media)
_INSERT_NEW = upsert(media, key=["origin", "media_id"], update=())
_KEEP = upsert(media, key=["origin", "media_id"], update=["expires_ts"])
_FILL = Statement(
    update(media)
    .where(_THIS, m.sha256.is_(None))
    .values(
        sha256=bindparam("sha256"),
        size=bindparam("size"),
        content_type=bindparam("content_type"),
        filename=bindparam("filename"),
        authenticated=bindparam("authenticated"),
        expires_ts=null(),
    )
)
_PENDING = Statement(
    select(func.count(), func.min(m.expires_ts)).where(
        m.user_id == bindparam("user_id"), m.expires_ts > bindparam("now")
    )
)
_DELETE_EXPIRED = Statement(
    delete(media).where(m.user_id == bindparam("user_id"), m.expires_ts <= bindparam("now"))
)
_OLDEST_REMOTE = Statement(
    select(m.origin, m.media_id, m.sha256, m.size)
    .where(m.user_id.is_(None), m.expires_ts.is_(None))
    .order_by(m.created_ts)
    .limit(bindparam("limit"))
)
_SIZE_OF_REMOTE = Statement(select(func.sum(m.size)).where(m.user_id.is_(None), m.expires_ts.is_(None)))
_DELETE = Statement(delete(media).where(_THIS))
_THUMBNAILS = Records(Thumbnail, media_thumbnails)
_THIS_THUMBNAIL = (t.source == bindparam("source")) & (t.variant == bindparam("variant"))
_THUMBNAIL = Statement(select(*_THUMBNAILS.columns).where(_THIS_THUMBNAIL))
_OLDEST_THUMBNAILS = Statement(
    select(t.source, t.variant, t.sha256, t.size)
    .where(t.sha256 != t.source)
    .order_by(t.created_ts)
    .limit(bindparam("limit"))
)
_DELETE_THUMBNAIL = Statement(delete(media_thumbnails).where(_THIS_THUMBNAIL))
_PUT_THUMBNAIL = upsert(media_thumbnails, key=["source", "variant"])
_PREVIEW = Statement(
    select(url_previews.c.preview).where(
        url_previews.c.url_hash == bindparam("url_hash"), url_previews.c.expires_ts > bindparam("now")
    )
)
_PUT_PREVIEW = upsert(url_previews, key=["url_hash"])
_PREVIEW_SIZES = Statement(
    union_all(
        select(func.sum(func.length(url_previews.c.preview))),
        select(func.sum(m.size)).where(m.expires_ts > 0, m.user_id.is_(None)),
    )
)
_DELETE_PREVIEWS = Statement(delete(url_previews).where(url_previews.c.expires_ts <= bindparam("now")))


async def find(tx: Transaction, origin: str, media_id: str) -> MediaRecord | None:
    """What is known of ``mxc://origin/media_id``."""
    return _RECORDS.one(await tx.one(_FIND, of_origin=origin, of_media_id=media_id))


async def insert(tx: WriteTransaction, record: MediaRecord) -> None:
    """Store a new URI; raises UniqueViolation where it is there already."""
    await tx.run(_INSERT, **_RECORDS.values(record))


async def insert_new(tx: WriteTransaction, record: MediaRecord) -> None:
    """Store a URI unless it is there already."""
    await tx.run(_INSERT_NEW, **_RECORDS.values(record))


async def take_oldest_remote(tx: WriteTransaction, size: int) -> list[tuple[bytes, int]]:
    """Forget the media of other servers that were downloaded first, until they have ``size`` bytes;
    ``(sha256, size)`` of each."""
    gone: list[tuple[bytes, int]] = []
    while size > 0:
        rows = await tx.all(_OLDEST_REMOTE, limit=50)
        if not rows:
            break
        for origin, media_id, sha256, bytes_ in rows:
            if size > 0:
                await tx.run(_DELETE, of_origin=origin, of_media_id=media_id)
                gone.append((bytes(sha256), bytes_))
                size -= bytes_
    return gone


async def size_of_remote(tx: Transaction) -> int:
    """Bytes of other servers' media."""
    return int(await tx.value(_SIZE_OF_REMOTE) or 0)


async def keep(tx: WriteTransaction, record: MediaRecord) -> None:
    """Store a URI, or only when it expires where it is there already."""
    await tx.run(_KEEP, **_RECORDS.values(record))


async def fill(
    tx: WriteTransaction,
    origin: str,
    media_id: str,
    *,
    sha256: bytes,
    size: int,
    content_type: str,
    filename: str | None,
    authenticated: bool,
) -> bool:
    """Give a URI its content; False where it has some already."""
    changed = await tx.run(
        _FILL,
        of_origin=origin,
        of_media_id=media_id,
        sha256=sha256,
        size=size,
        content_type=content_type,
        filename=filename,
        authenticated=int(authenticated),
    )
    return changed > 0


async def pending(tx: Transaction, user_id: str, *, now_ms: int) -> tuple[int, int]:
    """How many of a user's URIs wait for content, and when the first of them expires (0: none)."""
    row = await tx.one(_PENDING, user_id=user_id, now=now_ms)
    assert row is not None
    return int(row[0]), int(row[1] or 0)


async def delete_expired(tx: WriteTransaction, user_id: str, *, now_ms: int) -> None:
    """Forget a user's URIs whose content never came."""
    await tx.run(_DELETE_EXPIRED, user_id=user_id, now=now_ms)


async def find_thumbnail(tx: Transaction, source: bytes, variant: str) -> Thumbnail | None:
    """A thumbnail of the content that ``source`` names."""
    return _THUMBNAILS.one(await tx.one(_THUMBNAIL, source=source, variant=variant))


async def take_oldest_thumbnails(tx: WriteTransaction, size: int) -> list[tuple[bytes, int]]:
    """Forget the thumbnails made first, until they have ``size`` bytes; ``(sha256, size)`` of each."""
    gone: list[tuple[bytes, int]] = []
    while size > 0:
        rows = await tx.all(_OLDEST_THUMBNAILS, limit=50)
        if not rows:
            break
        for source, variant, sha256, bytes_ in rows:
            if size > 0:
                await tx.run(_DELETE_THUMBNAIL, source=bytes(source), variant=variant)
                gone.append((bytes(sha256), bytes_))
                size -= bytes_
    return gone


async def put_thumbnail(
    tx: WriteTransaction, source: bytes, variant: str, thumbnail: Thumbnail, *, now_ms: int = 0
) -> None:
    """Store a thumbnail."""
    await tx.run(
        _PUT_THUMBNAIL,
        source=source,
        variant=variant,
        created_ts=now_ms,
        **_THUMBNAILS.values(thumbnail),
    )


@dataclass(frozen=True, slots=True, kw_only=True)
class CachedPreview:
    """What was found at a URL: a JSON object, or None where there was no preview to be had."""

    preview: bytes | None


async def find_preview(tx: Transaction, url_hash: bytes, *, now_ms: int) -> CachedPreview | None:
    """The preview of a URL, unless it has expired."""
    row = await tx.one(_PREVIEW, url_hash=url_hash, now=now_ms)
    return None if row is None else CachedPreview(preview=row[0])


async def size_of_previews(tx: Transaction) -> int:
    """Bytes of all previews and of their images, those too that have expired and are not yet removed."""
    return sum(int(row[0] or 0) for row in await tx.all(_PREVIEW_SIZES))


async def put_preview(
    tx: WriteTransaction, url_hash: bytes, preview: bytes | None, *, now_ms: int, expires_ts: int
) -> None:
    """Store the preview of a URL, and forget those that have expired."""
    await tx.run(_DELETE_PREVIEWS, now=now_ms)
    await tx.run(_PUT_PREVIEW, url_hash=url_hash, preview=preview, expires_ts=expires_ts)
