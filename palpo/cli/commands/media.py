"""``palpo media``: withhold and remove media, in the database and the store themselves."""

from __future__ import annotations

import argparse
import asyncio
import sys
from collections.abc import Awaitable, Callable
from typing import Any

from palpo.api.services import Services
from palpo.app import application
from palpo.cli.options import add_config, config_of
from palpo.config.model import Config
from palpo.core.errors import MatrixError
from palpo.core.identifiers import parse_mxc_uri
from palpo.services.media_cleanup import YOUNG_SECONDS

Action = Callable[[Services, argparse.Namespace], Awaitable[str]]


def register(subparsers: Any) -> None:
    """Add the command."""
    parser: argparse.ArgumentParser = subparsers.add_parser("media", help="withhold and remove media")
    actions = parser.add_subparsers(required=True, metavar="ACTION")
    quarantine = _add(actions, "quarantine", _quarantine, "withhold media from everybody")
    quarantine.add_argument("uri", metavar="MXC", help="mxc://SERVER/ID")
    quarantine.add_argument("--release", action="store_true", help="give them out again")
    delete = _add(actions, "delete", _delete, "remove media; other servers' may be downloaded again")
    delete.add_argument("uri", metavar="MXC", help="mxc://SERVER/ID")
    sweep = _add(actions, "sweep", _sweep, "remove content that nothing refers to")
    sweep.add_argument(
        "--age",
        type=int,
        default=YOUNG_SECONDS,
        metavar="SECONDS",
        help="leave what is younger, which may be of an upload under way (default: a day)",
    )


def _add(actions: Any, name: str, action: Action, help_text: str) -> argparse.ArgumentParser:
    parser: argparse.ArgumentParser = actions.add_parser(name, help=help_text)
    add_config(parser)
    parser.set_defaults(run=run, action=action)
    return parser


def run(options: argparse.Namespace) -> int:
    """Carry out the action; the outcome is printed, an error on standard error."""
    config = config_of(options)
    try:
        print(asyncio.run(_run(config, options)))
    except MatrixError as error:
        print(f"palpo: {error.message}", file=sys.stderr)
        return 1
    return 0


async def _run(config: Config, options: argparse.Namespace) -> str:
    async with application(config) as app:
        outcome: str = await options.action(app.services, options)
        return outcome


async def _quarantine(services: Services, options: argparse.Namespace) -> str:
    uri = parse_mxc_uri(options.uri)
    await services.media.set_quarantined(uri.server, uri.media_id, not options.release)
    return f"{uri} is {'given out again' if options.release else 'withheld'}"


async def _delete(services: Services, options: argparse.Namespace) -> str:
    uri = parse_mxc_uri(options.uri)
    await services.media_cleanup.delete(uri.server, uri.media_id)
    return f"Removed {uri}"


async def _sweep(services: Services, options: argparse.Namespace) -> str:
    removed = await services.media_cleanup.sweep(age_seconds=options.age)
    return f"Removed {removed.count} files, {removed.size} bytes"
