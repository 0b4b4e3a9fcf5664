"""Filters, compiled to predicates (spec: client-server API, "Filtering"). Pure functions."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Sequence
from typing import Final, TypeVar

import msgspec

from palpo.core.errors import BadJson, InvalidParam, NotJson
from palpo.core.events import Event
from palpo.wire.client.filters import EventFilter, Filter, RoomEventFilter

MAX_NAMES: Final = 1000
"""Entries that one list of a filter may have."""
MAX_GLOBS: Final = 100
"""Entries with a ``*`` among them: each is tried on every event."""

Wanted = Callable[[Event], bool]
WantedName = Callable[[str], bool]

F = TypeVar("F", Filter, RoomEventFilter)
_FILTER = msgspec.json.Decoder(Filter)
_ROOM_EVENT_FILTER = msgspec.json.Decoder(RoomEventFilter)


def parse_filter(text: bytes | str) -> Filter:
    """A filter for sync. Raises NotJson, BadJson, InvalidParam."""
    filter_ = _decode(_FILTER, text)
    room = filter_.room
    if room is not None:
        _check_ids("!", room.rooms, room.not_rooms)
        for part in (room.state, room.timeline, room.ephemeral, room.account_data):
            if part is not None:
                _check(part)
    for plain in (filter_.presence, filter_.account_data):
        if plain is not None:
            _check(plain)
    return filter_


def parse_room_event_filter(text: bytes | str) -> RoomEventFilter:
    """The filter that endpoints take as a query parameter. Raises NotJson, BadJson, InvalidParam."""
    filter_ = _decode(_ROOM_EVENT_FILTER, text)
    _check(filter_)
    return filter_


def predicate(filter_: EventFilter | None) -> Wanted | None:
    """What lets an event through; None where every event is wanted.

    ``related_by_…`` is not decided here: it depends on other events.
    """
    if filter_ is None:
        return None
    tests: list[Wanted] = []
    by_type = name_predicate(filter_.types, filter_.not_types)
    if by_type is not None:
        tests.append(lambda event: by_type(event.type))
    by_sender = set_predicate(filter_.senders, filter_.not_senders)
    if by_sender is not None:
        tests.append(lambda event: by_sender(event.sender))
    if isinstance(filter_, RoomEventFilter):
        tests += _room_tests(filter_)
    if not tests:
        return None
    if len(tests) == 1:
        return tests[0]
    return lambda event: all(test(event) for test in tests)


def name_predicate(names: Sequence[str] | None, not_names: Sequence[str] | None) -> WantedName | None:
    """What lets a name through by globs of ``*``; None where every name is wanted."""
    if names is None and not not_names:
        return None
    wanted = None if names is None else _any_glob(names)
    unwanted = _any_glob(not_names or ())
    return lambda name: (wanted is None or wanted(name)) and not unwanted(name)


def set_predicate(names: Sequence[str] | None, not_names: Sequence[str] | None) -> WantedName | None:
    """The same for names that are said in full."""
    if names is None and not not_names:
        return None
    unwanted = frozenset(not_names or ())
    if names is None:
        return lambda name: name not in unwanted
    wanted = frozenset(names) - unwanted
    return lambda name: name in wanted


def plain_predicate(filter_: EventFilter | None) -> Callable[[str, str], bool] | None:
    """What lets through what is no room event, by ``(type, sender)``: presence and account data."""
    if filter_ is None:
        return None
    by_type = name_predicate(filter_.types, filter_.not_types)
    by_sender = set_predicate(filter_.senders, filter_.not_senders)
    if by_type is None and by_sender is None:
        return None
    return lambda type_, sender: (
        (by_type is None or by_type(type_)) and (by_sender is None or by_sender(sender))
    )


def room_data_predicate(filter_: RoomEventFilter | None) -> Callable[[str, str, str], bool] | None:
    """The same for what belongs to a room without being an event of it, by ``(room, type, sender)``."""
    if filter_ is None:
        return None
    plain = plain_predicate(filter_)
    by_room = set_predicate(filter_.rooms, filter_.not_rooms)
    if plain is None and by_room is None:
        return None
    return lambda room_id, type_, sender: (
        (by_room is None or by_room(room_id)) and (plain is None or plain(type_, sender))
    )


def wants_nothing(filter_: RoomEventFilter) -> bool:
    """Whether no event can get through."""
    return any(names is not None and not names for names in (filter_.types, filter_.senders, filter_.rooms))


def relation_type(event: Event) -> str | None:
    """How an event relates to another; None where it does not."""
    relates_to = event.content.get("m.relates_to")
    rel_type = relates_to.get("rel_type") if isinstance(relates_to, dict) else None
    return rel_type if isinstance(rel_type, str) else None


def _room_tests(filter_: RoomEventFilter) -> list[Wanted]:
    tests: list[Wanted] = []
    by_room = set_predicate(filter_.rooms, filter_.not_rooms)
    if by_room is not None:
        tests.append(lambda event: by_room(event.room_id))
    if filter_.contains_url is not None:
        wanted = filter_.contains_url
        tests.append(lambda event: ("url" in event.content) is wanted)
    rel_types = filter_.rel_types if filter_.rel_types is not None else filter_.unstable_rel_types
    not_rel_types = (
        filter_.not_rel_types if filter_.not_rel_types is not None else filter_.unstable_not_rel_types
    )
    if rel_types is not None:
        allowed = frozenset(rel_types)
        tests.append(lambda event: relation_type(event) in allowed)
    if not_rel_types:
        refused = frozenset(not_rel_types)
        tests.append(lambda event: relation_type(event) not in refused)
    return tests


def _any_glob(patterns: Iterable[str]) -> WantedName:
    patterns = frozenset(patterns)
    if "*" in patterns:
        return lambda name: True
    exact = frozenset(pattern for pattern in patterns if "*" not in pattern)
    globs = [_pieces(pattern) for pattern in patterns - exact]
    if not globs:
        return lambda name: name in exact
    return lambda name: name in exact or any(_matches(pieces, name) for pieces in globs)


def _pieces(glob: str) -> list[str]:
    first, *middle, last = glob.split("*")
    return [first, *filter(None, middle), last]


def _matches(pieces: Sequence[str], name: str) -> bool:
    """Whether the pieces between the ``*`` of a glob follow one another in ``name``."""
    first, *middle, last = pieces
    end = len(name) - len(last)
    if not name.startswith(first) or not name.endswith(last) or end < len(first):
        return False
    at = len(first)
    for piece in middle:
        found = name.find(piece, at, end)
        if found < 0:
            return False
        at = found + len(piece)
    return True


def _decode(decoder: msgspec.json.Decoder[F], text: bytes | str) -> F:
    try:
        return decoder.decode(text)
    except msgspec.ValidationError as error:
        raise BadJson(f"Not a filter: {error}") from None
    except (msgspec.DecodeError, UnicodeError, RecursionError) as error:
        raise NotJson(f"The filter is not JSON: {error}") from None


def _check(filter_: EventFilter) -> None:
    if filter_.limit is not None and filter_.limit < 0:
        raise InvalidParam("A filter's limit may not be negative")
    _check_ids("@", filter_.senders, filter_.not_senders)
    _check_ids("", filter_.types, filter_.not_types)
    if isinstance(filter_, RoomEventFilter):
        _check_ids("!", filter_.rooms, filter_.not_rooms)
        _check_ids("@", filter_.related_by_senders)
        _check_ids("", filter_.related_by_rel_types, filter_.rel_types, filter_.not_rel_types)


def _check_ids(sigil: str, *lists: Sequence[str] | None) -> None:
    for names in lists:
        if names is None:
            continue
        if len(names) > MAX_NAMES:
            raise InvalidParam(f"A filter's list has more than {MAX_NAMES} entries")
        if not sigil and sum("*" in name for name in names) > MAX_GLOBS:
            raise InvalidParam(f"A filter's list has more than {MAX_GLOBS} entries with a *")
        if not all(name.startswith(sigil) and "\0" not in name for name in names):
            raise BadJson(f"A filter's list has something in it that does not start with {sigil!r}")
