"""What is said to the process that makes or reads a backup, and by it. A server imports no more than this."""

from __future__ import annotations

import msgspec

from palpo.config.model import Config


class Origin(msgspec.Struct, frozen=True, kw_only=True):
    """Of what a backup is made."""

    server_name: str
    database_url: str
    data: str
    """The data folder's path."""
    bucket: str
    """Where the media are instead of the data folder; empty: nowhere else."""

    @classmethod
    def of(cls, config: Config) -> Origin:
        """A server, by its configuration."""
        return cls(
            server_name=config.server_name,
            database_url=config.database_url,
            data=str(config.data.resolve()),
            bucket=config.media.s3.bucket,
        )


class Order(msgspec.Struct, frozen=True, kw_only=True, tag="make"):
    """A backup is to be made."""

    origin: Origin
    into: str
    keep: int
    now_ms: int


class Verification(msgspec.Struct, frozen=True, kw_only=True, tag="verify"):
    """All of a backup is to be read."""

    folder: str


class Progress(msgspec.Struct, frozen=True, kw_only=True, tag="progress"):
    """How far it is: ``number`` of ``total`` of ``what`` are ``done``."""

    done: str
    what: str
    number: int
    total: int


class Outcome(msgspec.Struct, frozen=True, kw_only=True, tag="outcome"):
    """The end: the folder, or the error."""

    folder: str = ""
    error: str = ""
