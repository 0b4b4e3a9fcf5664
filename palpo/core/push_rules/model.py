"""Rules and rulesets, and their JSON form (spec: client-server API, ``PushRule``, ``PushCondition``)."""

from __future__ import annotations

from types import NoneType
from typing import Any, Final

import msgspec
from msgspec import UNSET, UnsetType

from palpo.core.errors import BadJson, InvalidParam, MissingParam

KINDS: Final = ("override", "content", "postcontent", "room", "sender", "underride")
"""The kinds of rule, in the order in which they are tried."""
POSTCONTENT: Final = "postcontent"
"""The kind of which only the server has rules (MSC4306)."""

MAX_PATTERN: Final = 255
"""Characters in a glob; it keeps the cost of matching a long text in bounds."""
MAX_CONDITIONS: Final = 100
"""Conditions of one rule."""

_PLAIN_ACTIONS: Final = ("notify", "dont_notify", "coalesce")
_STRINGS: Final = ("key", "pattern", "is")
"""Properties of conditions, of those that they have."""
_CONDITIONAL: Final = ("override", "underride")


class PushRule(msgspec.Struct, frozen=True, kw_only=True):
    """One rule; ``msgspec.to_builtins`` gives its JSON form."""

    rule_id: str
    default: bool = False
    """Whether it is one of the server's own."""
    enabled: bool = True
    actions: list[Any]
    """Strings and ``set_tweak`` objects; the historical ones are kept, and mean nothing."""
    conditions: list[dict[str, Any]] | UnsetType = UNSET
    """``override``, ``postcontent`` and ``underride`` rules have them."""
    pattern: str | UnsetType = UNSET
    """Only ``content`` rules have one."""


class Ruleset(msgspec.Struct, frozen=True, kw_only=True):
    """A user's rules of each kind, the most important first."""

    override: tuple[PushRule, ...] = ()
    content: tuple[PushRule, ...] = ()
    postcontent: tuple[PushRule, ...] = ()
    room: tuple[PushRule, ...] = ()
    sender: tuple[PushRule, ...] = ()
    underride: tuple[PushRule, ...] = ()

    def of_kind(self, kind: str) -> tuple[PushRule, ...]:
        """The rules of a kind; raises ``InvalidParam`` for a kind that does not exist."""
        rules: tuple[PushRule, ...] = getattr(self, check_kind(kind))
        return rules

    def with_kind(self, kind: str, rules: tuple[PushRule, ...]) -> Ruleset:
        """A copy that has other rules of one kind."""
        return msgspec.structs.replace(self, **{check_kind(kind): rules})

    def to_json(self) -> dict[str, Any]:
        """The rules by kind; the kind that the spec does not know is there only if there are any."""
        kinds: dict[str, Any] = msgspec.to_builtins(self)
        if not self.postcontent:
            del kinds[POSTCONTENT]
        return kinds


def check_kind(kind: str) -> str:
    """``kind``, or ``InvalidParam`` for one that does not exist."""
    if kind not in KINDS:
        raise InvalidParam("There is no such kind of push rule")
    return kind


def parse_rule(kind: str, rule_id: str, body: dict[str, Any]) -> PushRule:
    """The user's rule that a request to add one holds, enabled.

    Raises ``InvalidParam`` for IDs that users may not choose, ``MissingParam`` and ``BadJson`` for bodies
    that are no rule of this kind.
    """
    if check_kind(kind) == POSTCONTENT:
        raise InvalidParam("Users have no rules of this kind")
    if not rule_id or rule_id.startswith(".") or "/" in rule_id or "\\" in rule_id:
        raise InvalidParam("A rule ID may not be empty, start with a dot, or have slashes or backslashes")
    conditions: list[dict[str, Any]] | UnsetType = UNSET
    pattern: str | UnsetType = UNSET
    if kind in _CONDITIONAL:
        conditions = _parse_conditions(body.get("conditions", []))
    elif kind == "content":
        pattern = _parse_pattern(body)
    if "actions" not in body:
        raise MissingParam("A push rule has actions")
    actions = parse_actions(body["actions"])
    return PushRule(rule_id=rule_id, actions=actions, conditions=conditions, pattern=pattern)


def parse_actions(value: object) -> list[Any]:
    """``value`` as a rule's actions; raises ``BadJson``."""
    if not isinstance(value, list):
        raise BadJson("actions is not an array")
    for action in value:
        if isinstance(action, dict):
            if not isinstance(action.get("set_tweak"), str):
                raise BadJson("An action that is an object has set_tweak")
        elif action not in _PLAIN_ACTIONS:
            raise BadJson("There is no such action")
    return value


def _parse_conditions(value: object) -> list[dict[str, Any]]:
    if not isinstance(value, list) or len(value) > MAX_CONDITIONS:
        raise BadJson(f"conditions is not an array of at most {MAX_CONDITIONS}")
    for condition in value:
        if not isinstance(condition, dict) or not isinstance(condition.get("kind"), str):
            raise BadJson("A condition is an object with a kind")
        for name in _STRINGS:
            if not isinstance(condition.get(name, ""), str):
                raise BadJson(f"A condition's {name} is a string")
        if not isinstance(condition.get("value"), (str, int, NoneType)):
            raise BadJson("A condition's value is a string, an integer, a boolean or null")
        if len(condition.get("pattern", "")) > MAX_PATTERN:
            raise BadJson(f"A pattern has at most {MAX_PATTERN} characters")
    return value


def _parse_pattern(body: dict[str, Any]) -> str:
    if "pattern" not in body:
        raise MissingParam("A content rule has a pattern")
    pattern = body["pattern"]
    if not isinstance(pattern, str) or len(pattern) > MAX_PATTERN:
        raise BadJson(f"pattern is not a string of at most {MAX_PATTERN} characters")
    return pattern
