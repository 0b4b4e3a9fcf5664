"""``palpo backup``: make backups of a server, which may run meanwhile, and check them."""

from __future__ import annotations

import argparse
import asyncio
from pathlib import Path
from typing import Any

from palpo.cli.failures import Failure
from palpo.cli.noting import note, register_noted
from palpo.cli.options import add_config, config_of, prepare
from palpo.cli.outcomes import Outcome, add_json, show
from palpo.cli.progress import Progress
from palpo.config.model import Config
from palpo.streams.clock import SystemClock


def register(subparsers: Any) -> None:
    """Add the command."""
    parser: argparse.ArgumentParser = subparsers.add_parser("backup", help="make backups, and check them")
    actions = parser.add_subparsers(required=True, metavar="ACTION")
    help_text = "make a backup of the database, the media and the signing key; the server may run"
    create = actions.add_parser("create", help=help_text, description=help_text)
    add_config(create)
    create.add_argument(
        "--to", type=Path, required=True, metavar="FOLDER", help="in which a new folder is made"
    )
    create.add_argument(
        "--keep", type=int, metavar="N", help="then remove all backups there but the newest N"
    )
    add_json(create)
    create.set_defaults(run=_create)
    register_noted("backup create")
    help_text = "read all of a backup, and see that it is whole"
    verify = actions.add_parser("verify", help=help_text, description=help_text)
    verify.add_argument("backup", type=Path, metavar="BACKUP", help="the folder of the backup")
    add_json(verify)
    verify.set_defaults(run=_verify)


def _create(options: argparse.Namespace) -> int:
    from palpo.services.administration.backups.making import keep_newest, make
    from palpo.services.administration.backups.orders import Origin

    if options.keep is not None and options.keep < 1:
        raise Failure("--keep: at least 1")
    config = config_of(options)
    prepare(config)
    asyncio.run(_check(config))
    with Progress() as progress:
        folder = make(Origin.of(config), options.to, SystemClock().now_ms(), progress.told)
    note(config, "backup create", target=str(folder), keep=options.keep)
    removed = [] if options.keep is None else keep_newest(options.to, options.keep)
    lines = [f"Made {folder}", *_of_bucket(config.media.s3.bucket), *(f"Removed {old}" for old in removed)]
    facts = {
        "folder": str(folder),
        "removed": [str(old) for old in removed],
        "bucket": config.media.s3.bucket,
    }
    return show(Outcome("\n".join(lines), facts), as_json=options.json)


def _verify(options: argparse.Namespace) -> int:
    from palpo.db.copies.damaged import Damaged
    from palpo.services.administration.backups.checking import verify

    with Progress() as progress:
        try:
            found = verify(options.backup, progress.told)
        except Damaged as error:
            raise Failure(str(error)) from error
    line = f"{options.backup} is whole: {found.rows} rows, {found.media_files} files of {found.server_name}"
    return show(Outcome("\n".join([line, *_of_bucket(found.bucket)]), found), as_json=options.json)


def _of_bucket(bucket: str) -> list[str]:
    return [f"The media are not in it: they are in the bucket {bucket}"] if bucket else []


async def _check(config: Config) -> None:
    """Raise ConfigError where the database is not this server's, or not the data folder's."""
    from palpo.app import identity_of, opened

    async with opened(config) as db:
        await identity_of(config, db).check()
