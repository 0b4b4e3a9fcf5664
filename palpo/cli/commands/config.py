"""``palpo config``: look at a configuration before a start has to."""

from __future__ import annotations

import argparse
from typing import Any

from palpo.cli.options import add_config, config_of
from palpo.config.appservices import load_registrations
from palpo.config.certificates import Certificates


def register(subparsers: Any) -> None:
    """Add the command."""
    text = "look at the configuration"
    parser: argparse.ArgumentParser = subparsers.add_parser("config", help=text, description=text)
    actions = parser.add_subparsers(required=True, metavar="ACTION")
    text = "say what is wrong with it, with certificates and registrations of application services too"
    check = actions.add_parser("check", help="say what is wrong with it", description=text)
    add_config(check)
    check.set_defaults(run=_check)


def _check(options: argparse.Namespace) -> int:
    config = config_of(options)
    Certificates(config)
    load_registrations(config.appservices, server_name=config.server_name)
    print(f"The configuration of {config.server_name} can be used")
    return 0
