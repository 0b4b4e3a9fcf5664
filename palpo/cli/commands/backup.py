"""``palpo backup``: make backups of a server, which may run meanwhile, and check them."""

from __future__ import annotations

import argparse
import asyncio
from pathlib import Path
from typing import Any

from palpo.app import identity_of, opened
from palpo.cli.failures import Failure
from palpo.cli.noting import note, register_noted
from palpo.cli.options import add_config, config_of, prepare
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
    create.set_defaults(run=_create)
    register_noted("backup create")
    help_text = "read all of a backup, and see that it is whole"
    verify = actions.add_parser("verify", help=help_text, description=help_text)
    verify.add_argument("backup", type=Path, metavar="BACKUP", help="the folder of the backup")
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
    print(f"Made {folder}")
    note(config, "backup create", target=str(folder), keep=options.keep)
    _tell_of_bucket(config.media.s3.bucket)
    if options.keep is not None:
        for old in keep_newest(options.to, options.keep):
            print(f"Removed {old}")
    return 0


def _verify(options: argparse.Namespace) -> int:
    from palpo.db.copies.damaged import Damaged
    from palpo.services.administration.backups.checking import verify

    with Progress() as progress:
        try:
            found = verify(options.backup, progress.told)
        except Damaged as error:
            raise Failure(str(error)) from error
    print(f"{options.backup} is whole: {found.rows} rows, {found.media_files} files of {found.server_name}")
    _tell_of_bucket(found.bucket)
    return 0


def _tell_of_bucket(bucket: str) -> None:
    if bucket:
        print(f"The media are not in it: they are in the bucket {bucket}")


async def _check(config: Config) -> None:
    """Raise ConfigError where the database is not this server's, or not the data folder's."""
    async with opened(config) as db:
        await identity_of(config, db).check()
