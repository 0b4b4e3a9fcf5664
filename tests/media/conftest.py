"""Stores of content, each kind behind one fixture."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest

from palpo.media.blobs import BlobStore
from palpo.media.disk_blobs import DiskBlobStore
from palpo.media.s3_blobs import S3BlobStore, connect
from tests.media.s3 import S3Server, s3_server


@pytest.fixture(scope="session")
def s3_process() -> Iterator[S3Server]:
    with s3_server() as server:
        yield server


@pytest.fixture
def s3(s3_process: S3Server) -> S3Server:
    """A service with one empty bucket."""
    s3_process.empty()
    return s3_process


@pytest.fixture(params=["disk", "s3"])
def store(request: pytest.FixtureRequest, tmp_path: Path) -> BlobStore:
    """A store with nothing in it; what it has on disk is in ``tmp_path``."""
    if request.param == "disk":
        return DiskBlobStore(tmp_path)
    server: S3Server = request.getfixturevalue("s3")
    return S3BlobStore(connect(server.config(prefix="a/b")), tmp_path)
