"""Which store content is kept in."""

from __future__ import annotations

from pathlib import Path

from palpo.config.errors import ConfigError
from palpo.config.sections.media import MediaConfig
from palpo.media.blobs import BlobStore
from palpo.media.disk_blobs import DiskBlobStore


def open_store(config: MediaConfig, folder: Path) -> BlobStore:
    """The bucket where one is configured, else ``folder``, which is for temporary files in any case.

    Raises ConfigError.
    """
    try:
        return _open(config, folder)
    except OSError as error:
        raise ConfigError(f"media: {error.filename or folder}: {error.strerror}") from error


def _open(config: MediaConfig, folder: Path) -> BlobStore:
    if not config.s3.bucket:
        return DiskBlobStore(folder)
    try:
        from palpo.media.s3_blobs import S3BlobStore, connect
    except ImportError as error:
        raise ConfigError("media.s3 needs obstore: install palpo[s3]") from error
    return S3BlobStore(connect(config.s3), folder / "tmp")
