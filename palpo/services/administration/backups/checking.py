"""Read all of a backup, and see that it is whole."""

from __future__ import annotations

import hashlib
from collections.abc import Iterator
from pathlib import Path

from palpo.config import signing_key
from palpo.config.errors import ConfigError
from palpo.db.copies.archive import Archive, check, rows_of
from palpo.db.copies.damaged import Damaged
from palpo.db.copies.filling import Told
from palpo.services.administration.backups.contents import DATABASE, MEDIA, Backup, read
from palpo.services.administration.backups.linking import blob

NAMING = ("media", "media_thumbnails")
"""The tables that name content, in their column ``sha256``."""


def verify(folder: Path, told: Told) -> Backup:
    """The manifest of a backup, of which everything was read; raises Damaged for the first that is wrong."""
    found = read(folder)
    archived = check(folder / DATABASE, told)
    if archived.rows != found.rows:
        raise Damaged(f"{folder}: the database in it is another")
    _check_key(folder)
    if not found.bucket:
        _check_media(folder, archived, told)
    return found


def _check_key(folder: Path) -> None:
    try:
        key = signing_key.load(folder)
    except ConfigError as error:
        raise Damaged(str(error)) from error
    if key is None:
        raise Damaged(f"{folder / signing_key.FILE_NAME} is missing")


def _check_media(folder: Path, archived: Archive, told: Told) -> None:
    """Whether all content that the database names is there, and is what it is named by."""
    for table in NAMING:
        rows = archived.tables[table].rows
        for number, sha256 in enumerate(_named(folder, archived, table), 1):
            path = blob(folder / MEDIA, sha256)
            if _sha256(path) != sha256:
                raise Damaged(f"{path}: it is not what was uploaded")
            told("checked", "files", number, rows)


def _named(folder: Path, archived: Archive, table: str) -> Iterator[bytes]:
    column = archived.tables[table].columns.index("sha256")
    for row in rows_of(folder / DATABASE, table):
        if row[column] is not None:
            yield row[column]


def _sha256(path: Path) -> bytes:
    try:
        with path.open("rb") as file:
            return hashlib.file_digest(file, "sha256").digest()
    except OSError as error:
        raise Damaged(f"{path}: {error.strerror}") from error
