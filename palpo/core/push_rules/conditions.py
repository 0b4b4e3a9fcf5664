"""Conditions of push rules, made into functions (spec: client-server API, "Conditions")."""

from __future__ import annotations

import operator
import re
from collections.abc import Callable
from typing import Any, Final

import msgspec

from palpo.core.events import Event
from palpo.core.power_levels import PowerLevels
from palpo.core.push_rules.glob import Matcher, Work, compile_glob, compile_word_glob, fold, has_words
from palpo.core.push_rules.model import MAX_PATTERN


class RoomContext(msgspec.Struct, frozen=True, kw_only=True, gc=False):
    """What rules ask about the room, the same for every user that an event is judged for."""

    member_count: int
    """Joined members."""
    sender_power: int
    """The power level of the event's sender."""
    levels: PowerLevels


Predicate = Callable[[Event, RoomContext, str | None, bool | None, Work], bool]
"""Judges an event in a room for a user with a display name (``None`` without one), who follows the thread
that the event is in, or does not (``None`` where it is in none); a text is looked through as far as the work
goes that may be spent on the event."""
Getter = Callable[[Event], Any]

MISSING: Final = object()
"""Stands for a property that an event does not have."""

THREAD_SUBSCRIPTION: Final = "io.element.msc4306.thread_subscription"
_ITEM: Final = 50
"""What it costs to compare one item of a list."""
_SCALARS: Final = (str, int, bool, type(None))
_COUNT = re.compile(r"(==|<=|>=|<|>)?([0-9]{1,18})")
_COMPARISONS: Final[dict[str | None, Callable[[int, int], bool]]] = {
    None: operator.eq,
    "==": operator.eq,
    "<": operator.lt,
    ">": operator.gt,
    "<=": operator.le,
    ">=": operator.ge,
}
_FIELDS: Final[dict[str, Getter]] = {
    "type": operator.attrgetter("type"),
    "sender": operator.attrgetter("sender"),
    "room_id": operator.attrgetter("room_id"),
    "event_id": operator.attrgetter("event_id"),
    "origin_server_ts": operator.attrgetter("origin_server_ts"),
    "content": operator.attrgetter("content"),
    "state_key": lambda event: MISSING if event.state_key is None else event.state_key,
    "redacts": lambda event: MISSING if event.redacts is None else event.redacts,
}


def compile_condition(condition: dict[str, Any]) -> Predicate | None:
    """The function of a condition; ``None`` for one that never matches, such as an unknown kind."""
    kind = condition.get("kind")
    compiler = _COMPILERS.get(kind) if isinstance(kind, str) else None
    return None if compiler is None else compiler(condition)


def split_path(key: str) -> tuple[str, ...]:
    r"""The property names of a dotted path, with ``\.`` and ``\\`` unescaped (spec: appendices)."""
    names, name, chars = [], "", iter(key)
    for char in chars:
        if char == ".":
            names.append(name)
            name = ""
        elif char == "\\":
            escaped = next(chars, "")
            name += escaped if escaped in (".", "\\") else char + escaped
        else:
            name += char
    return (*names, name)


def body_matches(pattern: str) -> Predicate:
    """The predefined condition of ``content`` rules: the pattern matches words of ``content.body``."""
    return _matches(_body, compile_word_glob(pattern))


def _compile_event_match(condition: dict[str, Any]) -> Predicate | None:
    key, pattern = condition.get("key"), condition.get("pattern")
    if not isinstance(key, str) or not isinstance(pattern, str) or len(pattern) > MAX_PATTERN:
        return None
    path = split_path(key)
    if path == ("content", "body"):
        return body_matches(pattern)
    get = _getter(path)
    return None if get is None else _matches(get, compile_glob(pattern))


def _matches(get: Getter, matches: Matcher) -> Predicate:
    def check(event: Event, _room: RoomContext, _name: str | None, _follows: bool | None, work: Work) -> bool:
        value = get(event)
        return type(value) is str and matches(value, work)

    return check


def _compile_property_is(condition: dict[str, Any]) -> Predicate | None:
    get, wanted = _property(condition)
    if get is None:
        return None
    kind = type(wanted)

    def check(event: Event, _room: RoomContext, _name: str | None, _follows: bool | None, work: Work) -> bool:
        value = get(event)
        return type(value) is kind and value == wanted

    return check


def _compile_property_contains(condition: dict[str, Any]) -> Predicate | None:
    get, wanted = _property(condition)
    if get is None:
        return None
    kind = type(wanted)

    def check(event: Event, _room: RoomContext, _name: str | None, _follows: bool | None, work: Work) -> bool:
        values = get(event)
        if type(values) is not list or not work.spend(_ITEM * len(values)) or wanted not in values:
            return False
        return any(type(value) is kind and value == wanted for value in values)

    return check


def _compile_member_count(condition: dict[str, Any]) -> Predicate | None:
    text = condition.get("is")
    match = _COUNT.fullmatch(text) if isinstance(text, str) else None
    if match is None:
        return None
    compare, count = _COMPARISONS[match[1]], int(match[2])
    return lambda _event, room, _name, _follows, _work: compare(room.member_count, count)


def _compile_sender_permission(condition: dict[str, Any]) -> Predicate | None:
    key = condition.get("key")
    if not isinstance(key, str):
        return None
    return lambda _event, room, _name, _follows, _work: room.sender_power >= room.levels.notification(key)


def _compile_display_name(_condition: dict[str, Any]) -> Predicate:
    def check(event: Event, _room: RoomContext, name: str | None, _follows: bool | None, work: Work) -> bool:
        body = _body(event)
        return bool(name) and type(body) is str and has_words(fold(body), str(name).lower(), work)

    return check


def _compile_thread_subscription(condition: dict[str, Any]) -> Predicate | None:
    subscribed = condition.get("subscribed")
    if not isinstance(subscribed, bool):
        return None
    return lambda _event, _room, _name, follows, _work: follows is subscribed


def _body(event: Event) -> Any:
    return event.content.get("body")


def _property(condition: dict[str, Any]) -> tuple[Getter | None, Any]:
    """The getter and the value of a condition on an exact value; no getter where it never matches."""
    key, wanted = condition.get("key"), condition.get("value", MISSING)
    if not isinstance(key, str) or type(wanted) not in _SCALARS:
        return None, None
    return _getter(split_path(key)), wanted


def _getter(path: tuple[str, ...]) -> Getter | None:
    """What reads a path out of an event; ``None`` for a field that events do not have."""
    field, names = _FIELDS.get(path[0]), path[1:]
    if field is None or not names:
        return field
    if path[0] != "content":
        return None
    if len(names) == 1:
        name = names[0]
        return lambda event: event.content.get(name, MISSING)

    def walk(event: Event) -> Any:
        value: Any = event.content
        for name in names:
            if type(value) is not dict or name not in value:
                return MISSING
            value = value[name]
        return value

    return walk


_COMPILERS: Final[dict[str, Callable[[dict[str, Any]], Predicate | None]]] = {
    "event_match": _compile_event_match,
    "event_property_is": _compile_property_is,
    "event_property_contains": _compile_property_contains,
    "room_member_count": _compile_member_count,
    "sender_notification_permission": _compile_sender_permission,
    "contains_display_name": _compile_display_name,
    THREAD_SUBSCRIPTION: _compile_thread_subscription,
}
