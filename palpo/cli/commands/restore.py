"""``palpo restore``: put a backup back, or go on with a database that was put back by other means."""

from __future__ import annotations

import argparse
import asyncio
from pathlib import Path
from typing import Any

from palpo.app import identity_of, opened
from palpo.cli.failures import Failure, database_failure
from palpo.cli.noting import note, register_noted
from palpo.cli.options import add_config, alone, check_unserved, config_of, prepared_alone
from palpo.cli.progress import Progress
from palpo.config.model import Config
from palpo.db.errors import DatabaseError
from palpo.db.tables.leases import leases
from palpo.services.server.server_identity import check_server_name
from palpo.storage import restoration

HELP = "put a backup back, or go on with a database that was put back; the server must be stopped"


def register(subparsers: Any) -> None:
    """Add the command."""
    parser: argparse.ArgumentParser = subparsers.add_parser("restore", help=HELP, description=HELP)
    add_config(parser)
    parser.add_argument(
        "backup",
        type=Path,
        nargs="?",
        metavar="BACKUP",
        help="the folder of a backup; without it, the database has been put back already",
    )
    parser.add_argument(
        "--replace", action="store_true", help="have the backup take the place of what is in the database"
    )
    parser.add_argument(
        "--log-out-everyone",
        action="store_true",
        help="forget every session too: those that were ended since the backup would be good again",
    )
    parser.set_defaults(run=run)
    register_noted("restore")


def run(options: argparse.Namespace) -> int:
    """Begin a new generation of the database."""
    config = config_of(options)
    if options.backup is not None:
        with alone(config):
            print(_put_back(config, options.backup, replace=options.replace))
    with prepared_alone(config):
        print(asyncio.run(_restore(config, log_out=options.log_out_everyone)))
        log_out = options.log_out_everyone
        note(config, "restore", target=str(options.backup or ""), log_out_everyone=log_out)
    return 0


def _put_back(config: Config, folder: Path, *, replace: bool) -> str:
    """Fill the database from a backup that has been read once, and found whole."""
    from palpo.db.copies.damaged import Damaged
    from palpo.db.copies.emptying import has_table
    from palpo.services.administration.backups.checking import verify
    from palpo.services.administration.backups.restoring import put_back

    with Progress() as progress:
        try:
            found = verify(folder, progress.told)
            check_server_name(found.server_name, config.server_name)
            if has_table(config.database_url, leases.name):
                asyncio.run(_check_unserved(config))
            rows = put_back(config, folder, progress.told, replace=replace)
        except Damaged as error:
            raise Failure(f"{error}. Nothing was changed") from error
        except DatabaseError as error:
            raise database_failure(config.database_url, error) from error
    return f"Put back {rows} rows and {found.media_files} files"


async def _check_unserved(config: Config) -> None:
    async with opened(config) as db:
        await check_unserved(config, db)


async def _restore(config: Config, *, log_out: bool) -> str:
    async with opened(config) as db:
        await check_unserved(config, db)
        stored = await identity_of(config, db).restore()
        if log_out:
            await db.write(restoration.end_sessions)
    return f"Restored: the stream goes on at position {stored.position}. Start the server."
