"""``palpo federation``: other homeservers, as this one sees them."""

from __future__ import annotations

import argparse
import asyncio
from typing import Any

from palpo.app.composition.server import USER_AGENT
from palpo.app.composition.transport import federation_check
from palpo.cli.options import add_config, config_of
from palpo.config import signing_key
from palpo.config.model import Config
from palpo.net.federation_check import Finding
from palpo.streams.clock import SystemClock

MARKS = {True: "ok", False: "no", None: "  "}


def register(subparsers: Any) -> None:
    """Add the command."""
    text = "look at other homeservers"
    parser: argparse.ArgumentParser = subparsers.add_parser("federation", help=text, description=text)
    actions = parser.add_subparsers(required=True, metavar="ACTION")
    text = "say step by step how a homeserver is found, and whether it answers"
    check = actions.add_parser("check", help=text, description=text)
    check.add_argument("server", metavar="NAME", help="its server name, such as example.org")
    add_config(check)
    check.set_defaults(run=_check)


def _check(options: argparse.Namespace) -> int:
    reached = asyncio.run(_look(config_of(options), options.server))
    return 0 if reached else 1


async def _look(config: Config, server: str) -> bool:
    """Print what is found; whether the server can be reached."""
    reached = False
    key = signing_key.load(config.data)
    async with federation_check(config, key, SystemClock(), user_agent=USER_AGENT) as check:
        async for finding in check.look(server):
            print(shown(finding), flush=True)
            reached = finding.good is True
    return reached


def shown(finding: Finding) -> str:
    """A line for it; what others say has nothing in it that a terminal obeys."""
    text = "".join(letter if letter.isprintable() else "?" for letter in finding.text)
    return f"{MARKS[finding.good]}  {'  ' * finding.depth}{text}"
