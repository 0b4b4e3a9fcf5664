"""Content in a bucket: what is particular to that."""

import hashlib
from collections.abc import AsyncIterator
from pathlib import Path

import obstore
import pytest

from palpo.config.errors import ConfigError
from palpo.config.sections.media import MediaConfig, S3Config
from palpo.core.errors import Unavailable
from palpo.media.disk_blobs import DiskBlobStore
from palpo.media.s3_blobs import PART, S3BlobStore, connect
from palpo.media.stores import open_store
from tests.media.s3 import BUCKET, S3Server, s3_server
from tests.media.test_blobs import files
from tests.support.homeserver import homeserver


async def pieces(*chunks: bytes) -> AsyncIterator[bytes]:
    for chunk in chunks:
        yield chunk


async def test_objects_have_the_names_of_files(s3: S3Server, tmp_path: Path) -> None:
    store = S3BlobStore(connect(s3.config(prefix="a/b")), tmp_path)
    await store.put(pieces(b"hello"), limit=5)
    name = hashlib.sha256(b"hello").hexdigest()
    found = await obstore.head_async(connect(s3.config()), f"a/b/{name[:2]}/{name[2:4]}/{name}")
    assert found["size"] == 5


async def test_large_content_is_sent_in_parts(s3: S3Server, tmp_path: Path) -> None:
    store = S3BlobStore(connect(s3.config()), tmp_path)
    await store.put(pieces(bytes(PART), bytes(PART), b"x"), limit=3 * PART)
    [[found]] = [batch async for batch in obstore.list(connect(s3.config()))]
    # So the service marks an object that came in three parts.
    assert str(found["e_tag"]).strip('"').endswith("-3")


async def test_other_objects_are_left_alone(s3: S3Server, tmp_path: Path) -> None:
    store = S3BlobStore(connect(s3.config()), tmp_path)
    blob = await store.put(pieces(b"hello"), limit=5)
    for name in ("notes.txt", f"copy/{blob.sha256.hex()}"):
        s3.call("PUT", f"/{BUCKET}/{name}", b"x")
    assert [stored.sha256 async for stored in store.stored()] == [blob.sha256]


async def test_a_service_that_is_away(tmp_path: Path) -> None:
    with s3_server() as server:
        server.empty()
        store = S3BlobStore(connect(server.config()), tmp_path)
        blob = await store.put(pieces(b"hello"), limit=5)
    with pytest.raises(Unavailable):
        await store.has(blob.sha256)
    with pytest.raises(Unavailable):
        await anext(store.read(blob.sha256))
    with pytest.raises(Unavailable):
        await store.put(pieces(b"hello"), limit=5)
    with pytest.raises(Unavailable):
        await store.delete(blob.sha256)
    with pytest.raises(Unavailable):
        await anext(store.stored())
    assert files(tmp_path) == []


async def test_a_bucket_that_is_not_there(s3: S3Server, tmp_path: Path) -> None:
    store = S3BlobStore(connect(s3.config(bucket="nothing")), tmp_path)
    with pytest.raises(Unavailable):
        await store.put(pieces(b"hello"), limit=5)
    with pytest.raises(Unavailable):
        await anext(store.stored())


async def test_clients_are_told_that_it_is_away(tmp_path: Path) -> None:
    with s3_server() as server:
        server.empty()
        settings = {"s3": {"endpoint": server.url, "bucket": BUCKET}}
        settings["s3"] |= {"access_key_id": "key", "secret_access_key": "secret"}
        async with homeserver(tmp_path, media=settings) as palpo:
            alice = await palpo.register("alice")
            answer = await alice.request("POST", "/media/v3/upload", content=b"hello")
            path = "/client/v1/media/download/" + answer["content_uri"].removeprefix("mxc://")
            response = await alice.request("GET", path, headers={"Range": "bytes=1-3"}, status=206)
            assert response.content == b"ell"
            assert not (tmp_path / "media" / "blobs").exists()
            server.server.stop()
            error = await alice.request("GET", path, status=503)
            assert error["errcode"] == "M_UNKNOWN"
            await alice.request("POST", "/media/v3/upload", content=b"hello", status=503)


def test_which_store(tmp_path: Path) -> None:
    assert isinstance(open_store(MediaConfig(), tmp_path), DiskBlobStore)
    assert isinstance(open_store(MediaConfig(s3=S3Config(bucket="x")), tmp_path), S3BlobStore)


def test_credentials_from_a_file(tmp_path: Path) -> None:
    path = tmp_path / "credentials"
    config = S3Config(bucket="x", credentials_file=path, credentials_profile="palpo")
    with pytest.raises(ConfigError, match="credentials"):
        connect(config)
    path.write_text("[default]\naws_access_key_id = wrong\n[palpo]\naws_access_key_id = k\n")
    with pytest.raises(ConfigError, match="aws_secret_access_key"):
        connect(config)
    path.write_text("[palpo]\naws_access_key_id = k\naws_secret_access_key = s%1\n")
    settings = connect(config).config
    assert (settings["access_key_id"], settings["secret_access_key"]) == ("k", "s%1")
