"""Make a backup of a server that goes on meanwhile."""

from __future__ import annotations

import shutil
from pathlib import Path

import msgspec

from palpo import __version__
from palpo.config import signing_key
from palpo.db.copies.archive import archive
from palpo.db.copies.filling import Told
from palpo.services.administration.backups.contents import (
    DATABASE,
    FORMAT,
    MANIFEST,
    MEDIA,
    PARTIAL,
    PREFIX,
    Backup,
    is_whole,
    name_of,
    whole,
)
from palpo.services.administration.backups.linking import link_all, sizes
from palpo.services.administration.backups.orders import Origin


def make(origin: Origin, into: Path, now_ms: int, told: Told) -> Path:
    """Make a backup in a new folder in ``into``; returns that folder.

    One that is there of that moment was made by who was cut short then: it is not made again. Not for an
    event loop: it waits for disks. Raises DatabaseError and OSError; what is left of it then, as of one that
    was killed, the next one removes.
    """
    into.mkdir(parents=True, exist_ok=True)
    _remove_partial(into)
    name = name_of(now_ms)
    if is_whole(into / name):
        return into / name
    folder = into / f"{name}{PARTIAL}"
    (folder / DATABASE).mkdir(parents=True)
    media = folder / MEDIA
    media.mkdir()
    # Before the database and after it: so nothing that the database names is missing because it has been
    # removed meanwhile, nor because it has just come.
    _link(origin, media)
    archived = archive(origin.database_url, folder / DATABASE, told)
    _link(origin, media)
    shutil.copyfile(Path(origin.data) / signing_key.FILE_NAME, folder / signing_key.FILE_NAME)
    files, size = sizes(media)
    made = Backup(
        format=FORMAT,
        release=__version__,
        server_name=origin.server_name,
        created_ts=now_ms,
        rows=archived.rows,
        media_files=files,
        media_bytes=size,
        bucket=origin.bucket,
    )
    (folder / MANIFEST).write_bytes(msgspec.json.format(msgspec.json.encode(made), indent=1))
    return folder.rename(into / name)


def keep_newest(into: Path, count: int) -> list[Path]:
    """Remove all whole backups in ``into`` but the newest ``count``; returns what was removed."""
    old = whole(into)[:-count]
    for folder in old:
        shutil.rmtree(folder)
    return old


def _link(origin: Origin, media: Path) -> None:
    if not origin.bucket:
        link_all(Path(origin.data) / MEDIA, media)


def _remove_partial(into: Path) -> None:
    for folder in into.glob(f"{PREFIX}*{PARTIAL}"):
        shutil.rmtree(folder)
