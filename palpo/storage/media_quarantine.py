"""Media that are withheld from everybody, by URI and by content."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from sqlalchemy import and_, bindparam, delete, select, update

from palpo.core.records.media import MediaRecord
from palpo.db.statements import Statement, in_list, insert_row, upsert
from palpo.db.tables.media import media, media_quarantine_changes, quarantined_hashes
from palpo.db.transaction import Transaction, WriteTransaction
from palpo.storage.records import Records

m = media.c
h = quarantined_hashes.c
c = media_quarantine_changes.c


@dataclass(frozen=True, slots=True, kw_only=True)
class Change:
    """Something was quarantined, or given out again."""

    position: int
    origin: str
    media_id: str
    quarantined: bool


_RECORDS = Records(MediaRecord, media)
_CHANGES = Records(Change, media_quarantine_changes)
_THIS = and_(m.origin == bindparam("of_origin"), m.media_id == bindparam("of_media_id"))
_SET = Statement(
    update(media)
    .where(_THIS)
    .values(quarantined=bindparam("quarantined"), quarantined_by=bindparam("quarantined_by"))
)
_PROTECT = Statement(update(media).where(_THIS).values(protected=bindparam("protected")))
_WITH_CONTENT = Statement(select(*_RECORDS.columns).where(in_list(m.sha256, "hashes")))
_OF_USER = Statement(
    select(*_RECORDS.columns)
    .where(m.user_id == bindparam("user_id"), m.media_id > bindparam("after"))
    .order_by(m.media_id)
    .limit(bindparam("limit"))
)
_PUT_HASH = upsert(quarantined_hashes, key=["sha256"], update=())
_HASH_BY = Statement(select(h.by).where(h.sha256 == bindparam("sha256")))
_DELETE_HASH = Statement(delete(quarantined_hashes).where(h.sha256 == bindparam("sha256")))
_INSERT_CHANGE = insert_row(media_quarantine_changes)
_CHANGES_AFTER = Statement(
    select(*_CHANGES.columns)
    .where(c.position > bindparam("after"))
    .order_by(c.position)
    .limit(bindparam("limit"))
)


async def set_quarantined(
    tx: WriteTransaction, records: Sequence[MediaRecord], by: str | None
) -> list[MediaRecord]:
    """Withhold media from everybody, or with ``by`` None give them out again; those that it changes."""
    changed = [record for record in records if record.quarantined != (by is not None)]
    position = await tx.positions(len(changed)) if changed else 0
    for number, record in enumerate(changed):
        await tx.run(
            _SET,
            of_origin=record.origin,
            of_media_id=record.media_id,
            quarantined=int(by is not None),
            quarantined_by=by,
        )
        change = Change(
            position=position + number,
            origin=record.origin,
            media_id=record.media_id,
            quarantined=by is not None,
        )
        await tx.run(_INSERT_CHANGE, **_CHANGES.values(change))
    return changed


async def set_protected(tx: WriteTransaction, origin: str, media_id: str, protected: bool) -> None:
    """Say whether anybody may quarantine it."""
    await tx.run(_PROTECT, of_origin=origin, of_media_id=media_id, protected=int(protected))


async def with_content(tx: Transaction, hashes: Sequence[bytes]) -> list[MediaRecord]:
    """Every URI of some content."""
    return _RECORDS.all(await tx.all(_WITH_CONTENT, hashes=list(hashes))) if hashes else []


async def of_user(tx: Transaction, user_id: str, *, after: str, limit: int) -> list[MediaRecord]:
    """The next of a user's media, by their IDs."""
    return _RECORDS.all(await tx.all(_OF_USER, user_id=user_id, after=after, limit=limit))


async def put_hash(tx: WriteTransaction, sha256: bytes, by: str, now_ms: int) -> None:
    """Withhold content, whatever URI it comes under."""
    await tx.run(_PUT_HASH, sha256=sha256, by=by, created_ts=now_ms)


async def delete_hash(tx: WriteTransaction, sha256: bytes) -> None:
    """End that."""
    await tx.run(_DELETE_HASH, sha256=sha256)


async def withheld_by(tx: Transaction, sha256: bytes) -> str | None:
    """Who has content withheld; None where nobody has."""
    found: str | None = await tx.value(_HASH_BY, sha256=sha256)
    return found


async def changes(tx: Transaction, *, after: int, limit: int) -> list[Change]:
    """What was quarantined and given out again at positions above ``after``, the oldest first."""
    return _CHANGES.all(await tx.all(_CHANGES_AFTER, after=after, limit=limit))
