"""``palpo media``: withhold and remove media."""

from __future__ import annotations

import argparse
from typing import TYPE_CHECKING, Any

from palpo.cli.actions import add_action
from palpo.cli.outcomes import Outcome, done
from palpo.cli.people import size, span_ms, table, user_id_of
from palpo.core.errors import InvalidParam
from palpo.core.identifiers import RoomId, parse_mxc_uri

if TYPE_CHECKING:
    from palpo.api.services import Services

MOST_USERS = 10_000
"""Of a list."""


def register(subparsers: Any) -> None:
    """Add the command."""
    parser: argparse.ArgumentParser = subparsers.add_parser("media", help="withhold and remove media")
    actions = parser.add_subparsers(required=True, metavar="ACTION")
    quarantine = add_action(
        actions, "quarantine", _quarantine, "withhold media from everybody", target="what"
    )
    quarantine.add_argument("what", metavar="MXC|ROOM|USER", help="mxc://SERVER/ID; or all of a room or user")
    quarantine.add_argument("--release", action="store_true", help="give one file out again")
    protect = add_action(
        actions, "protect", _protect, "keep a file from being withheld with others", target="uri"
    )
    protect.add_argument("--revoke", action="store_true", help="end that")
    delete = add_action(
        actions, "delete", _delete, "remove media; other servers' may be downloaded again", target="uri"
    )
    for each in (protect, delete):
        each.add_argument("uri", metavar="MXC", help="mxc://SERVER/ID")
    listing = add_action(
        actions, "list", _list, "show the files that a room's unencrypted events have", changes=False
    )
    listing.add_argument("room", metavar="ROOM_ID", help="such as !aBcD:example.org")
    add_action(actions, "usage", _usage, "show who has uploaded how much", changes=False)
    _add_purges(actions)
    sweep = add_action(actions, "sweep", _sweep, "remove content that nothing refers to")
    sweep.add_argument(
        "--age",
        type=int,
        metavar="SECONDS",
        help="leave what is younger, which may be of an upload under way (default: a day)",
    )


def _add_purges(actions: Any) -> None:
    local = add_action(
        actions, "purge-local", _purge_local, "remove files of users here that nobody has asked for lately"
    )
    local.add_argument("--larger-than", type=int, default=0, metavar="BYTES", help="leave smaller ones")
    local.add_argument(
        "--pictures-too", action="store_true", help="also the pictures of users and rooms that are in use"
    )
    remote = add_action(
        actions,
        "purge-remote",
        _purge_remote,
        "remove other servers' files that nobody has asked for lately; they can be downloaded again",
    )
    for each in (local, remote):
        each.add_argument("--unused", required=True, metavar="TIME", help="for how long: 90d, 12h")


async def _quarantine(services: Services, options: argparse.Namespace) -> Outcome:
    quarantine, what = services.media.quarantine, options.what
    if what.startswith("mxc://"):
        uri = parse_mxc_uri(what)
        if options.release:
            await quarantine.release(uri.server, uri.media_id)
        else:
            await quarantine.quarantine(uri.server, uri.media_id, options.actor)
        word = "given out again" if options.release else "withheld"
        return done(f"{uri} is {word}", uri=str(uri), quarantined=not options.release)
    if options.release:
        raise InvalidParam("--release is for one file, mxc://SERVER/ID")
    if what.startswith("!"):
        count = await services.administration.media.quarantine_room(RoomId(what), options.actor)
    else:
        count = await quarantine.quarantine_user(await user_id_of(services, what), options.actor)
    return done(f"{count} files are withheld", count=count)


async def _protect(services: Services, options: argparse.Namespace) -> Outcome:
    uri = parse_mxc_uri(options.uri)
    if uri.server != services.server.name:
        raise InvalidParam("Only files of users here can be protected")
    await services.media.quarantine.protect(uri.media_id, not options.revoke)
    word = "not protected any more" if options.revoke else "protected"
    return done(f"{uri} is {word}", uri=str(uri), protected=not options.revoke)


async def _delete(services: Services, options: argparse.Namespace) -> Outcome:
    uri = parse_mxc_uri(options.uri)
    await services.media.media_cleanup.delete(uri.server, uri.media_id)
    return done(f"Removed {uri}", uri=str(uri))


async def _list(services: Services, options: argparse.Namespace) -> Outcome:
    found = await services.administration.media.of_room(RoomId(options.room))
    local, remote = list(map(str, found.local)), list(map(str, found.remote))
    return Outcome("\n".join((*local, *remote)) or "There are none", {"local": local, "remote": remote})


async def _usage(services: Services, options: argparse.Namespace) -> Outcome:
    _, found = await services.administration.statistics.media(
        order="media_length", backwards=True, limit=MOST_USERS
    )
    usages = [item.usage for item in found]
    rows = [(item.user_id, f"{item.count} files", size(item.size)) for item in usages]
    return Outcome(table(rows, empty="Nobody has uploaded anything"), usages)


async def _purge_local(services: Services, options: argparse.Namespace) -> Outcome:
    deleted = await services.administration.media.delete_old(
        before_ts=services.server.clock.now_ms() - span_ms(options.unused),
        larger_than=options.larger_than,
        keep_pictures=not options.pictures_too,
    )
    return done(f"Removed {len(deleted)} files", count=len(deleted), media_ids=deleted)


async def _purge_remote(services: Services, options: argparse.Namespace) -> Outcome:
    before = services.server.clock.now_ms() - span_ms(options.unused)
    count = await services.administration.media.purge_remote(before_ts=before)
    return done(f"Removed {count} files", count=count)


async def _sweep(services: Services, options: argparse.Namespace) -> Outcome:
    from palpo.services.media.media_cleanup import YOUNG_SECONDS

    age = YOUNG_SECONDS if options.age is None else options.age
    removed = await services.media.media_cleanup.sweep(age_seconds=age)
    return done(
        f"Removed {removed.count} files, {removed.size} bytes", count=removed.count, size=removed.size
    )
