"""``palpo migrate``: bring the database's schema up to date."""

from __future__ import annotations

import argparse
from typing import Any

from palpo.cli.options import add_config, config_of, prepare


def register(subparsers: Any) -> None:
    """Add the command."""
    parser: argparse.ArgumentParser = subparsers.add_parser("migrate", help="update the database's schema")
    add_config(parser)
    parser.set_defaults(run=run)


def run(options: argparse.Namespace) -> int:
    """Upgrade to the newest revision."""
    prepare(config_of(options))
    print("The database is up to date")
    return 0
