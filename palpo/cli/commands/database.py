"""``palpo database``: move to another database."""

from __future__ import annotations

import argparse
import asyncio
from typing import Any

from palpo.cli.failures import Failure, database_failure, without_password
from palpo.cli.noting import note, register_noted
from palpo.cli.options import add_config, check_unserved, config_of, prepared_alone
from palpo.cli.outcomes import add_json, done, show
from palpo.cli.progress import Progress
from palpo.config.model import Config
from palpo.db.errors import DatabaseError

HELP = "copy everything to another database of any kind; the server must be stopped"


def register(subparsers: Any) -> None:
    """Add the command."""
    parser: argparse.ArgumentParser = subparsers.add_parser("database", help="move to another database")
    actions = parser.add_subparsers(required=True, metavar="ACTION")
    copy = actions.add_parser("copy", help=HELP, description=HELP)
    add_config(copy)
    copy.add_argument(
        "--to",
        required=True,
        metavar="URL",
        help="an empty database, such as postgresql://palpo:secret@host/palpo",
    )
    add_json(copy)
    copy.set_defaults(run=run)
    register_noted("database copy")


def run(options: argparse.Namespace) -> int:
    """Copy, compare, and say what to do next."""
    config = config_of(options)
    with prepared_alone(config):
        asyncio.run(_check_alone(config))
        rows = _copied(config.database_url, options.to)
    note(config, "database copy", target=without_password(options.to), rows=rows)
    text = (
        f"Copied and compared {rows} rows. Now set database.url to the new database, and start the server. "
        "Media and keys stay in the data folder; keep the old database until all is well."
    )
    return show(done(text, rows=rows, to=without_password(options.to)), as_json=options.json)


def _copied(source: str, target: str) -> int:
    # Alembic and SQLAlchemy's inspection take a while to import: only here.
    from palpo.db.copies.copy import copy_database

    with Progress() as progress:
        try:
            return copy_database(source, target, progress.told)
        except ValueError as error:
            raise Failure(f"--to {without_password(target)}: {error}") from error
        except DatabaseError as error:
            raise Failure(str(database_failure(target, error)).replace("database.url", "--to", 1)) from error


async def _check_alone(config: Config) -> None:
    """Raise where the database is not this server's, or another process serves it."""
    from palpo.app import identity_of, opened

    async with opened(config) as db:
        await identity_of(config, db).check()
        await check_unserved(config, db)
