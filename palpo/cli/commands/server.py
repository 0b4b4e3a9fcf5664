"""``palpo server``: the server that runs."""

from __future__ import annotations

import argparse
import os
from typing import TYPE_CHECKING, Any

from palpo import __version__
from palpo.cli.actions import add_action
from palpo.cli.failures import without_password
from palpo.cli.outcomes import Outcome
from palpo.cli.people import table
from palpo.core.records.jobs import JobState

if TYPE_CHECKING:
    from palpo.api.services import Services


def register(subparsers: Any) -> None:
    """Add the command."""
    text = "look at the server that runs"
    parser: argparse.ArgumentParser = subparsers.add_parser("server", help=text, description=text)
    actions = parser.add_subparsers(required=True, metavar="ACTION")
    add_action(actions, "status", _status, "say whether it runs, and is well", changes=False)
    add_action(
        actions, "reload", _reload, "have it read its configuration and certificates again, as by SIGHUP"
    )


async def _status(services: Services, options: argparse.Namespace) -> Outcome:
    server = services.server
    running = server.live.source is not None
    failing = await server.health.failing()
    jobs = await server.jobs.counts()
    facts = {
        "running": running,
        "version": __version__,
        "server_name": server.name,
        "process": os.getpid() if running else None,
        "database": without_password(server.config.database_url),
        "position": server.wakeups.position,
        "failing": failing,
        "jobs": jobs,
    }
    under_way = jobs.get(JobState.SCHEDULED.value, 0) + jobs.get(JobState.ACTIVE.value, 0)
    rows = [
        ("server", f"{server.name}, {'runs' if running else 'does not run here'}"),
        ("version", __version__),
        ("database", str(facts["database"])),
        ("position", str(facts["position"])),
        ("jobs", f"{under_way} under way"),
        *(("does not work", f"{part}: {error}") for part, error in failing.items()),
    ]
    return Outcome(table(rows, empty=""), facts, 0 if running and not failing else 1)


async def _reload(services: Services, options: argparse.Namespace) -> Outcome:
    change = services.administration.configuration.reload()
    lines = [f"{name} is in force" for name in change.in_force]
    lines += [f"{name} needs a restart of the server" for name in change.needs_restart]
    return Outcome("\n".join(lines) or "Nothing has changed", change)
