"""``palpo db``: the database as such."""

from __future__ import annotations

import argparse
import asyncio
from typing import TYPE_CHECKING, Any

from palpo.cli.actions import add_action
from palpo.cli.commands import migrate
from palpo.cli.following import begun
from palpo.cli.noting import note, register_noted
from palpo.cli.options import add_config, check_unserved, config_of, prepared_alone
from palpo.cli.outcomes import Outcome, add_json, done, show
from palpo.cli.people import size, table
from palpo.config.model import Config

if TYPE_CHECKING:
    from palpo.api.services import Services


def register(subparsers: Any) -> None:
    """Add the command."""
    text = "look at the database"
    parser: argparse.ArgumentParser = subparsers.add_parser("db", help=text, description=text)
    actions = parser.add_subparsers(required=True, metavar="ACTION")
    add_action(actions, "sizes", _sizes, "show how much room each table takes", changes=False)
    add_action(
        actions, "check", _check, "say whether it works, and what a power cut would cost", changes=False
    )
    add_action(
        actions, "sweep", _sweep, "look for states of rooms that nothing refers to, and delete them later"
    )
    text = "give disk space back that deleted rows have left; the server must be stopped"
    shrink = actions.add_parser("vacuum", help=text, description=text)
    add_config(shrink)
    add_json(shrink)
    shrink.set_defaults(run=_vacuum)
    register_noted("db vacuum")
    text = "bring its schema up to date; a start does that too"
    update = actions.add_parser("migrate", help=text, description=text)
    add_config(update)
    add_json(update)
    update.set_defaults(run=migrate.run)


def _vacuum(options: argparse.Namespace) -> int:
    from palpo.db.copies.vacuum import vacuum

    config = config_of(options)
    with prepared_alone(config):
        asyncio.run(_check_unserved(config))
        before, after = vacuum(config.database_url)
    note(config, "db vacuum", before=before, after=after)
    text = f"It took {size(before)}, and takes {size(after)}"
    return show(done(text, before=before, after=after), as_json=options.json)


async def _check_unserved(config: Config) -> None:
    from palpo.app import identity_of, opened

    async with opened(config) as db:
        await identity_of(config, db).check()
        await check_unserved(config, db)


async def _sweep(services: Services, options: argparse.Namespace) -> Outcome:
    job_id = await services.administration.state_sweep.begin(by=options.actor)
    return begun(await services.server.jobs.get(job_id))


async def _sizes(services: Services, options: argparse.Namespace) -> Outcome:
    found = (await services.administration.overview.now()).tables
    rows = [
        (item.table or "the file", size(item.size), f"about {item.rows} rows" if item.table else "")
        for item in found
    ]
    return Outcome(table(rows, empty="There are no tables"), found)


async def _check(services: Services, options: argparse.Namespace) -> Outcome:
    from palpo.db.server_settings import server_settings, unsafe

    failing = await services.server.health.failing()
    settings = await services.server.db.read(server_settings)
    risks = unsafe(settings)
    rows = [*settings.items(), *(("does not work", f"{part}: {error}") for part, error in failing.items())]
    rows += [("a power cut may cost what was acknowledged", risk) for risk in risks]
    facts = {"settings": settings, "failing": failing, "unsafe": risks}
    return Outcome(table(rows, empty=""), facts, 1 if failing or risks else 0)
