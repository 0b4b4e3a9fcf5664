"""``palpo restore``: put a backup back, or go on with a database that was put back by other means."""

from __future__ import annotations

import argparse
import asyncio
from pathlib import Path
from typing import Any

from palpo.cli.noting import note, register_noted
from palpo.cli.options import add_config, alone, config_of, prepared_alone
from palpo.cli.outcomes import add_json, done, show

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
    add_json(parser)
    parser.set_defaults(run=run)
    register_noted("restore")


def run(options: argparse.Namespace) -> int:
    """Begin a new generation of the database."""
    from palpo.cli.restoring import begin_generation, put_back
    from palpo.services.administration.backups.planned import forget

    config = config_of(options)
    lines: list[str] = []
    facts: dict[str, Any] = {}
    if options.backup is not None:
        with alone(config):
            found = put_back(config, options.backup, replace=options.replace)
            forget(config.data)  # What an administrator has planned for the next start.
        facts |= {"rows": found.rows, "media_files": found.backup.media_files}
        lines.append(f"Put back {found.rows} rows and {found.backup.media_files} files")
    with prepared_alone(config):
        log_out = options.log_out_everyone
        stored = asyncio.run(begin_generation(config, log_out=log_out))
        facts["position"] = stored.position
        lines.append(f"Restored: the stream goes on at position {stored.position}. Start the server.")
        note(config, "restore", target=str(options.backup or ""), log_out_everyone=log_out)
    return show(done("\n".join(lines), **facts), as_json=options.json)
