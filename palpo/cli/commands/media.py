"""``palpo media``: withhold and remove media, in the database and the store themselves."""

from __future__ import annotations

import argparse
from typing import Any

from palpo.api.services import Services
from palpo.cli.actions import add_action
from palpo.core.identifiers import parse_mxc_uri
from palpo.services.media.media_cleanup import YOUNG_SECONDS

OPERATOR = "palpo"
"""Who does it, where it is done from the shell."""


def register(subparsers: Any) -> None:
    """Add the command."""
    parser: argparse.ArgumentParser = subparsers.add_parser("media", help="withhold and remove media")
    actions = parser.add_subparsers(required=True, metavar="ACTION")
    quarantine = add_action(actions, "quarantine", _quarantine, "withhold media from everybody")
    quarantine.add_argument("uri", metavar="MXC", help="mxc://SERVER/ID")
    quarantine.add_argument("--release", action="store_true", help="give them out again")
    delete = add_action(actions, "delete", _delete, "remove media; other servers' may be downloaded again")
    delete.add_argument("uri", metavar="MXC", help="mxc://SERVER/ID")
    sweep = add_action(actions, "sweep", _sweep, "remove content that nothing refers to")
    sweep.add_argument(
        "--age",
        type=int,
        default=YOUNG_SECONDS,
        metavar="SECONDS",
        help="leave what is younger, which may be of an upload under way (default: a day)",
    )


async def _quarantine(services: Services, options: argparse.Namespace) -> str:
    uri = parse_mxc_uri(options.uri)
    quarantine = services.media.quarantine
    if options.release:
        await quarantine.release(uri.server, uri.media_id)
    else:
        await quarantine.quarantine(uri.server, uri.media_id, OPERATOR)
    return f"{uri} is {'given out again' if options.release else 'withheld'}"


async def _delete(services: Services, options: argparse.Namespace) -> str:
    uri = parse_mxc_uri(options.uri)
    await services.media.media_cleanup.delete(uri.server, uri.media_id)
    return f"Removed {uri}"


async def _sweep(services: Services, options: argparse.Namespace) -> str:
    removed = await services.media.media_cleanup.sweep(age_seconds=options.age)
    return f"Removed {removed.count} files, {removed.size} bytes"
