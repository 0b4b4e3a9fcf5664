"""Which rooms are due, and why: what a request matches, against what the connection has been sent."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, field

import msgspec

from palpo.core.membership import INVITE, JOIN, KNOCK
from palpo.storage.memberships import Member
from palpo.storage.sliding_sync import OF_CONNECTION, RoomSent
from palpo.sync.sliding.config import RoomConfig, SlidingRequest, StateConfig, combine
from palpo.sync.sliding.connections import Connection
from palpo.sync.sliding.listing import ListedRoom
from palpo.sync.sliding.user_lists import UserList, UserLists
from palpo.sync.summary import GONE

LEAVING_LIMIT = 20
PENDING = (INVITE, KNOCK)


@dataclass(frozen=True, slots=True, kw_only=True)
class Match:
    """By which rules rooms are in a response, and what those want together."""

    lists: tuple[str, ...]
    subscribed: bool
    config: RoomConfig


@dataclass(slots=True, kw_only=True)
class Matches:
    """The rooms that a request matches."""

    rooms: dict[str, tuple[ListedRoom, Match]]
    counts: dict[str, int]
    """How long each list is."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Due:
    """A room about which there is, or may be, something to tell."""

    room: ListedRoom
    match: Match
    sent: RoomSent | None
    initial: bool
    known: int
    """The position up to which the connection knows the room."""
    new_state: StateConfig = frozenset()
    """What was not being sent so far."""
    direct: bool = False
    extensions: int = 0

    @property
    def room_id(self) -> str:
        """The room."""
        return self.room.room_id

    @property
    def joined(self) -> bool:
        """Whether the user is in the room."""
        return self.room.membership == JOIN

    @property
    def moved(self) -> bool:
        """Whether anything has happened in the room."""
        return self.initial or self.room.activity > self.known

    @property
    def expanded(self) -> bool:
        """Whether a longer timeline is wanted than the client has."""
        return not self.initial and self.sent is not None and self.match.config.limit > self.sent.limit


@dataclass(slots=True, kw_only=True)
class Plan:
    """What is to be done about a connection's rooms."""

    due: list[Due] = field(default_factory=list)
    followed: list[Due] = field(default_factory=list)
    """The rooms that are in the response's reach, those that are due among them."""
    changes: dict[str, RoomSent | None] = field(default_factory=dict)
    """What the connection knows of rooms that are not due."""
    cut: bool = False
    """Whether more is due than one response holds."""


async def match_rooms(lists: UserLists, of: UserList, request: SlidingRequest) -> Matches:
    """The rooms that the lists and subscriptions of ``request`` match."""
    rules: dict[str, tuple[int, ...]] = {}
    counts: dict[str, int] = {}
    for number, rule in enumerate(request.lists):
        view = await lists.view(of, rule.filter)
        counts[rule.name] = len(view)
        for room_id in view.within(rule.ranges):
            of_room = rules.get(room_id, ())
            if not of_room or of_room[-1] != number:
                rules[room_id] = (*of_room, number)
    matched: dict[str, tuple[ListedRoom, Match]] = {}
    combined: dict[tuple[int, ...], Match] = {}
    for room_id, numbers in rules.items():
        room = of.rooms.get(room_id)
        if room is not None and room_id not in request.subscriptions:
            if numbers not in combined:
                combined[numbers] = _match(request, numbers, None)
            matched[room_id] = room, combined[numbers]
    for room_id, config in request.subscriptions.items():
        room = of.rooms.get(room_id) or await _left(lists, of, room_id)
        if room is not None:
            matched[room_id] = room, _match(request, rules.get(room_id, ()), config)
    return Matches(rooms=matched, counts=counts)


def _match(request: SlidingRequest, numbers: tuple[int, ...], subscription: RoomConfig | None) -> Match:
    configs = [request.lists[number].config for number in numbers]
    if subscription is not None:
        configs.append(subscription)
    return Match(
        lists=tuple(request.lists[number].name for number in numbers),
        subscribed=subscription is not None,
        config=combine(configs),
    )


async def _left(lists: UserLists, of: UserList, room_id: str) -> ListedRoom | None:
    """A room that the user was in: it may still be subscribed to."""
    row = of.memberships.get(room_id)
    if row is None or row.membership not in GONE or not await lists.was_in(row):
        return None
    return ListedRoom(row=row, activity=row.position)


