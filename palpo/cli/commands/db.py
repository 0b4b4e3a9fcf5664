"""``palpo db``: the database as such."""

from __future__ import annotations

import argparse
from typing import Any

from palpo.api.services import Services
from palpo.cli.actions import add_action
from palpo.cli.commands import migrate
from palpo.cli.options import add_config
from palpo.cli.outcomes import Outcome
from palpo.cli.people import size, table
from palpo.db.server_settings import server_settings, unsafe


def register(subparsers: Any) -> None:
    """Add the command."""
    text = "look at the database"
    parser: argparse.ArgumentParser = subparsers.add_parser("db", help=text, description=text)
    actions = parser.add_subparsers(required=True, metavar="ACTION")
    add_action(actions, "sizes", _sizes, "show how much room each table takes", changes=False)
    add_action(
        actions, "check", _check, "say whether it works, and what a power cut would cost", changes=False
    )
    text = "bring its schema up to date; a start does that too"
    update = actions.add_parser("migrate", help=text, description=text)
    add_config(update)
    update.set_defaults(run=migrate.run)


async def _sizes(services: Services, options: argparse.Namespace) -> Outcome:
    found = (await services.administration.overview.now()).tables
    rows = [
        (item.table or "the file", size(item.size), f"about {item.rows} rows" if item.table else "")
        for item in found
    ]
    return Outcome(table(rows, empty="There are no tables"), found)


async def _check(services: Services, options: argparse.Namespace) -> Outcome:
    failing = await services.server.health.failing()
    settings = await services.server.db.read(server_settings)
    risks = unsafe(settings)
    rows = [*settings.items(), *(("does not work", f"{part}: {error}") for part, error in failing.items())]
    rows += [("a power cut may cost what was acknowledged", risk) for risk in risks]
    facts = {"settings": settings, "failing": failing, "unsafe": risks}
    return Outcome(table(rows, empty=""), facts, 1 if failing or risks else 0)
