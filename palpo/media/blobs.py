"""Bytes by their SHA-256, each content once, wherever they are kept.

What comes in is written to a temporary file first: only when all of it is there is its name known.
No more than ``CHUNK`` bytes of it are in memory at once, whatever its size.
"""

from __future__ import annotations

import asyncio
import errno
import hashlib
import secrets
import time
from collections.abc import AsyncIterator, Iterator
from contextlib import AbstractAsyncContextManager, asynccontextmanager, contextmanager, suppress
from dataclasses import dataclass
from io import FileIO
from pathlib import Path
from typing import Protocol

from palpo.core.errors import InsufficientStorage, Unavailable
from palpo.db.condition import Condition

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


@dataclass(frozen=True, slots=True, kw_only=True)
class StoredBlob:
    """Content as its store lists it."""

    sha256: bytes
    size: int
    """Bytes."""
    stored_ts: int
    """When it was stored last: milliseconds since the Unix epoch."""


class BlobStore(Protocol):
    """Where content is kept.

    Its methods raise Unavailable where that cannot be reached, or written to, and InsufficientStorage
    where it is full.
    """

    condition: Condition
    """Whether it could be used when that was tried last."""

    async def probe(self) -> None:
        """See whether it can be used, for ``condition``; raises what using it raises."""
        ...

    async def put(self, chunks: AsyncIterator[bytes], *, limit: int) -> Blob:
        """Store what ``chunks`` yields; raises BlobTooLarge past ``limit`` bytes, and what they raise."""
        ...

    async def has(self, sha256: bytes) -> bool:
        """Whether the content is there."""
        ...

    def read(self, sha256: bytes, start: int = 0, stop: int | None = None) -> AsyncIterator[bytes]:
        """The bytes from ``start`` to before ``stop``; raises NotFound at the first."""
        ...

    def local(self, sha256: bytes) -> AbstractAsyncContextManager[Path]:
        """A local file with the content, to be read only, while the context lasts; raises NotFound."""
        ...

    def scratch(self) -> Path:
        """The path of a new temporary file, which does not exist yet."""
        ...

    async def adopt(self, path: Path) -> Blob:
        """Store the content of a scratch file, which is moved."""
        ...

    async def delete(self, sha256: bytes, *, before_ts: int | None = None) -> bool:
        """Remove content, unless it was stored since ``before_ts``; whether it was there and is gone.

        Storing content that is there already counts as storing it again.
        """
        ...

    def stored(self) -> AsyncIterator[StoredBlob]:
        """All content, in no order."""
        ...


class ScratchFolder:
    """A folder of files that are being written."""

    def __init__(self, folder: Path) -> None:
        self._folder = folder
        folder.mkdir(parents=True, exist_ok=True)
        self._sweep()

    def _sweep(self) -> None:
        """Remove what a crash left half written; young files may be another process's."""
        oldest = time.time() - ABANDONED_SECONDS
        for path in self._folder.iterdir():
            with suppress(FileNotFoundError):
                if path.stat().st_mtime < oldest:
                    path.unlink()

    def scratch(self) -> Path:
        """The path of a new temporary file, which does not exist yet."""
        return self._folder / secrets.token_hex(16)


async def spool(path: Path, chunks: AsyncIterator[bytes], *, limit: int) -> Blob:
    """Write what ``chunks`` yields to a new file; raises BlobTooLarge past ``limit`` bytes."""
    digest = hashlib.sha256()
    size = 0
    file = await asyncio.to_thread(path.open, "xb", buffering=0)
    try:
        async for data in gathered(chunks):
            size += len(data)
            if size > limit:
                raise BlobTooLarge(f"over {limit} bytes")
            await asyncio.to_thread(_append, file, digest, data)
    finally:
        file.close()
    return Blob(sha256=digest.digest(), size=size)


def file_blob(path: Path) -> Blob:
    """What a file has in it."""
    with path.open("rb") as file:
        return Blob(sha256=hashlib.file_digest(file, "sha256").digest(), size=file.tell())


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
async def scratch_file(folder: BlobStore | ScratchFolder) -> AsyncIterator[Path]:
    """A path for a temporary file, which is gone afterwards."""
    path = folder.scratch()
    try:
        yield path
    finally:
        await asyncio.to_thread(_remove, path)


def _remove(path: Path) -> None:
    # What cannot be removed now is, a day later.
    with suppress(OSError):
        path.unlink(missing_ok=True)


@contextmanager
def using(condition: Condition) -> Iterator[None]:
    """For work on local files: raises InsufficientStorage, or Unavailable, where the disk fails."""
    try:
        yield
    except (ConnectionError, TimeoutError):
        raise  # Of who sends it.
    except OSError as error:
        condition.failed(error)
        if error.errno in (errno.ENOSPC, errno.EDQUOT):
            raise InsufficientStorage("The server's disk for media is full; try again later") from error
        raise Unavailable("The server's media cannot be stored or read at the moment") from error
