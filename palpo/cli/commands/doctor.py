"""``palpo doctor``: whether the server is set up well."""

from __future__ import annotations

import argparse
from typing import TYPE_CHECKING, Any

from palpo.cli.actions import add_action
from palpo.cli.outcomes import Outcome
from palpo.cli.people import printable

if TYPE_CHECKING:
    from palpo.api.services import Services
    from palpo.services.administration.doctor.checks import Check

HELP = "say whether the server is set up well, seen from inside and from outside, and what to do"
MARKS = {"ok": "ok", "warning": "!!", "problem": "no"}


def register(subparsers: Any) -> None:
    """Add the command."""
    parser = add_action(subparsers, "doctor", _look, HELP, changes=False)
    parser.add_argument("--inside-only", action="store_true", help="ask nothing over the network")
    parser.add_argument(
        "--clock", metavar="HOST", default="", help="a host, as example.org, to compare the clock with"
    )


async def _look(services: Services, options: argparse.Namespace) -> Outcome:
    from palpo.services.administration.doctor.checks import Verdict, problem

    found: list[Check] = []
    if services.server.live.source is None:
        found.append(problem("server", "no server runs on this data folder", "palpo serve"))
    looking = services.administration.doctor.look(outside=not options.inside_only, clock=options.clock)
    async for check in looking:
        options.tell(f"{check.name} …")
        found.append(check)
    worst = any(check.verdict is Verdict.PROBLEM for check in found)
    return Outcome("\n".join(map(_line, found)), found, 1 if worst else 0)


def _line(check: Check) -> str:
    line = printable(f"{MARKS[check.verdict.value]}  {check.name}: {check.text}")
    return f"{line}\n      {printable(check.advice)}" if check.advice else line
