"""Bytes by their SHA-256: each content once, in a file of that name.

    <root>/blobs/ab/cd/abcd…   content, complete whenever it is there
    <root>/tmp/…               what is being written

A file is written aside, flushed to disk and renamed, so a crash leaves whole files or none. No more
than ``CHUNK`` bytes of a file are in memory at once, whatever its size.
"""

from __future__ import annotations

import asyncio
import hashlib
import os
import secrets
import time
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager, suppress
from dataclasses import dataclass
from io import FileIO
from pathlib import Path
from typing import BinaryIO, Protocol

CHUNK = 256 * 1024
"""Bytes that are gathered before they are written, or read at once."""
ABANDONED_SECONDS = 24 * 3600


class _Hash(Protocol):
    def update(self, data: bytes, /) -> None: ...


class BlobTooLarge(Exception):
    """The content is over the limit; nothing was stored."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Blob:
    """Stored content."""

    sha256: bytes
    size: int
    """Bytes."""


class BlobStore(Protocol):
    """Where content is kept."""

    async def put(self, chunks: AsyncIterator[bytes], *, limit: int) -> Blob:
        """Store what ``chunks`` yields; raises BlobTooLarge past ``limit`` bytes, and what they raise."""
        ...

    async def has(self, sha256: bytes) -> bool:
        """Whether the content is there."""
        ...

    def read(self, sha256: bytes, start: int = 0, stop: int | None = None) -> AsyncIterator[bytes]:
        """The bytes from ``start`` to before ``stop``; raises FileNotFoundError."""
        ...

    async def path(self, sha256: bytes) -> Path:
        """A local file with the content, to be read only."""
        ...

    def scratch(self) -> Path:
        """The path of a new temporary file, which does not exist yet."""
        ...

    async def adopt(self, path: Path) -> Blob:
        """Store the content of a scratch file, which is moved."""
        ...


class DiskBlobStore:
    """A folder."""

    def __init__(self, root: Path) -> None:
        self._blobs = root / "blobs"
        self._scratch = root / "tmp"
        self._scratch.mkdir(parents=True, exist_ok=True)
        self._sweep()

    def _sweep(self) -> None:
        """Remove what a crash left half written; young files may be another process's."""
        oldest = time.time() - ABANDONED_SECONDS
        for path in self._scratch.iterdir():
            with suppress(FileNotFoundError):
                if path.stat().st_mtime < oldest:
                    path.unlink()

    async def put(self, chunks: AsyncIterator[bytes], *, limit: int) -> Blob:
        """Store what ``chunks`` yields; raises BlobTooLarge past ``limit`` bytes, and what they raise."""
        path = self.scratch()
        digest = hashlib.sha256()
        size = 0
        file = await asyncio.to_thread(path.open, "xb", buffering=0)
        try:
            async for data in gathered(chunks):
                size += len(data)
                if size > limit:
                    raise BlobTooLarge(f"over {limit} bytes")
                await asyncio.to_thread(_append, file, digest, data)
            await asyncio.to_thread(self._keep, file, path, digest.digest())
        finally:
            file.close()
            path.unlink(missing_ok=True)
        return Blob(sha256=digest.digest(), size=size)

    async def has(self, sha256: bytes) -> bool:
        """Whether the content is there."""
        return await asyncio.to_thread(self._file(sha256).is_file)

    async def read(self, sha256: bytes, start: int = 0, stop: int | None = None) -> AsyncIterator[bytes]:
        """The bytes from ``start`` to before ``stop``; raises FileNotFoundError."""
        file = await asyncio.to_thread(self._file(sha256).open, "rb")
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

    async def path(self, sha256: bytes) -> Path:
        """A local file with the content, to be read only."""
        return self._file(sha256)

    def scratch(self) -> Path:
        """The path of a new temporary file, which does not exist yet."""
        return self._scratch / secrets.token_hex(16)

    async def adopt(self, path: Path) -> Blob:
        """Store the content of a scratch file, which is moved."""
        return await asyncio.to_thread(self._adopt, path)

    def _adopt(self, path: Path) -> Blob:
        with path.open("rb") as file:
            digest = hashlib.file_digest(file, "sha256").digest()
            size = file.tell()
            self._keep(file, path, digest)
        return Blob(sha256=digest, size=size)

    def _keep(self, file: BinaryIO | FileIO, path: Path, sha256: bytes) -> None:
        """Flush the file at ``path`` to disk and give it its name."""
        os.fsync(file.fileno())
        place = self._file(sha256)
        place.parent.mkdir(parents=True, exist_ok=True)
        path.replace(place)
        folder = os.open(place.parent, os.O_RDONLY)
        try:
            os.fsync(folder)
        finally:
            os.close(folder)

    def _file(self, sha256: bytes) -> Path:
        name = sha256.hex()
        return self._blobs / name[:2] / name[2:4] / name


async def gathered(chunks: AsyncIterator[bytes]) -> AsyncIterator[bytes]:
    """The same bytes in pieces of ``CHUNK`` or a little more, but for the last."""
    waiting: list[bytes] = []
    size = 0
    async for chunk in chunks:
        waiting.append(chunk)
        size += len(chunk)
        if size >= CHUNK:
            yield b"".join(waiting)
            waiting, size = [], 0
    if waiting:
        yield b"".join(waiting)


def _append(file: FileIO, digest: _Hash, data: bytes) -> None:
    view = memoryview(data)
    while view:
        view = view[file.write(view) :]
    digest.update(data)


@asynccontextmanager
async def scratch_file(store: BlobStore) -> AsyncIterator[Path]:
    """A path for a temporary file, which is gone afterwards."""
    path = store.scratch()
    try:
        yield path
    finally:
        await asyncio.to_thread(path.unlink, missing_ok=True)
