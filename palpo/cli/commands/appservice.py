"""``palpo appservice``: application services, as they are configured, and how far they are."""

from __future__ import annotations

import argparse
from typing import TYPE_CHECKING, Any

from palpo.cli.actions import add_action
from palpo.cli.outcomes import Outcome, done
from palpo.cli.people import table
from palpo.config.appservices import Registration

if TYPE_CHECKING:
    from palpo.api.services import Services


def register(subparsers: Any) -> None:
    """Add the command."""
    text = "look at application services"
    parser: argparse.ArgumentParser = subparsers.add_parser("appservice", help=text, description=text)
    actions = parser.add_subparsers(required=True, metavar="ACTION")
    add_action(actions, "list", _list, "show those that are configured", changes=False)
    check = add_action(actions, "check", _check, "say whether they answer", changes=False)
    check.add_argument("id", nargs="?", default="", metavar="ID", help="only this one")
    ping = add_action(actions, "ping", _ping, "ask one whether it knows this server's token", changes=False)
    ping.add_argument("id", metavar="ID")


async def _list(services: Services, options: argparse.Namespace) -> Outcome:
    found = services.server.registrations
    rows = [(item.id, item.url or "is told of nothing", f"acts as {item.sender}") for item in found]
    return Outcome(table(rows, empty="There are none"), [_shown(item) for item in found])


async def _check(services: Services, options: argparse.Namespace) -> Outcome:
    from palpo.services.administration.doctor.checks import Verdict

    found = await services.administration.doctor.appservices(options.id or None)
    rows = [(check.name.rpartition(" ")[2], check.verdict.value, check.text) for check in found]
    bad = any(check.verdict is not Verdict.OK for check in found)
    return Outcome(table(rows, empty="There are none that are told of anything"), found, 1 if bad else 0)


async def _ping(services: Services, options: argparse.Namespace) -> Outcome:
    took_ms = await services.appservices.appservice_queries.ping(options.id, options.id, None)
    return done(f"{options.id} answers, after {took_ms} ms", id=options.id, duration_ms=took_ms)


def _shown(item: Registration) -> dict[str, Any]:
    return {"id": item.id, "url": item.url, "sender": item.sender, "rate_limited": item.rate_limited}
