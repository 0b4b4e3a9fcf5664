"""``palpo retention``: how long messages are kept."""

from __future__ import annotations

import argparse
from typing import TYPE_CHECKING, Any

from palpo.cli.actions import add_action
from palpo.cli.following import line_of_job, shown_job
from palpo.cli.outcomes import Outcome
from palpo.cli.people import minute, printable, table

if TYPE_CHECKING:
    from palpo.api.services import Services

FOREVER = "Messages of all rooms are kept for ever"


def register(subparsers: Any) -> None:
    """Add the command."""
    text = "look at how long messages are kept, and delete what is too old"
    parser: argparse.ArgumentParser = subparsers.add_parser("retention", help=text, description=text)
    actions = parser.add_subparsers(required=True, metavar="ACTION")
    add_action(
        actions,
        "show",
        _show,
        "show the rooms whose messages are not kept for ever, and since when they are",
        changes=False,
    )
    add_action(actions, "run", _run, "delete what is too old now; the server goes on with it by itself")


async def _show(services: Services, options: argparse.Namespace) -> Outcome:
    found = [kept async for kept in services.administration.retention_sweep.rooms()]
    rows = [
        (kept.room_id, f"since {minute(kept.before_ts)}", "has older ones" if kept.has_older else "")
        for kept in found
    ]
    return Outcome(table(rows, empty=FOREVER), found)


async def _run(services: Services, options: argparse.Namespace) -> Outcome:
    begun = await services.administration.retention_sweep.begin(by=options.actor)
    lines = "\n".join(printable(line_of_job(job)) for job in begun)
    return Outcome(lines or "Nothing is too old", [shown_job(job) for job in begun])
