"""Which content is still wanted, on each database."""

from __future__ import annotations

from palpo.core.records.media import MediaRecord
from palpo.db.engine import Database
from palpo.db.transaction import WriteTransaction
from palpo.storage import media
from palpo.storage import media_references as references
from palpo.storage.media import Thumbnail

A, B, C, SMALL_A, SMALL_B = (letter * 32 for letter in (b"a", b"b", b"c", b"1", b"2"))


def record(media_id: str, sha256: bytes | None, size: int, user_id: str | None = "@alice:a") -> MediaRecord:
    return MediaRecord(origin="a", media_id=media_id, user_id=user_id, created_ts=1, sha256=sha256, size=size)


async def insert(database: Database, *records: MediaRecord) -> None:
    async def unit(tx: WriteTransaction) -> None:
        for one in records:
            await media.insert(tx, one)

    await database.write(unit)


async def thumbnail(database: Database, source: bytes, sha256: bytes) -> None:
    made = Thumbnail(sha256=sha256, size=1, content_type="image/png")
    await database.write(lambda tx: media.put_thumbnail(tx, source, "crop-1x1", made))


async def test_content_that_nothing_refers_to(database: Database) -> None:
    await insert(database, record("1", A, 3), record("2", A, 3))
    await thumbnail(database, A, SMALL_A)
    assert await database.read(lambda tx: references.unreferenced(tx, [A, B, SMALL_A])) == [B]
    assert await database.read(lambda tx: references.unreferenced(tx, [])) == []
    assert await database.write(lambda tx: references.delete_uri(tx, "a", "1"))
    assert not await database.write(lambda tx: references.delete_uri(tx, "a", "1"))
    assert await database.write(lambda tx: references.release(tx, [A])) == []
    await database.write(lambda tx: references.delete_uri(tx, "a", "2"))
    assert await database.write(lambda tx: references.release(tx, [A])) == [A, SMALL_A]
    assert await database.read(lambda tx: references.unreferenced(tx, [SMALL_A])) == [SMALL_A]


async def test_a_thumbnail_that_is_something_else_too_is_kept(database: Database) -> None:
    await insert(database, record("1", SMALL_A, 3))
    await thumbnail(database, A, SMALL_A)
    await thumbnail(database, C, SMALL_B)
    await thumbnail(database, B, SMALL_B)
    assert await database.write(lambda tx: references.release(tx, [A, B])) == [A, B]


async def test_sources_in_pages(database: Database) -> None:
    for source in (B, A, C):
        await thumbnail(database, source, SMALL_A)
    assert await database.read(lambda tx: references.thumbnail_sources(tx, after=b"", count=2)) == [A, B]
    assert await database.read(lambda tx: references.thumbnail_sources(tx, after=B, count=2)) == [C]
