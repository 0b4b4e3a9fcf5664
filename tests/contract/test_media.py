"""Storage of media, on each database."""

from __future__ import annotations

from dataclasses import replace
from functools import partial

import pytest

from palpo.core.records.media import MediaRecord
from palpo.db.engine import Database
from palpo.db.errors import UniqueViolation
from palpo.db.statements import insert_row
from palpo.db.tables.rooms import events
from palpo.db.transaction import WriteTransaction
from palpo.storage import media, media_quarantine, media_usage
from palpo.storage.media import CachedPreview, Thumbnail
from palpo.storage.media_usage import Uploaders

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
    for by in (ALICE, None):
        found = await find(database, "done")
        assert found is not None
        await database.write(lambda tx, found=found, by=by: media_quarantine.set_quarantined(tx, [found], by))
        after = await find(database, "done")
        assert after is not None
        assert (after.quarantined, after.quarantined_by) == (by is not None, by)
    changes = await database.read(lambda tx: media_quarantine.changes(tx, after=0, limit=9))
    assert [item.quarantined for item in changes] == [True, False]
    later = await database.read(lambda tx: media_quarantine.changes(tx, after=changes[0].position, limit=9))
    assert later == changes[1:]


async def test_withheld_content(database: Database) -> None:
    await database.write(lambda tx: media.insert(tx, DONE))
    for by in (ALICE, "@bob:a"):
        await database.write(lambda tx, by=by: media_quarantine.put_hash(tx, DONE.sha256, by, 1))
    assert await database.read(lambda tx: media_quarantine.withheld_by(tx, DONE.sha256)) == ALICE
    assert await database.read(lambda tx: media_quarantine.with_content(tx, [DONE.sha256])) == [DONE]
    await database.write(lambda tx: media_quarantine.delete_hash(tx, DONE.sha256))
    assert await database.read(lambda tx: media_quarantine.withheld_by(tx, DONE.sha256)) is None


async def test_what_nobody_has_asked_for(database: Database) -> None:
    mine = replace(DONE, user_id=ALICE, created_ts=10)
    theirs = replace(DONE, origin="b", media_id="m", user_id=None, created_ts=10)
    for record in (mine, theirs):
        await database.write(lambda tx, record=record: media.insert(tx, record))

    async def old(before_ts: int, larger_than: int = 0) -> tuple[list[str], list[str]]:
        local = await database.read(
            lambda tx: media_usage.old_local(
                tx, before_ts=before_ts, larger_than=larger_than, after="", limit=9
            )
        )
        remote = await database.read(
            lambda tx: media_usage.old_remote(tx, before_ts=before_ts, after=("", ""), limit=9)
        )
        return [item.media_id for item in local], [item.media_id for item in remote]

    assert await old(10) == ([], [])
    assert await old(11) == (["done"], ["m"])
    assert await old(11, DONE.size) == ([], ["m"])
    await database.write(lambda tx: media_usage.seen(tx, [("a", "done", 50), ("b", "m", 60)]))
    await database.write(lambda tx: media_usage.seen(tx, [("a", "done", 40)]))
    assert await old(51) == (["done"], [])

    async def usage(wanted: Uploaders, order: str) -> list[tuple[str, int, int]]:
        page = partial(media_usage.usage, order=order, backwards=True, skipped=0, limit=9)
        found = await database.read(lambda tx: page(tx, wanted))
        assert await database.read(lambda tx: media_usage.usage_total(tx, wanted)) == len(found)
        return [(item.user_id, item.count, item.size) for item in found]

    name, _, server = ALICE[1:].partition(":")
    for order in media_usage.USAGE_ORDERS:
        assert await usage(Uploaders(until_ts=100), order) == [(ALICE, 1, DONE.size)]
        assert await usage(Uploaders(search=name.upper(), server=server), order) == [(ALICE, 1, DONE.size)]
        assert await usage(Uploaders(search="nobody", server=server), order) == []
    assert await usage(Uploaders(from_ts=100), "user_id") == []


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


async def test_events_with_media(database: Database) -> None:
    insert = insert_row(events)
    digest = dict.fromkeys(("state_before", "state_after", "room_state"), b"s" * 16)
    plain = {"state_key": None, "status": 0, "after_gap": 0, "outgoing": 1, "chain": None, "chain_seq": None}

    async def unit(tx: WriteTransaction) -> None:
        for number, (type_, redacted_by, pdu) in enumerate(
            [
                ("m.room.message", None, b'{"url":"mxc://a/b"}'),
                ("m.room.message", None, b'{"body":"mx: c://\\\\ %"}'),
                ("m.room.member", None, b'{"avatar_url":"mxc://a/b"}'),
                ("m.room.message", "$r", b'{"url":"mxc://a/b"}'),
                ("m.room.message", None, b'\xff {"url":"mxc://a/c"}'),
            ]
        ):
            row = {"event_id": f"${number}", "room_id": "!r:a", "position": number, "place": number}
            row |= {"type": type_, "sender": ALICE, "origin_server_ts": 1, "redacted_by": redacted_by}
            await tx.run(insert, **row, **digest, **plain, pdu=pdu)

    await database.write(unit)
    found = partial(media_usage.events_with_media, room_id="!r:a", limit=9)
    newest = await database.read(lambda tx: found(tx, before=(9, 9)))
    assert [row[0] for row in newest] == [4, 0]
    assert [row[0] for row in await database.read(lambda tx: found(tx, before=(4, 4)))] == [0]
