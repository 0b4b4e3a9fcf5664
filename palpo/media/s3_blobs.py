"""Content in a bucket of an S3-compatible service.

    <prefix>/ab/cd/abcd…   content, by the hexadecimal SHA-256 of it

The names are those of the files that the disk store makes, so ``blobs/`` can be copied there as it
is. What comes in is gathered in a local file, then sent in parts of ``PART`` bytes; it becomes
visible as a whole or not at all. What goes out is asked for in pieces of ``PIECE`` bytes: each is a
short request, however slow the client is that reads them.
"""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Iterator
from configparser import ConfigParser
from configparser import Error as ConfigParserError
from contextlib import asynccontextmanager, contextmanager
from datetime import datetime, timedelta
from pathlib import Path
from typing import TYPE_CHECKING

import obstore
from obstore.exceptions import BaseError, NotFoundError
from obstore.store import S3Store

from palpo.config.errors import ConfigError
from palpo.config.sections.media import S3Config
from palpo.core.errors import NotFound, Unavailable
from palpo.db.condition import Condition
from palpo.media.blobs import Blob, ScratchFolder, StoredBlob, file_blob, scratch_file, spool, using

if TYPE_CHECKING:
    from obstore.store import S3Config as Settings

PART = 8 * 1024 * 1024
"""Bytes that are sent at once; services want at least 5 MiB."""
PARTS_AT_ONCE = 2
PIECE = 2 * 1024 * 1024
"""Bytes that are asked for at once."""
RETRIES = 3
RETRY_TIME = timedelta(seconds=20)


def connect(config: S3Config) -> S3Store:
    """The bucket that ``config`` names; nothing is sent yet. Raises ConfigError."""
    settings: Settings = {"region": config.region}
    if config.endpoint:
        settings["endpoint"] = config.endpoint
    key_id, secret = _credentials(config)
    if key_id:
        settings["access_key_id"] = key_id
        settings["secret_access_key"] = secret
    try:
        return S3Store(
            config.bucket,
            prefix=config.prefix or None,
            config=settings,
            client_options={
                "allow_http": config.endpoint.startswith("http://"),
                "timeout": timedelta(seconds=config.timeout_seconds),
            },
            retry_config={"max_retries": RETRIES, "retry_timeout": RETRY_TIME},
        )
    except BaseError as error:
        raise ConfigError(f"media.s3: {error}") from error


def _credentials(config: S3Config) -> tuple[str, str]:
    """Key ID and secret; empty where the environment is to say. Raises ConfigError."""
    if config.credentials_file is None:
        return config.access_key_id, config.secret_access_key
    parser = ConfigParser(interpolation=None)
    try:
        parser.read_string(config.credentials_file.read_text())
        section = parser[config.credentials_profile]
        return section["aws_access_key_id"], section["aws_secret_access_key"]
    except (OSError, UnicodeDecodeError, ConfigParserError, KeyError) as error:
        raise ConfigError(f"{config.credentials_file}: {error}") from error


class S3BlobStore:
    """A bucket, and a local folder for what is on its way there: what it does is as ``BlobStore`` says."""

    def __init__(self, bucket: S3Store, scratch: Path) -> None:
        self._bucket = bucket
        self._scratch = ScratchFolder(scratch)
        self.condition = Condition("media bucket")

    async def put(self, chunks: AsyncIterator[bytes], *, limit: int) -> Blob:
        with using(self.condition):
            async with scratch_file(self._scratch) as path:
                blob = await spool(path, chunks, limit=limit)
                await self._send(path, blob)
        return blob

    async def probe(self) -> None:
        """Ask for what is there, or is not."""
        await self._stored_at(bytes(32))

    async def has(self, sha256: bytes) -> bool:
        return await self._stored_at(sha256) is not None

    async def read(self, sha256: bytes, start: int = 0, stop: int | None = None) -> AsyncIterator[bytes]:
        size = await self._size(sha256)
        stop = size if stop is None else min(stop, size)
        while start < stop:
            end = min(start + PIECE, stop)
            with _asking("read", self.condition):
                piece = await obstore.get_range_async(self._bucket, _key(sha256), start=start, end=end)
            if len(piece) != end - start:
                raise Unavailable("The media storage broke off")
            start = end
            yield bytes(piece)

    @asynccontextmanager
    async def local(self, sha256: bytes) -> AsyncIterator[Path]:
        """A copy of the content, to be read only, while the context lasts; raises NotFound."""
        async with scratch_file(self._scratch) as path:
            with using(self.condition):
                await spool(path, self.read(sha256), limit=await self._size(sha256))
            yield path

    def scratch(self) -> Path:
        return self._scratch.scratch()

    async def adopt(self, path: Path) -> Blob:
        blob = await asyncio.to_thread(file_blob, path)
        await self._send(path, blob)
        await asyncio.to_thread(path.unlink)
        return blob

    async def delete(self, sha256: bytes, *, before_ts: int | None = None) -> bool:
        stored_ts = await self._stored_at(sha256)
        if stored_ts is None or (before_ts is not None and stored_ts >= before_ts):
            return False
        with _asking("delete", self.condition):
            await obstore.delete_async(self._bucket, _key(sha256))
        return True

    async def stored(self) -> AsyncIterator[StoredBlob]:
        """All content, in no order; what else is in the bucket is left out."""
        with _asking("list", self.condition):
            async for objects in obstore.list(self._bucket):
                for item in objects:
                    sha256 = _sha256(item["path"])
                    if sha256 is not None:
                        stored_ts = _milliseconds(item["last_modified"])
                        yield StoredBlob(sha256=sha256, size=item["size"], stored_ts=stored_ts)

    async def _send(self, path: Path, blob: Blob) -> None:
        """Store a file under its name, again where it is there already: so it is as new as any other."""
        with _asking("write", self.condition):
            await obstore.put_async(
                self._bucket, _key(blob.sha256), path, chunk_size=PART, max_concurrency=PARTS_AT_ONCE
            )

    async def _size(self, sha256: bytes) -> int:
        with _asking("read", self.condition):
            return (await obstore.head_async(self._bucket, _key(sha256)))["size"]

    async def _stored_at(self, sha256: bytes) -> int | None:
        try:
            with _asking("read", self.condition):
                found = await obstore.head_async(self._bucket, _key(sha256))
        except NotFound:
            return None
        return _milliseconds(found["last_modified"])


@contextmanager
def _asking(what: str, condition: Condition) -> Iterator[None]:
    """Raises NotFound where there is no such object to be read, Unavailable where the service fails."""
    try:
        yield
    except (BaseError, OSError) as error:
        # Where the service finds nothing to write to or to list, it is the bucket that is missing.
        if what == "read" and isinstance(error, FileNotFoundError | NotFoundError):
            condition.works()
            raise NotFound("The content is not there") from None
        condition.failed(f"{what}: {str(error)[:500]}")
        raise Unavailable("The media storage is away for the moment") from error
    condition.works()


def _key(sha256: bytes) -> str:
    name = sha256.hex()
    return f"{name[:2]}/{name[2:4]}/{name}"


def _sha256(key: str) -> bytes | None:
    try:
        sha256 = bytes.fromhex(key.rpartition("/")[2])
    except ValueError:
        return None
    return sha256 if key == _key(sha256) else None


def _milliseconds(moment: datetime) -> int:
    return int(moment.timestamp() * 1000)
