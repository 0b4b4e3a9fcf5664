"""Which content is still wanted: by a URI, or as a thumbnail of content that is."""

from __future__ import annotations

from collections.abc import Sequence

from sqlalchemy import bindparam, delete, func, select

from palpo.db.statements import Statement, in_list
from palpo.db.tables.media import media, media_thumbnails
from palpo.db.transaction import Transaction, WriteTransaction

m = media.c
t = media_thumbnails.c

_DELETE = Statement(
    delete(media).where(m.origin == bindparam("of_origin"), m.media_id == bindparam("of_media_id"))
)
_DELETE_EXPIRED = Statement(delete(media).where(m.expires_ts <= bindparam("now")))
_BY_URIS = Statement(select(m.sha256).distinct().where(in_list(m.sha256, "hashes")))
_BY_THUMBNAILS = Statement(select(t.sha256).distinct().where(in_list(t.sha256, "hashes")))
_THUMBNAILS_OF = Statement(select(t.sha256).distinct().where(in_list(t.source, "sources")))
_SIZE_OF_THUMBNAILS = Statement(select(func.sum(t.size)).where(t.sha256 != t.source))
_DELETE_THUMBNAILS = Statement(delete(media_thumbnails).where(in_list(t.source, "sources")))
_SOURCES = Statement(
    select(t.source)
    .distinct()
    .where(t.source > bindparam("after"))
    .order_by(t.source)
    .limit(bindparam("count"))
)


async def delete_uri(tx: WriteTransaction, origin: str, media_id: str) -> bool:
    """Forget a URI; whether it was there."""
    return await tx.run(_DELETE, of_origin=origin, of_media_id=media_id) > 0


async def delete_expired(tx: WriteTransaction, *, now_ms: int) -> None:
    """Forget the URIs whose content never came, and those of previews that nobody has asked for lately."""
    await tx.run(_DELETE_EXPIRED, now=now_ms)


async def without_uri(tx: Transaction, hashes: Sequence[bytes]) -> list[bytes]:
    """Those of ``hashes`` that name no URI's content."""
    found = {bytes(row[0]) for row in await tx.all(_BY_URIS, hashes=list(hashes))}
    return [sha256 for sha256 in hashes if sha256 not in found]


async def unreferenced(tx: Transaction, hashes: Sequence[bytes]) -> list[bytes]:
    """Those of ``hashes`` that name neither a URI's content nor a thumbnail's."""
    left = await without_uri(tx, hashes)
    found = {bytes(row[0]) for row in await tx.all(_BY_THUMBNAILS, hashes=left)}
    return [sha256 for sha256 in left if sha256 not in found]


async def size_of_thumbnails(tx: Transaction) -> int:
    """Bytes of all thumbnails that are not the content itself."""
    return int(await tx.value(_SIZE_OF_THUMBNAILS) or 0)


async def release(tx: WriteTransaction, hashes: Sequence[bytes]) -> list[bytes]:
    """Forget the thumbnails of those of ``hashes`` that no URI names; the content that nothing wants then."""
    sources = await without_uri(tx, hashes)
    thumbnails = [bytes(row[0]) for row in await tx.all(_THUMBNAILS_OF, sources=sources)]
    await tx.run(_DELETE_THUMBNAILS, sources=sources)
    return await unreferenced(tx, list(dict.fromkeys([*sources, *thumbnails])))


async def thumbnail_sources(tx: Transaction, *, after: bytes, count: int) -> list[bytes]:
    """The next ``count`` hashes of content that has thumbnails, in order."""
    return [bytes(row[0]) for row in await tx.all(_SOURCES, after=after, count=count)]
