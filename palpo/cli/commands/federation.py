"""``palpo federation``: other homeservers, as this one sees them."""

from __future__ import annotations

import argparse
import asyncio
from typing import TYPE_CHECKING, Any

from palpo.cli.actions import add_action
from palpo.cli.event_lines import lines_of, lines_of_changes
from palpo.cli.options import add_config, config_of
from palpo.cli.outcomes import Outcome, done
from palpo.cli.people import minute, printable
from palpo.config import signing_key
from palpo.config.model import Config
from palpo.core.identifiers import RoomId, ServerName
from palpo.streams.clock import SystemClock

if TYPE_CHECKING:
    from palpo.api.services import Services
    from palpo.net.federation_check import Finding
    from palpo.storage.destinations import Destination

MARKS = {True: "ok", False: "no", None: "  "}


def register(subparsers: Any) -> None:
    """Add the command."""
    text = "look at other homeservers"
    parser: argparse.ArgumentParser = subparsers.add_parser("federation", help=text, description=text)
    actions = parser.add_subparsers(required=True, metavar="ACTION")
    text = "say step by step how a homeserver is found, and whether it answers"
    check = actions.add_parser("check", help=text, description=text)
    check.add_argument("server", metavar="NAME", help="its server name, such as example.org")
    add_config(check)
    check.set_defaults(run=_check)
    add_action(
        actions,
        "destinations",
        _destinations,
        "show the servers that are not told of everything yet",
        changes=False,
    )
    retry = add_action(
        actions, "retry", _retry, "have a running server try now to tell another one", target="server"
    )
    reset = add_action(
        actions,
        "reset",
        _reset,
        "forget that a server could not be told, and try now; refused where it could",
        target="server",
    )
    for each in (retry, reset):
        each.add_argument("server", metavar="NAME", help="its server name, such as example.org")
    resync = add_action(
        actions,
        "resync",
        _resync,
        "fetch a room's state again, and resolve it with what is here",
        target="room",
    )
    resync.add_argument("room", metavar="ROOM_ID", help="such as !aBcD:example.org")
    resync.add_argument("--from", dest="server", metavar="NAME", help="the server to ask (default: any)")
    event = add_action(actions, "event", _event, "say what became of an event, and why", changes=False)
    event.add_argument("event", metavar="EVENT_ID", help="such as $aBcD")


def _check(options: argparse.Namespace) -> int:
    reached = asyncio.run(_look(config_of(options), options.server))
    return 0 if reached else 1


async def _look(config: Config, server: str) -> bool:
    """Print what is found; whether the server can be reached."""
    from palpo.app.composition.server import USER_AGENT
    from palpo.app.composition.transport import federation_check

    reached = False
    key = signing_key.load(config.data)
    async with federation_check(config, key, SystemClock(), user_agent=USER_AGENT) as check:
        async for finding in check.look(server):
            print(shown(finding), flush=True)
            reached = finding.good is True
    return reached


async def _destinations(services: Services, options: argparse.Namespace) -> Outcome:
    now_ms = services.server.clock.now_ms()
    found = await services.federation.destinations.all()
    lines = "\n".join(line_of(item, now_ms) for item in found)
    return Outcome(lines or "All servers have been told of everything", found)


async def _retry(services: Services, options: argparse.Namespace) -> Outcome:
    await services.federation.destinations.retry(ServerName(options.server))
    return done(f"{options.server} is tried now", server=options.server)


async def _reset(services: Services, options: argparse.Namespace) -> Outcome:
    await services.administration.destinations.retry(options.server)
    return done(f"{options.server} is tried now", server=options.server)


async def _event(services: Services, options: argparse.Namespace) -> Outcome:
    report = await services.federation.event_reports.of(options.event)
    return Outcome("\n".join(map(printable, lines_of(report, services.server.clock.now_ms()))), report)


async def _resync(services: Services, options: argparse.Namespace) -> Outcome:
    resynced = await services.federation.room_resync.run(
        RoomId(options.room),
        None if options.server is None else ServerName(options.server),
        lambda line: options.tell(printable(line)),
    )
    if not resynced.changes:
        return Outcome(f"The state is as it was, by {resynced.server}", resynced)
    return Outcome("\n".join(printable(line) for line in lines_of_changes(resynced)), resynced)


def line_of(destination: Destination, now_ms: int) -> str:
    """What there is to say of a server."""
    if not destination.failures:
        return f"{destination.server_name}  catches up"
    since = minute(destination.failing_since_ts)
    wait_s = max(0, destination.retry_ts - now_ms) // 1000
    return printable(
        f"{destination.server_name}  away since {since}, tried {destination.failures} times, again in"
        f" {wait_s} s: {destination.error}"
    )


def shown(finding: Finding) -> str:
    """A line for it."""
    return f"{MARKS[finding.good]}  {'  ' * finding.depth}{printable(finding.text)}"
