"""Stores of content: the same of each."""

import hashlib
import os
import time
from collections.abc import AsyncIterator
from pathlib import Path

import pytest

from palpo.core.errors import NotFound
from palpo.media import s3_blobs
from palpo.media.blobs import CHUNK, BlobStore, BlobTooLarge, ScratchFolder, gathered, scratch_file
from palpo.media.disk_blobs import DiskBlobStore


async def pieces(*chunks: bytes) -> AsyncIterator[bytes]:
    for chunk in chunks:
        yield chunk


async def broken() -> AsyncIterator[bytes]:
    yield b"x" * CHUNK
    raise ConnectionError


def files(root: Path) -> list[Path]:
    return [path for path in root.rglob("*") if path.is_file()]


async def names(store: BlobStore) -> set[bytes]:
    return {blob.sha256 async for blob in store.stored()}


async def content_of(store: BlobStore, sha256: bytes, start: int = 0, stop: int | None = None) -> bytes:
    return b"".join([chunk async for chunk in store.read(sha256, start, stop)])


async def test_content_comes_back(store: BlobStore) -> None:
    content = bytes(range(256)) * 4000
    blob = await store.put(pieces(content[:10], content[10:700_000], content[700_000:]), limit=len(content))
    assert blob.sha256 == hashlib.sha256(content).digest()
    assert blob.size == len(content)
    assert await content_of(store, blob.sha256) == content
    assert await content_of(store, blob.sha256, 5, 300_000) == content[5:300_000]
    assert await content_of(store, blob.sha256, len(content) - 3) == content[-3:]
    assert await content_of(store, blob.sha256, len(content) - 3, len(content) + 9) == content[-3:]
    assert await content_of(store, blob.sha256, len(content)) == b""
    assert await content_of(store, blob.sha256, 7, 7) == b""
    assert await store.has(blob.sha256)
    async with store.local(blob.sha256) as path:
        assert path.read_bytes() == content


async def test_large_content_goes_and_comes_in_parts(store: BlobStore) -> None:
    content = os.urandom(2 * s3_blobs.PART + 12_345)
    blob = await store.put(pieces(content), limit=len(content))
    assert await content_of(store, blob.sha256) == content
    start = s3_blobs.PIECE - 1
    stop = 2 * s3_blobs.PIECE + 1
    assert await content_of(store, blob.sha256, start, stop) == content[start:stop]
    assert max([len(chunk) async for chunk in store.read(blob.sha256)]) <= s3_blobs.PIECE


async def test_empty_content(store: BlobStore) -> None:
    blob = await store.put(pieces(), limit=0)
    assert blob.size == 0
    assert await store.has(blob.sha256)
    assert await content_of(store, blob.sha256, 0, 0) == b""
    assert await content_of(store, blob.sha256) == b""


async def test_the_same_content_is_kept_once(store: BlobStore) -> None:
    blob = await store.put(pieces(b"a", b"b"), limit=9)
    assert await store.put(pieces(b"ab"), limit=9) == blob
    async with scratch_file(store) as path:
        path.write_bytes(b"ab")
        assert await store.adopt(path) == blob
    assert [stored.sha256 async for stored in store.stored()] == [blob.sha256]


async def test_nothing_is_left_of_what_failed(store: BlobStore, tmp_path: Path) -> None:
    with pytest.raises(BlobTooLarge):
        await store.put(pieces(b"x" * CHUNK, b"x" * CHUNK), limit=CHUNK + 1)
    with pytest.raises(ConnectionError):
        await store.put(broken(), limit=CHUNK * 2)
    async with scratch_file(store) as path:
        path.write_bytes(b"half")
    assert files(tmp_path) == []
    assert await names(store) == set()


async def test_no_temporary_file_is_left(store: BlobStore, tmp_path: Path) -> None:
    blob = await store.put(pieces(b"ab"), limit=9)
    async with scratch_file(store) as path:
        path.write_bytes(b"cd")
        await store.adopt(path)
        assert not path.exists()
    async with store.local(blob.sha256):
        pass
    assert [path for path in files(tmp_path) if "blobs" not in path.parts] == []


async def test_what_is_not_there(store: BlobStore) -> None:
    assert not await store.has(bytes(32))
    with pytest.raises(NotFound):
        await anext(store.read(bytes(32)))
    with pytest.raises(NotFound):
        async with store.local(bytes(32)):
            pass
    assert not await store.delete(bytes(32))


async def test_content_is_listed_and_removed(store: BlobStore) -> None:
    began = int(time.time() * 1000) - 2000
    first = await store.put(pieces(b"first"), limit=9)
    second = await store.put(pieces(b"2"), limit=9)
    listed = {blob.sha256: blob async for blob in store.stored()}
    assert {sha256: blob.size for sha256, blob in listed.items()} == {first.sha256: 5, second.sha256: 1}
    assert all(began <= blob.stored_ts <= began + 60_000 for blob in listed.values())
    assert not await store.delete(first.sha256, before_ts=began)
    assert await store.has(first.sha256)
    assert await store.delete(first.sha256, before_ts=began + 60_000)
    assert not await store.has(first.sha256)
    assert await store.delete(second.sha256)
    assert await names(store) == set()


def test_what_a_crash_left_is_removed_a_day_later(tmp_path: Path) -> None:
    old, young = DiskBlobStore(tmp_path).scratch(), DiskBlobStore(tmp_path).scratch()
    old.write_bytes(b"old")
    young.write_bytes(b"young")
    os.utime(old, (0, 0))
    ScratchFolder(tmp_path / "tmp")
    assert files(tmp_path) == [young]


async def test_small_pieces_are_gathered() -> None:
    sizes = [len(data) async for data in gathered(pieces(*[b"x" * 1000] * 300))]
    assert sizes == [263_000, 37_000]
