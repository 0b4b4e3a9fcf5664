"""``palpo serve``: run the homeserver."""

from __future__ import annotations

import argparse
from typing import Any

from palpo.cli.options import add_config, prepared_alone, source_of

DESCRIPTION = """\
Run the homeserver until SIGTERM or SIGINT. On SIGHUP it reads its configuration and its certificates
again, and opens the log's file anew. A database server that does not answer yet is waited for. Exit status 2
says that the configuration is of no use."""


def register(subparsers: Any) -> None:
    """Add the command."""
    parser: argparse.ArgumentParser = subparsers.add_parser(
        "serve", help="run the homeserver", description=DESCRIPTION
    )
    add_config(parser)
    parser.set_defaults(run=run)


def run(options: argparse.Namespace) -> int:
    """Migrate the database if it is behind, then serve."""
    from palpo.cli import serving
    from palpo.cli.restoring import carry_out_plan

    serving.ignore_hangups()
    source = source_of(options)
    config = source.load()
    carry_out_plan(config)
    with prepared_alone(config):
        again = serving.run(config, source)
    if again:
        serving.start_anew()
    return 0
