"""What the data folder knows of the server that it belongs to: ``server.json`` and ``position``."""

from __future__ import annotations

import asyncio
import contextlib
import os
import secrets
from pathlib import Path

import msgspec

from palpo.config.errors import ConfigError

VERSION = 1
"""Of what is in the folder: one that a newer release has written is not touched."""
RECORD = "server.json"
POSITION = "position"
DIGITS = 20
MARKED_AFTER_S = 0.05


class FolderRecord(msgspec.Struct, frozen=True, kw_only=True):
    """Which server's folder it is."""

    version: int = VERSION
    server_name: str
    database: str
    """The ID that the database was given with its first start."""
    generation: int
    """How often that database has been restored, as far as the folder knows."""


class DataFolder:
    """The folder ``path``, which exists."""

    def __init__(self, path: Path) -> None:
        self.path = path

    def record(self) -> FolderRecord | None:
        """What the folder says of itself; raises ConfigError where a newer release has written it."""
        path = self.path / RECORD
        try:
            raw = path.read_bytes()
        except FileNotFoundError:
            return None
        except OSError as error:
            raise ConfigError(f"{path}: {error.strerror}") from error
        try:
            version = msgspec.json.decode(raw, type=_Version).version
            if version <= VERSION:
                return msgspec.json.decode(raw, type=FolderRecord)
        except msgspec.MsgspecError as error:
            raise ConfigError(f"{path}: not what Palpo writes there ({error})") from error
        raise ConfigError(
            f"data: {self.path} is of a newer release (version {version}, this one knows {VERSION}): "
            "start that one"
        )

    def write(self, record: FolderRecord) -> None:
        """Replace what the folder says of itself, whole; raises ConfigError."""
        path = self.path / RECORD
        written = path.with_name(f".{RECORD}.{secrets.token_hex(4)}")
        try:
            with os.fdopen(os.open(written, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600), "wb") as file:
                file.write(msgspec.json.format(msgspec.json.encode(record)) + b"\n")
                file.flush()
                os.fsync(file.fileno())
            written.replace(path)
        except OSError as error:
            raise ConfigError(f"{path}: {error.strerror}") from error

    def mark(self) -> PositionMark:
        """The folder's mark; raises ConfigError."""
        return PositionMark(self.path / POSITION)


class PositionMark:
    """The highest stream position that clients may have heard of, in a file that outlives the process.

    A database that is below it has been put back from a backup. It is written a moment after a commit and
    synced by nobody: after a kill or a power cut it may be behind, which a database is not.
    """

    def __init__(self, path: Path) -> None:
        try:
            file = os.open(path, os.O_RDWR | os.O_CREAT, 0o600)
            text = os.pread(file, DIGITS, 0).strip()
        except OSError as error:
            raise ConfigError(f"{path}: {error.strerror}") from error
        self._file: int | None = file
        self._position = int(text) if text.isdigit() else 0
        self._due: asyncio.TimerHandle | None = None

    @property
    def position(self) -> int:
        """Where it is."""
        return self._position

    def note(self, position: int) -> None:
        """Move it on to ``position``, if it is not there yet; within the event loop, which writes it soon."""
        if position > self._position:
            self._position = position
            if self._due is None:
                self._due = asyncio.get_running_loop().call_later(MARKED_AFTER_S, self._write)

    def set(self, position: int) -> None:
        """Put it at ``position``, which may be below where it is, and write it."""
        self._position = position
        self._write()

    def close(self) -> None:
        """Let go of the file, once it is on the disk."""
        if self._due is not None:
            self._write()
        file, self._file = self._file, None
        if file is not None:
            with contextlib.suppress(OSError):
                os.fsync(file)
            os.close(file)

    def _write(self) -> None:
        """Write it; on a disk that is full it stays behind."""
        if self._due is not None:
            self._due.cancel()
            self._due = None
        if self._file is not None:
            with contextlib.suppress(OSError):
                os.pwrite(self._file, b"%0*d\n" % (DIGITS, self._position), 0)


class _Version(msgspec.Struct):
    version: int
