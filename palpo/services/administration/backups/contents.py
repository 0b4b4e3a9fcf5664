"""What a backup is, and where its parts are."""

from __future__ import annotations

from datetime import UTC, datetime
from pathlib import Path
from typing import Final

import msgspec

from palpo.db.copies.damaged import Damaged

MANIFEST: Final = "backup.json"
DATABASE: Final = "database"
MEDIA: Final = "media"
FORMAT: Final = 1
PREFIX: Final = "palpo-"
PARTIAL: Final = ".partial"
"""How the name of a backup's folder ends until it is whole."""


class Backup(msgspec.Struct, frozen=True, kw_only=True):
    """Its manifest."""

    format: int
    release: str
    server_name: str
    created_ts: int
    """In milliseconds since the Unix epoch."""
    rows: int
    media_files: int
    media_bytes: int
    bucket: str
    """Where the media are instead, of which the backup has no copy; empty where it has."""


def read(folder: Path) -> Backup:
    """The manifest of a backup; raises Damaged."""
    path = folder / MANIFEST
    try:
        found = msgspec.json.decode(path.read_bytes(), type=Backup)
    except FileNotFoundError:
        raise Damaged(f"{folder}: there is no whole backup in it") from None
    except (OSError, msgspec.DecodeError) as error:
        raise Damaged(f"{path}: {error}") from error
    if found.format != FORMAT:
        raise Damaged(f"{path}: it is of format {found.format}, which this release does not know")
    return found


def name_of(created_ts: int) -> str:
    """The name of the folder of a backup that was begun at a time (ms since the Unix epoch)."""
    return f"{PREFIX}{datetime.fromtimestamp(created_ts / 1000, UTC):%Y-%m-%dT%H-%M-%S-%f}"[:-3] + "Z"


def is_whole(folder: Path) -> bool:
    """Whether there is a whole backup in its folder."""
    return (folder / MANIFEST).exists()


def whole(folder: Path) -> list[Path]:
    """The whole backups in a folder, the oldest first."""
    return sorted(
        path.parent for path in folder.glob(f"{PREFIX}*/{MANIFEST}") if path.parent.suffix != PARTIAL
    )
