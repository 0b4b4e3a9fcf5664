"""``palpo restore``: go on with a database that was put back from a backup."""

from __future__ import annotations

import argparse
import asyncio
from typing import Any

from palpo.app import identity_of, opened
from palpo.cli.failures import Failure, without_password
from palpo.cli.options import add_config, config_of, prepared_alone
from palpo.config.model import Config
from palpo.storage import restoration
from palpo.streams.clock import SystemClock
from palpo.streams.leases import all_run_out

HELP = "go on with a database that was put back from a backup; the server must be stopped"


def register(subparsers: Any) -> None:
    """Add the command."""
    parser: argparse.ArgumentParser = subparsers.add_parser("restore", help=HELP, description=HELP)
    add_config(parser)
    parser.add_argument(
        "--log-out-everyone",
        action="store_true",
        help="forget every session too: those that were ended since the backup would be good again",
    )
    parser.set_defaults(run=run)


def run(options: argparse.Namespace) -> int:
    """Begin a new generation of the database."""
    config = config_of(options)
    with prepared_alone(config):
        print(asyncio.run(_restore(config, log_out=options.log_out_everyone)))
    return 0


async def _restore(config: Config, *, log_out: bool) -> str:
    async with opened(config) as db:
        # SQLite's file is locked; on a server, a process shows that it is there by renewing its leases.
        if not config.database_url.startswith("sqlite:") and not await all_run_out(db, SystemClock()):
            url = without_password(config.database_url)
            raise Failure(f"database.url: {url} is served by another process: stop that one first")
        stored = await identity_of(config, db).restore()
        if log_out:
            await db.write(restoration.end_sessions)
    return f"Restored: the stream goes on at position {stored.position}. Start the server."
