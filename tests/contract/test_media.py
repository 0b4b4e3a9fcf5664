"""Storage of media, on each database."""

from __future__ import annotations

import pytest

from palpo.core.records.media import MediaRecord
from palpo.db.engine import Database
from palpo.db.errors import UniqueViolation
from palpo.storage import media
from palpo.storage.media import CachedPreview, Thumbnail

ALICE = "@alice:a"
DONE = MediaRecord(
    origin="a",
    media_id="done",
    user_id=ALICE,
    created_ts=1,
    sha256=bytes(range(224, 256)),
    size=5,
    content_type="image/png",
    filename="\U0001f414",
    authenticated=True,
)


def waiting(media_id: str, expires_ts: int, user_id: str = ALICE) -> MediaRecord:
    return MediaRecord(origin="a", media_id=media_id, user_id=user_id, created_ts=1, expires_ts=expires_ts)


async def find(database: Database, media_id: str) -> MediaRecord | None:
    return await database.read(lambda tx: media.find(tx, "a", media_id))


async def fill(database: Database, media_id: str, sha256: bytes) -> bool:
    return await database.write(
        lambda tx: media.fill(
            tx,
            "a",
            media_id,
            sha256=sha256,
            size=3,
            content_type="text/plain",
            filename=None,
            authenticated=False,
        )
    )


async def test_a_record_comes_back(database: Database) -> None:
    await database.write(lambda tx: media.insert(tx, DONE))
    assert await find(database, "done") == DONE
    assert await find(database, "DONE") is None
    with pytest.raises(UniqueViolation):
        await database.write(lambda tx: media.insert(tx, DONE))
    other = MediaRecord(origin="a", media_id="done", user_id=None, created_ts=2)
    await database.write(lambda tx: media.insert_new(tx, other))
    assert await find(database, "done") == DONE


async def test_content_is_filled_in_once(database: Database) -> None:
    await database.write(lambda tx: media.insert(tx, waiting("x", 100)))
    assert await fill(database, "x", b"1" * 32)
    assert not await fill(database, "x", b"2" * 32)
    assert not await fill(database, "nothing", b"2" * 32)
    found = await find(database, "x")
    assert found is not None
    assert (found.sha256, found.size, found.expires_ts) == (b"1" * 32, 3, None)


async def test_what_waits_is_counted_and_expires(database: Database) -> None:
    for record in (waiting("x", 100), waiting("y", 90), waiting("z", 50), waiting("o", 95, "@bob:a"), DONE):
        await database.write(lambda tx, record=record: media.insert(tx, record))
    assert await database.read(lambda tx: media.pending(tx, ALICE, now_ms=50)) == (2, 90)
    assert await database.read(lambda tx: media.pending(tx, ALICE, now_ms=100)) == (0, 0)
    await database.write(lambda tx: media.delete_expired(tx, ALICE, now_ms=95))
    kept = [name for name in ("x", "y", "z", "o", "done") if await find(database, name) is not None]
    assert kept == ["x", "o", "done"]


async def test_quarantine(database: Database) -> None:
    await database.write(lambda tx: media.insert(tx, DONE))
    await database.write(lambda tx: media.set_quarantined(tx, "a", "done", True))
    found = await find(database, "done")
    assert found is not None
    assert found.quarantined


async def test_thumbnails(database: Database) -> None:
    first = Thumbnail(sha256=b"1" * 32, size=1, content_type="image/png")
    second = Thumbnail(sha256=b"2" * 32, size=2, content_type="image/webp")
    for thumbnail in (first, second):
        await database.write(lambda tx, made=thumbnail: media.put_thumbnail(tx, b"s" * 32, "crop-1x1", made))
    assert await database.read(lambda tx: media.find_thumbnail(tx, b"s" * 32, "crop-1x1")) == second
    assert await database.read(lambda tx: media.find_thumbnail(tx, b"s" * 32, "scale-1x1")) is None


async def test_previews(database: Database) -> None:
    await database.write(lambda tx: media.put_preview(tx, b"u" * 32, b"{}", now_ms=0, expires_ts=10))
    await database.write(lambda tx: media.put_preview(tx, b"v" * 32, None, now_ms=0, expires_ts=20))
    found = await database.read(lambda tx: media.find_preview(tx, b"u" * 32, now_ms=9))
    assert found == CachedPreview(preview=b"{}")
    assert await database.read(lambda tx: media.find_preview(tx, b"u" * 32, now_ms=10)) is None
    failed = await database.read(lambda tx: media.find_preview(tx, b"v" * 32, now_ms=19))
    assert failed == CachedPreview(preview=None)
