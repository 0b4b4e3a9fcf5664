"""Content on disk."""

import hashlib
import os
from collections.abc import AsyncIterator
from pathlib import Path

import pytest

from palpo.media.blobs import CHUNK, BlobTooLarge, DiskBlobStore, gathered, scratch_file


async def pieces(*chunks: bytes) -> AsyncIterator[bytes]:
    for chunk in chunks:
        yield chunk


async def broken() -> AsyncIterator[bytes]:
    yield b"x" * CHUNK
    raise ConnectionError


def files(root: Path) -> list[Path]:
    return [path for path in root.rglob("*") if path.is_file()]


async def test_content_comes_back(tmp_path: Path) -> None:
    store = DiskBlobStore(tmp_path)
    content = bytes(range(256)) * 4000
    blob = await store.put(pieces(content[:10], content[10:700_000], content[700_000:]), limit=len(content))
    assert blob.sha256 == hashlib.sha256(content).digest()
    assert blob.size == len(content)
    assert b"".join([chunk async for chunk in store.read(blob.sha256)]) == content
    assert b"".join([chunk async for chunk in store.read(blob.sha256, 5, 300_000)]) == content[5:300_000]
    assert await store.has(blob.sha256)
    assert (await store.path(blob.sha256)).read_bytes() == content


async def test_the_same_content_is_kept_once(tmp_path: Path) -> None:
    store = DiskBlobStore(tmp_path)
    assert await store.put(pieces(b"a", b"b"), limit=9) == await store.put(pieces(b"ab"), limit=9)
    async with scratch_file(store) as path:
        path.write_bytes(b"ab")
        await store.adopt(path)
    assert len(files(tmp_path)) == 1


async def test_nothing_is_left_of_what_failed(tmp_path: Path) -> None:
    store = DiskBlobStore(tmp_path)
    with pytest.raises(BlobTooLarge):
        await store.put(pieces(b"x" * CHUNK, b"x" * CHUNK), limit=CHUNK + 1)
    with pytest.raises(ConnectionError):
        await store.put(broken(), limit=CHUNK * 2)
    async with scratch_file(store) as path:
        path.write_bytes(b"half")
    assert files(tmp_path) == []


def test_what_a_crash_left_is_removed_a_day_later(tmp_path: Path) -> None:
    old, young = DiskBlobStore(tmp_path).scratch(), DiskBlobStore(tmp_path).scratch()
    old.write_bytes(b"old")
    young.write_bytes(b"young")
    os.utime(old, (0, 0))
    DiskBlobStore(tmp_path)
    assert files(tmp_path) == [young]


async def test_what_is_not_there(tmp_path: Path) -> None:
    store = DiskBlobStore(tmp_path)
    assert not await store.has(bytes(32))
    with pytest.raises(FileNotFoundError):
        await anext(store.read(bytes(32)))


async def test_small_pieces_are_gathered() -> None:
    sizes = [len(data) async for data in gathered(pieces(*[b"x" * 1000] * 300))]
    assert sizes == [263_000, 37_000]
