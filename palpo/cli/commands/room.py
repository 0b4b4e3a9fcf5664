"""``palpo room``: rooms, looked at, blocked and deleted."""

from __future__ import annotations

import argparse
from functools import partial
from typing import TYPE_CHECKING, Any

import msgspec

from palpo.cli.actions import Action, add_action
from palpo.cli.following import begun
from palpo.cli.outcomes import Outcome, done
from palpo.cli.people import printable, table, user_id_of
from palpo.core.identifiers import RoomId, parse_room_id, parse_room_id_or_alias
from palpo.core.records.rooms import RoomOrder

if TYPE_CHECKING:
    from palpo.api.services import Services
    from palpo.services.administration.room_lists import ListedRoom

MAX_LINE = 200
"""Characters of a state event that are shown to people."""


def register(subparsers: Any) -> None:
    """Add the command."""
    text = "look at rooms, and see to who may enter"
    parser: argparse.ArgumentParser = subparsers.add_parser("room", help=text, description=text)
    actions = parser.add_subparsers(required=True, metavar="ACTION")
    listing = add_action(actions, "list", _list, "show the rooms that are here", changes=False)
    listing.add_argument("--search", metavar="TEXT", help="only those with this in the name, alias or ID")
    listing.add_argument("--empty", action="store_true", help="only those that nobody is in")
    listing.add_argument("--public", action="store_true", help="only those that the directory lists")
    listing.add_argument(
        "--order",
        choices=[order.value for order in RoomOrder],
        default=RoomOrder.JOINED_MEMBERS.value,
        help="what they are sorted by (default: joined_members)",
    )
    listing.add_argument("--limit", type=int, default=100, metavar="N", help="so many at most (100)")
    _add(actions, "show", _show, "show what is known of a room", changes=False)
    _add(actions, "members", _members, "show who is in a room", changes=False)
    state = _add(actions, "state", _state, "show a room's state", changes=False)
    state.add_argument("--type", metavar="TYPE", help="only events of this type, as m.room.power_levels")
    _add(actions, "block", partial(_block, blocked=True), "have nobody of this server join a room")
    _add(actions, "unblock", partial(_block, blocked=False), "end that")
    admin = _add(
        actions, "make-admin", _make_admin, "give someone as much power in a room as anybody here has"
    )
    admin.add_argument("user", metavar="USER", help="alice, or @alice:example.org")
    delete = _add(actions, "delete", _delete, "have all users here leave a room, and delete all of it")
    delete.add_argument("--block", action="store_true", help="let nobody here join it again")
    delete.add_argument("--keep", action="store_true", help="have users leave only, and delete nothing")
    delete.add_argument("--force", action="store_true", help="delete it also where somebody could not leave")
    delete.add_argument(
        "--move-to-room-of", metavar="USER", help="have this user make a room, to which all are moved"
    )
    delete.add_argument("--message", metavar="TEXT", help="what is said in that room")


def _add(actions: Any, name: str, action: Action, help_text: str, **more: Any) -> argparse.ArgumentParser:
    parser = add_action(actions, name, action, help_text, target="room", **more)
    parser.add_argument("room", metavar="ROOM", help="!aBcD:example.org, or #name:example.org")
    return parser


async def _list(services: Services, options: argparse.Namespace) -> Outcome:
    from palpo.services.administration.room_lists import RoomQuery

    query = RoomQuery(
        search=options.search,
        public=True if options.public else None,
        empty=True if options.empty else None,
        order=RoomOrder(options.order),
    )
    total, shown = await services.administration.room_lists.find(query, limit=max(1, options.limit))
    lines = table([_row(room) for room in shown], empty="There are no such rooms")
    if total > len(shown):
        lines += f"\nand {total - len(shown)} more: --limit"
    return Outcome(lines, shown)


async def _show(services: Services, options: argparse.Namespace) -> Outcome:
    room_id = await _resolved(services, options.room)
    details = await services.administration.room_lists.details(room_id)
    blocked = await services.administration.rooms.blocked(room_id)
    facts = msgspec.to_builtins(details.room.facts)
    rows = [(name.replace("_", " "), str(value)) for name, value in facts.items() if value not in (None, "")]
    rows += [
        ("members", f"{details.room.joined_members}, of this server {details.room.joined_local_members}"),
        ("directory", "lists it" if details.room.public else "does not list it"),
    ]
    if blocked is not None:
        rows.append(("blocked", f"by {blocked.user_id}"))
    return Outcome(table(rows, empty=""), {**msgspec.to_builtins(details), "blocked": blocked is not None})


async def _members(services: Services, options: argparse.Namespace) -> Outcome:
    found = await services.administration.rooms.members(await _resolved(services, options.room))
    return Outcome("\n".join(map(printable, sorted(found))) or "Nobody is in it", sorted(found))


async def _state(services: Services, options: argparse.Namespace) -> Outcome:
    room_id = await _resolved(services, options.room)
    found = [
        {
            "type": item.event.type,
            "state_key": item.event.state_key,
            "sender": item.event.sender,
            "event_id": item.event_id,
            "content": item.event.content,
        }
        for item in await services.administration.room_histories.state(room_id, options.type)
    ]
    lines = [
        f"{event['type']} {event['state_key']!r}  {msgspec.json.encode(event['content']).decode()}"
        for event in found
    ]
    return Outcome("\n".join(printable(line[:MAX_LINE]) for line in lines) or "There is none", found)


async def _block(services: Services, options: argparse.Namespace, *, blocked: bool) -> Outcome:
    # It need not be here, unless it is named by an alias.
    is_alias = options.room.startswith("#")
    room_id = await _resolved(services, options.room) if is_alias else parse_room_id(options.room)
    await services.administration.rooms.set_blocked(room_id, options.actor, blocked=blocked)
    text = f"{room_id} is {'blocked' if blocked else 'not blocked any more'}"
    return done(text, room_id=room_id, blocked=blocked)


async def _make_admin(services: Services, options: argparse.Namespace) -> Outcome:
    user_id = await user_id_of(services, options.user)
    room_id = await _resolved(services, options.room)
    await services.administration.rooms.make_admin(room_id, user_id)
    return done(f"{user_id} has power in {room_id}", user_id=user_id, room_id=room_id)


async def _delete(services: Services, options: argparse.Namespace) -> Outcome:
    from palpo.services.administration.room_deletion import MESSAGE, DeletionWish

    maker = options.move_to_room_of
    wish = DeletionWish(
        new_room_user_id=None if maker is None else await user_id_of(services, maker),
        message=MESSAGE if options.message is None else options.message,
        block=options.block,
        purge=not options.keep,
        force_purge=options.force,
    )
    room_id = await _resolved(services, options.room)
    if not (options.block or options.force):
        await services.administration.room_lists.details(room_id)  # Raises NotFound: a typing error, say.
    job = await services.administration.room_deletion.start(room_id, wish, by=options.actor)
    return begun(job)


async def _resolved(services: Services, room: str) -> RoomId:
    """The ID of a room that is named by that or by an alias; raises NotFound and InvalidParam."""
    room_id, _ = await services.administration.rooms.resolve(parse_room_id_or_alias(room))
    return room_id


def _row(room: ListedRoom) -> tuple[str, ...]:
    facts = room.facts
    return (
        facts.room_id,
        facts.name or facts.canonical_alias or "",
        f"{room.joined_members} members, {room.joined_local_members} here",
        f"version {facts.version}",
    )
