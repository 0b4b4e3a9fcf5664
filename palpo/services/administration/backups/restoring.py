"""Put a backup back."""

from __future__ import annotations

import shutil
from pathlib import Path

from palpo.config import signing_key
from palpo.config.model import Config
from palpo.db.copies.archive import unarchive
from palpo.db.copies.emptying import State, empty, state_of
from palpo.db.copies.filling import Told
from palpo.db.errors import DatabaseError
from palpo.services.administration.backups.contents import DATABASE, MEDIA
from palpo.services.administration.backups.linking import link_all


def put_back(config: Config, folder: Path, told: Told, *, replace: bool) -> int:
    """Put the rows, media and signing key of a checked backup where they belong; returns how many rows.

    Only beside no server. What is in the database goes before, with ``replace``; one that is being filled by
    the same backup is gone on with. A signing key and media that are there stay. Raises DatabaseError where
    there is something in the database and ``replace`` does not say so.
    """
    _put_files(config, folder)
    url = config.database_url
    state = state_of(url, folder / DATABASE)
    if state is State.FILLED and not replace:
        raise DatabaseError("it is not empty: with --replace the backup takes the place of what is in it")
    if state is State.FILLED:
        empty(url)
    return unarchive(folder / DATABASE, url, told)


def _put_files(config: Config, folder: Path) -> None:
    key = config.data / signing_key.FILE_NAME
    if not key.exists():
        aside = key.with_name(f"{key.name}.partial")
        shutil.copyfile(folder / signing_key.FILE_NAME, aside)
        aside.chmod(0o600)
        aside.rename(key)
    if not config.media.s3.bucket:
        link_all(folder / MEDIA, config.data / MEDIA)
