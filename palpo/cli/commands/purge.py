"""``palpo purge``: old messages of a room, deleted."""

from __future__ import annotations

import argparse
from typing import TYPE_CHECKING, Any

from palpo.cli.actions import add_action
from palpo.cli.following import begun
from palpo.cli.outcomes import Outcome
from palpo.cli.people import span_ms
from palpo.core.identifiers import parse_room_id_or_alias

if TYPE_CHECKING:
    from palpo.api.services import Services

HELP = "delete old messages of a room, and keep its state"


def register(subparsers: Any) -> None:
    """Add the command."""
    parser = add_action(subparsers, "purge", _purge, HELP, target="room")
    parser.add_argument("room", metavar="ROOM", help="!aBcD:example.org, or #name:example.org")
    upto = parser.add_mutually_exclusive_group(required=True)
    upto.add_argument("--older-than", metavar="TIME", help="as 90d or 12h")
    upto.add_argument("--before", metavar="EVENT_ID", help="what was before this event")
    parser.add_argument(
        "--local-too",
        action="store_true",
        help="also messages of users of this server, of which there may be no other copy",
    )


async def _purge(services: Services, options: argparse.Namespace) -> Outcome:
    from palpo.services.administration.history_purge import Point

    purge = services.administration.history_purge
    room_id, _ = await services.administration.rooms.resolve(parse_room_id_or_alias(options.room))
    if options.before is not None:
        before = await purge.before_event(room_id, options.before)
    else:
        ts = services.server.clock.now_ms() - span_ms(options.older_than)
        before = await purge.before_time(room_id, ts)
    point = Point(before=before, local_too=options.local_too)
    return begun(await purge.start(room_id, point, by=options.actor))
