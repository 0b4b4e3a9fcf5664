"""Media: the files into our store, by their contents, and what is known of each. Thumbnails are made anew."""

from __future__ import annotations

from abc import abstractmethod
from collections.abc import AsyncIterator, Iterable, Sequence
from dataclasses import dataclass, replace
from functools import partial
from hashlib import sha256
from pathlib import Path
from typing import Any, BinaryIO

from palpo.core.errors import MatrixError
from palpo.core.records.media import MediaRecord
from palpo.core.records.quotas import Kind
from palpo.db.engine import Database
from palpo.db.transaction import Row, WriteTransaction
from palpo.media.blobs import BlobStore
from palpo.media.headers import checked_type
from palpo.services.administration.synapse_import.steps import Batch, Source, Step
from palpo.storage import media as storage
from palpo.storage import media_quarantine as quarantine_storage
from palpo.storage import quotas as quotas_storage
from palpo.storage.quotas import SERVER
from palpo.storage.synapse import media as theirs
from palpo.storage.synapse.pages import Pages
from palpo.streams.turns import Turns

BATCH = 50
CHUNK = 2**18
"""Bytes that are read at once."""


@dataclass(frozen=True, slots=True, kw_only=True)
class _Theirs:
    """One of theirs: what is to be known of it here, and its file."""

    record: MediaRecord
    """Without its content."""
    path: Path
    length: int


class MediaStep(Step):
    """Media of one kind."""

    pages: Pages

    def __init__(self, source: Source, folder: Path, db: Database, blobs: BlobStore) -> None:
        self._source = source
        self._folder = folder
        self._db = db
        self._blobs = blobs

    @abstractmethod
    def item(self, row: Row) -> _Theirs:
        """What a row says."""

    @abstractmethod
    def amounts(self, records: Iterable[MediaRecord]) -> dict[str, dict[Kind, int]]:
        """What users, or the server, have more of by these."""

    async def count(self) -> int:
        return await self._source.db.read(self.pages.count)

    async def batches(self, after: Any) -> AsyncIterator[Batch]:
        while rows := await self._source.db.read(partial(self.pages.page, after=after, limit=BATCH)):
            after = self.pages.key(rows[-1])
            records = [record for row in rows if (record := await self._stored(self.item(row))) is not None]
            yield Batch(after=after, rows=len(rows), write=partial(self._write, records))

    async def differences(self) -> AsyncIterator[str]:
        after = None
        while rows := await self._source.db.read(partial(self.pages.page, after=after, limit=BATCH)):
            after = self.pages.key(rows[-1])
            for item in map(self.item, rows):
                line = await self._difference(item)
                if line is not None:
                    yield f"mxc://{item.record.origin}/{item.record.media_id} {line}"

    async def _stored(self, item: _Theirs) -> MediaRecord | None:
        """The record once its content is here; None where there is no file."""
        try:
            file = item.path.open("rb")
        except OSError:
            return None
        with file:
            blob = await self._blobs.put(_chunks(file), limit=max(item.length, item.path.stat().st_size))
        return replace(item.record, sha256=blob.sha256, size=blob.size)

    async def _write(self, records: Sequence[MediaRecord], tx: WriteTransaction) -> None:
        for record in records:
            await storage.insert_new(tx, record)
            if record.quarantined_by is not None and record.sha256 is not None:
                await quarantine_storage.put_hash(tx, record.sha256, record.quarantined_by, 0)
        for user_id, added in self.amounts(records).items():
            # Nobody is refused what they have already.
            known = await quotas_storage.amounts(tx, added, user_id)
            changed = {(kind, user): amount + added[kind] for (kind, user), amount in known.items()}
            await quotas_storage.put(tx, changed)

    async def _difference(self, item: _Theirs) -> str | None:
        found = await self._db.read(
            partial(storage.find, origin=item.record.origin, media_id=item.record.media_id)
        )
        if not item.path.is_file():
            return "has no file in the media store"
        if found is None or found.sha256 is None:
            return "is not here"
        if replace(found, sha256=None, size=0) != item.record:
            return f"is {found} here, and there {item.record}"
        with item.path.open("rb") as file:
            wanted = await _digest(_chunks(file))
        try:
            ours = await _digest(self._blobs.read(found.sha256))
        except MatrixError:
            return "has no content here"
        return None if ours == wanted == found.sha256 else "has other content"


class LocalMediaStep(MediaStep):
    """What users of this server have uploaded."""

    name = "media"
    pages = theirs.LOCAL

    def item(self, row: Row) -> _Theirs:
        media_id, type_, length, created_ts, name, user_id, by, _, access_ts, protected, authenticated = row
        record = MediaRecord(
            origin=self._source.server_name,
            media_id=media_id,
            user_id=user_id,
            created_ts=created_ts,
            content_type=checked_type(type_),
            filename=name or None,
            authenticated=bool(authenticated),
            quarantined=by is not None,
            quarantined_by=by,
            protected=bool(protected),
            last_access_ts=access_ts or 0,
        )
        path = self._folder / "local_content" / _path(media_id)
        return _Theirs(record=record, path=path, length=length)

    def amounts(self, records: Iterable[MediaRecord]) -> dict[str, dict[Kind, int]]:
        found: dict[str, dict[Kind, int]] = {}
        for record in records:
            if record.user_id is not None:
                added = found.setdefault(record.user_id, {Kind.MEDIA: 0, Kind.MEDIA_BYTES: 0})
                added[Kind.MEDIA] += 1
                added[Kind.MEDIA_BYTES] += record.size
        return found


class RemoteMediaStep(MediaStep):
    """What was fetched of other servers' media."""

    name = "media of other servers"
    pages = theirs.REMOTE

    def item(self, row: Row) -> _Theirs:
        origin, media_id, type_, length, created_ts, name, by, access_ts, authenticated, file = row
        record = MediaRecord(
            origin=origin,
            media_id=media_id,
            user_id=None,
            created_ts=created_ts,
            content_type=checked_type(type_),
            filename=name or None,
            authenticated=bool(authenticated),
            quarantined=by is not None,
            quarantined_by=by,
            last_access_ts=access_ts or 0,
        )
        path = self._folder / "remote_content" / origin / _path(file)
        return _Theirs(record=record, path=path, length=length or 0)

    def amounts(self, records: Iterable[MediaRecord]) -> dict[str, dict[Kind, int]]:
        return {SERVER: {Kind.REMOTE_MEDIA_BYTES: sum(record.size for record in records)}}


def _path(name: str) -> Path:
    """Where a file is in its folder: names that are not Synapse's own lead nowhere."""
    safe = name.replace("/", "_")
    return Path(safe[:2]) / safe[2:4] / safe[4:]


async def _chunks(file: BinaryIO) -> AsyncIterator[bytes]:
    turns = Turns()
    while chunk := file.read(CHUNK):
        await turns.breathe()
        yield chunk


async def _digest(chunks: AsyncIterator[bytes]) -> bytes:
    found = sha256()
    async for chunk in chunks:
        found.update(chunk)
    return found.digest()
