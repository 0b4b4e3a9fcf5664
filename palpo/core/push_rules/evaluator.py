"""A ruleset made ready to judge events.

Most rules ask for one event type, so the rules that are left for a type are selected once; ``room`` and
``sender`` rules are looked up. An ordinary message costs a few microseconds for each user.
"""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any, Final

import msgspec
from msgspec import UNSET

from palpo.core.events import Event
from palpo.core.push_rules.conditions import (
    THREAD_SUBSCRIPTION,
    Predicate,
    RoomContext,
    body_matches,
    compile_condition,
)
from palpo.core.push_rules.defaults import LEGACY_MENTION_RULES
from palpo.core.push_rules.glob import Work, is_literal
from palpo.core.push_rules.model import PushRule, Ruleset

_MAX_TYPES: Final = 64
"""Event types for which a user's rules are kept selected."""


class Actions(msgspec.Struct, frozen=True, kw_only=True):
    """What a rule does with an event."""

    notify: bool
    highlight: bool
    sound: str | None
    """The sound to play; ``default`` is one that the device chooses."""
    raw: list[Any]
    """The rule's actions as they stand, for push gateways and ``/notifications``."""

    @classmethod
    def from_list(cls, actions: list[Any]) -> Actions:
        """Read a rule's actions; a later tweak of the same name wins, historical actions mean nothing."""
        tweaks = {
            action["set_tweak"]: action.get("value", UNSET)
            for action in actions
            if isinstance(action, dict) and isinstance(action.get("set_tweak"), str)
        }
        sound, highlight = tweaks.get("sound"), tweaks.get("highlight", False)
        return cls(
            notify="notify" in actions,
            highlight=highlight is UNSET or highlight is True,
            sound=sound if isinstance(sound, str) else None,
            raw=actions,
        )


NO_ACTIONS: Final = Actions(notify=False, highlight=False, sound=None, raw=[])
"""What is done with an event that no rule matches."""


class _Compiled(msgspec.Struct, frozen=True):
    """A rule with conditions or a pattern."""

    event_type: str | None
    """The only type, in lower case, of events that it can match; ``None`` for any."""
    predicates: tuple[Predicate, ...]
    """All other conditions."""
    actions: Actions


class Evaluator:
    """A user's rules, ready to judge events, without those that are disabled or can never match."""

    __slots__ = ("_first", "_last", "_rooms", "_selected", "_senders", "asks_for_threads")

    def __init__(self, ruleset: Ruleset) -> None:
        before_rooms = (*ruleset.override, *ruleset.content, *ruleset.postcontent)
        self.asks_for_threads = any(map(_asks_for_threads, (*before_rooms, *ruleset.underride)))
        self._first = list(_compile_all(before_rooms))
        self._rooms = _by_id(ruleset.room)
        self._senders = _by_id(ruleset.sender)
        self._last = list(_compile_all(ruleset.underride))
        self._selected: dict[str, tuple[list[_Compiled], list[_Compiled]]] = {}

    def evaluate(
        self,
        event: Event,
        room: RoomContext,
        display_name: str | None = None,
        *,
        follows: bool | None = None,
    ) -> Actions:
        """What to do with ``event`` for the user, whose display name in the room is given.

        ``follows`` says whether the user is subscribed to the thread that the event is in, None where it
        is in none; it matters only where ``asks_for_threads``. The caller leaves out users' own events,
        which never notify. Once what may be spent on one event (``glob.WORK``) is spent, the conditions
        that look through texts and lists do not hold.
        """
        work = Work()
        first, last = self._selected.get(event.type) or self._select(event.type)
        for rule in first:
            for predicate in rule.predicates:
                if not predicate(event, room, display_name, follows, work):
                    break
            else:
                return rule.actions
        found = self._rooms.get(event.room_id) or self._senders.get(event.sender)
        if found is not None:
            return found
        for rule in last:
            for predicate in rule.predicates:
                if not predicate(event, room, display_name, follows, work):
                    break
            else:
                return rule.actions
        return NO_ACTIONS

    def _select(self, event_type: str) -> tuple[list[_Compiled], list[_Compiled]]:
        """The rules that can match events of a type, before and after the ``room`` and ``sender`` ones."""
        if len(self._selected) >= _MAX_TYPES:
            self._selected.clear()
        types = (None, event_type.lower())
        selected = (
            [rule for rule in self._first if rule.event_type in types],
            [rule for rule in self._last if rule.event_type in types],
        )
        self._selected[event_type] = selected
        return selected


def _by_id(rules: tuple[PushRule, ...]) -> dict[str, Actions]:
    return {rule.rule_id: Actions.from_list(rule.actions) for rule in rules if rule.enabled}


def _compile_all(rules: tuple[PushRule, ...]) -> Iterator[_Compiled]:
    for rule in rules:
        compiled = _compile(rule) if rule.enabled else None
        if compiled is not None:
            yield compiled


def _compile(rule: PushRule) -> _Compiled | None:
    event_type = None
    predicates: list[Predicate] = []
    if rule.default and rule.rule_id in LEGACY_MENTION_RULES:
        predicates.append(_without_mentions)
    if isinstance(rule.pattern, str):
        predicates.append(body_matches(rule.pattern))
    for condition in rule.conditions or ():
        literal_type = _literal_type(condition)
        if literal_type is not None and event_type is None:
            event_type = literal_type
            continue
        predicate = compile_condition(condition)
        if predicate is None:
            return None
        predicates.append(predicate)
    return _Compiled(event_type, tuple(predicates), Actions.from_list(rule.actions))


def _literal_type(condition: dict[str, Any]) -> str | None:
    """The one event type that a condition asks for, in lower case, if it is such a condition."""
    pattern = condition.get("pattern")
    if condition.get("kind") != "event_match" or condition.get("key") != "type":
        return None
    return pattern.lower() if isinstance(pattern, str) and is_literal(pattern) else None


def _asks_for_threads(rule: PushRule) -> bool:
    kinds = (condition.get("kind") for condition in rule.conditions or ())
    return rule.enabled and THREAD_SUBSCRIPTION in kinds


def _without_mentions(
    event: Event, _room: RoomContext, _name: str | None, _follows: bool | None, _work: Work
) -> bool:
    return "m.mentions" not in event.content
