"""``palpo migrate``: bring the database's schema up to date."""

from __future__ import annotations

import argparse
import asyncio
from typing import Any

from palpo.cli.options import add_config, config_of, prepare
from palpo.cli.outcomes import add_json, done, show
from palpo.config.model import Config
from palpo.db.migrations import HEAD


def register(subparsers: Any) -> None:
    """Add the command."""
    parser: argparse.ArgumentParser = subparsers.add_parser("migrate", help="update the database's schema")
    add_config(parser)
    add_json(parser)
    parser.set_defaults(run=run)


def run(options: argparse.Namespace) -> int:
    """Upgrade to the newest revision, and see whether the server can be started on it.

    Raises ConfigError where it is another server's, or not the data folder's.
    """
    config = config_of(options)
    prepare(config)
    asyncio.run(_check(config))
    return show(done("The database is up to date", revision=HEAD), as_json=options.json)


async def _check(config: Config) -> None:
    from palpo.app import identity_of, opened

    async with opened(config) as db:
        await identity_of(config, db).check()
