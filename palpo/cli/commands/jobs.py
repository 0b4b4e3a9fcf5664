"""``palpo jobs``: long work that administrators have begun."""

from __future__ import annotations

import argparse
from dataclasses import replace
from typing import TYPE_CHECKING, Any

from palpo.cli.actions import add_action
from palpo.cli.following import line_of_job, shown_job
from palpo.cli.outcomes import Outcome
from palpo.cli.people import printable
from palpo.core.records.jobs import JobState

if TYPE_CHECKING:
    from palpo.api.services import Services


def register(subparsers: Any) -> None:
    """Add the command."""
    text = "look at long work, which goes on by itself"
    parser: argparse.ArgumentParser = subparsers.add_parser("jobs", help=text, description=text)
    actions = parser.add_subparsers(required=True, metavar="ACTION")
    listing = add_action(actions, "list", _list, "show jobs, the newest first", changes=False)
    listing.add_argument("--state", choices=[state.value for state in JobState], help="only those")
    listing.add_argument("--kind", metavar="KIND", help="only those, such as delete_room")
    listing.add_argument("--target", metavar="WHAT", help="only those of a room or user")
    listing.add_argument("--limit", type=int, default=100, metavar="N", help="so many at most (100)")
    show = add_action(actions, "show", _show, "show a job", changes=False)
    follow = add_action(actions, "follow", _follow, "say how far a job is, until it ends", changes=False)
    cancel = add_action(actions, "cancel", _cancel, "end a job after the step that it is at", target="job")
    for each in (show, follow, cancel):
        each.add_argument("job", metavar="JOB_ID")


async def _list(services: Services, options: argparse.Namespace) -> Outcome:
    state = None if options.state is None else JobState(options.state)
    found = await services.server.jobs.find(
        kind=options.kind, target=options.target, state=state, limit=max(1, options.limit)
    )
    lines = "\n".join(printable(line_of_job(job)) for job in found)
    return Outcome(lines or "There are no such jobs", [shown_job(job) for job in found])


async def _show(services: Services, options: argparse.Namespace) -> Outcome:
    job = await services.server.jobs.get(options.job)
    return Outcome(printable(line_of_job(job)), shown_job(job))


async def _follow(services: Services, options: argparse.Namespace) -> Outcome:
    return replace(await _show(services, options), job=await services.server.jobs.get(options.job))


async def _cancel(services: Services, options: argparse.Namespace) -> Outcome:
    job = await services.server.jobs.cancel(options.job)
    return Outcome(printable(line_of_job(job)), shown_job(job))
