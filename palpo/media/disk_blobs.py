"""Content in files.

    <root>/blobs/ab/cd/abcd…   content, complete whenever it is there
    <root>/tmp/…               what is being written

A file is written aside, flushed to disk and renamed, so a crash leaves whole files or none.
"""

from __future__ import annotations

import asyncio
import os
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager, suppress
from pathlib import Path

from palpo.core.errors import NotFound
from palpo.db.condition import Condition
from palpo.media.blobs import CHUNK, Blob, ScratchFolder, StoredBlob, file_blob, scratch_file, spool, using

PROBE = 256 * 1024
"""Bytes that are written to see whether something can be."""


class DiskBlobStore:
    """A folder: what it does is as ``BlobStore`` says."""

    def __init__(self, root: Path) -> None:
        self._blobs = root / "blobs"
        self._scratch = ScratchFolder(root / "tmp")
        self.condition = Condition("media folder")

    async def put(self, chunks: AsyncIterator[bytes], *, limit: int) -> Blob:
        with using(self.condition):
            async with scratch_file(self._scratch) as path:
                blob = await spool(path, chunks, limit=limit)
                await asyncio.to_thread(self._keep, path, blob.sha256)
        self.condition.works()
        return blob

    async def probe(self) -> None:
        """Store something, and remove it again."""
        with using(self.condition):
            async with scratch_file(self._scratch) as path:
                await asyncio.to_thread(_write, path, bytes(PROBE))
        self.condition.works()

    async def has(self, sha256: bytes) -> bool:
        with using(self.condition):
            return await asyncio.to_thread(self._file(sha256).is_file)

    async def read(self, sha256: bytes, start: int = 0, stop: int | None = None) -> AsyncIterator[bytes]:
        with using(self.condition):
            try:
                file = await asyncio.to_thread(self._file(sha256).open, "rb")
            except FileNotFoundError:
                raise _missing() from None
        try:
            file.seek(start)
            left = None if stop is None else stop - start
            while left is None or left > 0:
                chunk = await asyncio.to_thread(file.read, CHUNK if left is None else min(CHUNK, left))
                if not chunk:
                    return
                left = None if left is None else left - len(chunk)
                yield chunk
        finally:
            file.close()

    @asynccontextmanager
    async def local(self, sha256: bytes) -> AsyncIterator[Path]:
        """The file with the content, to be read only; raises NotFound."""
        if not await self.has(sha256):
            raise _missing()
        yield self._file(sha256)

    def scratch(self) -> Path:
        return self._scratch.scratch()

    async def adopt(self, path: Path) -> Blob:
        with using(self.condition):
            blob = await asyncio.to_thread(file_blob, path)
            await asyncio.to_thread(self._keep, path, blob.sha256)
        return blob

    async def delete(self, sha256: bytes, *, before_ts: int | None = None) -> bool:
        with using(self.condition):
            return await asyncio.to_thread(self._delete, self._file(sha256), before_ts)

    async def stored(self) -> AsyncIterator[StoredBlob]:
        folders = await asyncio.to_thread(lambda: sorted(self._blobs.glob("??/??")))
        for folder in folders:
            for blob in await asyncio.to_thread(_in_folder, folder):
                yield blob

    def _keep(self, path: Path, sha256: bytes) -> None:
        """Flush the file at ``path`` to disk and give it its name."""
        _flush(path)
        place = self._file(sha256)
        place.parent.mkdir(parents=True, exist_ok=True)
        path.replace(place)
        _flush(place.parent)

    @staticmethod
    def _delete(path: Path, before_ts: int | None) -> bool:
        with suppress(FileNotFoundError):
            if before_ts is None or path.stat().st_mtime * 1000 < before_ts:
                path.unlink()
                return True
        return False

    def _file(self, sha256: bytes) -> Path:
        name = sha256.hex()
        return self._blobs / name[:2] / name[2:4] / name


def _write(path: Path, data: bytes) -> None:
    path.write_bytes(data)
    _flush(path)


def _in_folder(folder: Path) -> list[StoredBlob]:
    found: list[StoredBlob] = []
    for path in folder.iterdir():
        with suppress(FileNotFoundError, ValueError):
            stat = path.stat()
            found.append(
                StoredBlob(
                    sha256=bytes.fromhex(path.name), size=stat.st_size, stored_ts=int(stat.st_mtime * 1000)
                )
            )
    return found


def _flush(path: Path) -> None:
    descriptor = os.open(path, os.O_RDONLY)
    try:
        os.fsync(descriptor)
    finally:
        os.close(descriptor)


def _missing() -> NotFound:
    return NotFound("The content is not there")