def plan(
    connection: Connection,
    matches: Matches,
    of: UserList,
    *,
    since: int,
    extensions: Callable[[str, Match], int],
    counted: frozenset[str],
    touched: frozenset[str] | None,
    max_rooms: int,
) -> Plan:
    """What is due of the rooms that match, and what becomes of those that do not any more.

    ``extensions`` says which extensions cover a room, ``counted`` whose unread counts may have changed,
    ``touched`` in which rooms anything may have, None for all of them. No more than ``max_rooms`` are due.
    """
    result = Plan()
    configs: dict[int, int] = {}
    for room_id, (room, match) in matches.rooms.items():
        sent = connection.rooms.get(room_id)
        bits = extensions(room_id, match)
        config = configs.get(id(match))
        if config is None:
            config = configs[id(match)] = connection.config_index(match.config.state)
        if (
            sent is not None
            and room.activity <= since
            and room_id not in counted
            and _is_as_wanted(sent, room, match, (config, bits, room_id in of.personal.direct))
        ):
            if touched is None or room_id in touched:
                result.followed.append(_due(connection, room, match, of, since, bits))
            continue
        due = _due(connection, room, match, of, since, bits)
        if not _is_due(due) and room_id not in counted:
            result.followed.append(due)
            _follow(connection, due, result)
        elif len(result.due) < max_rooms:
            result.due.append(due)
            result.followed.append(due)
        else:
            result.cut = True
            _put_off(due, result)
    _stop_following(connection, matches, of, since, result)
    return result


def _is_as_wanted(sent: RoomSent, room: ListedRoom, match: Match, wanted: tuple[int, int, bool]) -> bool:
    """Whether a room is being sent just as it is wanted; most rooms are, most of the time."""
    if sent.upto is not None or sent.membership != room.membership:
        return False
    if sent.membership != JOIN:
        return True
    return sent.limit >= match.config.limit and (sent.config, sent.extensions, sent.direct) == wanted


def _stop_following(connection: Connection, matches: Matches, of: UserList, since: int, result: Plan) -> None:
    """Note the rooms that no rule matches any more: up to where they are known, or that they are gone."""
    for room_id, sent in connection.rooms.items():
        if room_id in matches.rooms or room_id == OF_CONNECTION:
            continue
        if room_id not in of.rooms:
            result.changes[room_id] = None
        elif sent.upto is None:
            result.changes[room_id] = msgspec.structs.replace(sent, upto=since)


def leaving(connection: Connection, room_id: str, sent: RoomSent, row: Member, since: int) -> Due:
    """What is due of a room that the user has left, and that no rule matches any more."""
    config = connection.configs[sent.config] if sent.config < len(connection.configs) else frozenset()
    return Due(
        room=ListedRoom(row=row, activity=row.position),
        match=Match(
            lists=(),
            subscribed=False,
            config=RoomConfig(limit=min(max(sent.limit, 1), LEAVING_LIMIT), state=config),
        ),
        sent=sent,
        initial=False,
        known=since if sent.upto is None else sent.upto,
    )


def _due(
    connection: Connection, room: ListedRoom, match: Match, of: UserList, since: int, extensions: int
) -> Due:
    sent = connection.rooms.get(room.room_id)
    initial = sent is None or _begins_anew(sent, room.membership)
    joined = room.membership == JOIN
    new_state: StateConfig = frozenset()
    if sent is not None and not initial and joined:
        new_state = match.config.state - connection.configs[sent.config]
    return Due(
        room=room,
        match=match,
        sent=sent,
        initial=initial,
        known=0 if sent is None or initial else since if sent.upto is None else sent.upto,
        new_state=new_state,
        direct=joined and room.room_id in of.personal.direct,
        extensions=extensions if joined else 0,
    )


def _begins_anew(sent: RoomSent, membership: str) -> bool:
    """Whether what the client knows is of no use: it was another kind of room to the user."""
    if membership == JOIN:
        return sent.membership != JOIN
    return membership in PENDING and sent.membership != membership


def _is_due(due: Due) -> bool:
    if due.moved:
        return True
    if not due.joined:
        return False
    sent = due.sent
    return due.expanded or bool(due.new_state) or (sent is not None and sent.direct != due.direct)


def _follow(connection: Connection, due: Due, result: Plan) -> None:
    """Note what changes about a room of which there is nothing to tell."""
    sent = due.sent
    if sent is None:
        return
    config = sent.config
    if due.joined and connection.configs[config] != due.match.config.state:
        config = connection.config_index(due.match.config.state)
    if sent.upto is not None or config != sent.config or sent.extensions != due.extensions:
        result.changes[due.room_id] = msgspec.structs.replace(
            sent, upto=None, config=config, extensions=due.extensions
        )


def _put_off(due: Due, result: Plan) -> None:
    """Leave a room for the next response."""
    if due.sent is not None and due.sent.upto is None:
        result.changes[due.room_id] = msgspec.structs.replace(due.sent, upto=due.known)
