"""``palpo audit-log``: what administrators did, by the API, in the browser and from the shell."""

from __future__ import annotations

import argparse
from typing import TYPE_CHECKING, Any

import msgspec

from palpo.cli.actions import add_action
from palpo.cli.outcomes import Outcome
from palpo.cli.people import minute, table

if TYPE_CHECKING:
    from palpo.api.services import Services
    from palpo.storage.audit_log import Entry


def register(subparsers: Any) -> None:
    """Add the command."""
    text = "show what administrators did"
    parser: argparse.ArgumentParser = subparsers.add_parser("audit-log", help=text, description=text)
    actions = parser.add_subparsers(required=True, metavar="ACTION")
    listing = add_action(actions, "list", _list, "show it, the newest first", changes=False)
    listing.add_argument(
        "--actor", dest="who", metavar="WHO", help="only what they did: a user ID, or an account here"
    )
    listing.add_argument("--limit", type=int, default=100, metavar="N", help="so many at most (100)")
    listing.add_argument("--before", type=int, metavar="ID", help="only what is older than that entry")


async def _list(services: Services, options: argparse.Namespace) -> Outcome:
    found = await services.server.audit_log.newest(
        before=options.before, limit=max(1, options.limit), actor=options.who
    )
    rows = [
        (
            minute(entry.at_ts),
            entry.actor,
            entry.via,
            entry.action,
            entry.target,
            "" if entry.status < 300 else f"refused ({entry.status})",
        )
        for entry in found
    ]
    return Outcome(table(rows, empty="Nothing has been done"), [_shown(entry) for entry in found])


def _shown(entry: Entry) -> dict[str, Any]:
    return {
        "id": entry.position,
        "at_ts": entry.at_ts,
        "actor": entry.actor,
        "via": entry.via,
        "action": entry.action,
        "target": entry.target,
        "details": msgspec.json.decode(entry.details or b"{}"),
        "status": entry.status,
        "address": entry.address,
    }
