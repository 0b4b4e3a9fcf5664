"""Changing rules (spec: client-server API, "Push Rules: API"); every function returns a new ruleset."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, Final

import msgspec

from palpo.core.errors import BadRequest, InvalidParam, NotFound
from palpo.core.push_rules.glob import is_literal
from palpo.core.push_rules.model import KINDS, PushRule, Ruleset, parse_actions

MAX_RULES: Final = {"override": 1000, "content": 200, "room": 10_000, "sender": 10_000, "underride": 1000}
"""Rules of each kind that a user may have; rules with conditions are tried one by one for each event."""
MAX_ALL_CONDITIONS: Final = 2000
"""Conditions of all of a user's rules together."""
MAX_GLOBS: Final = 4000
"""Characters in all of a user's patterns with wildcards."""

_WITH_CONDITIONS: Final = ("override", "content", "underride")
"""Kinds whose rules are tried one by one; the others' are looked up."""


class Customisation(msgspec.Struct, frozen=True, kw_only=True):
    """What of a ruleset is the user's own: all that needs to be stored. Keyed by kind, then rule ID."""

    rules: dict[str, list[PushRule]] = {}
    """The user's rules, the most important first."""
    enabled: dict[str, dict[str, bool]] = {}
    """Default rules that the user turned on or off."""
    actions: dict[str, dict[str, list[Any]]] = {}
    """Default rules whose actions the user replaced."""


def merge(defaults: Ruleset, custom: Customisation) -> Ruleset:
    """The ruleset of a user: the user's rules before the default ones, but after ``.m.rule.master``.

    What the customisation says of default rules that do not exist (any more) is left out.
    """
    return Ruleset(**{kind: _merge_kind(kind, defaults.of_kind(kind), custom) for kind in KINDS})


def customisation_of(defaults: Ruleset, ruleset: Ruleset) -> Customisation:
    """What of ``ruleset`` is the user's own; ``merge`` with the same defaults makes it whole again."""
    rules: dict[str, list[PushRule]] = {}
    enabled: dict[str, dict[str, bool]] = {}
    actions: dict[str, dict[str, list[Any]]] = {}
    for kind in KINDS:
        original = {rule.rule_id: rule for rule in defaults.of_kind(kind)}
        for rule in ruleset.of_kind(kind):
            if not rule.default:
                rules.setdefault(kind, []).append(rule)
                continue
            was = original[rule.rule_id]
            if rule.enabled != was.enabled:
                enabled.setdefault(kind, {})[rule.rule_id] = rule.enabled
            if rule.actions != was.actions:
                actions.setdefault(kind, {})[rule.rule_id] = rule.actions
    return Customisation(rules=rules, enabled=enabled, actions=actions)


def get_rule(ruleset: Ruleset, kind: str, rule_id: str) -> PushRule:
    """One rule; raises ``NotFound``, and ``InvalidParam`` for a kind that does not exist."""
    for rule in ruleset.of_kind(kind):
        if rule.rule_id == rule_id:
            return rule
    raise NotFound("The push rule was not found")


def add_rule(
    ruleset: Ruleset, kind: str, rule: PushRule, *, before: str | None = None, after: str | None = None
) -> Ruleset:
    """Add a user's rule, or replace the one with its ID, which stays enabled or disabled as it is.

    It goes right before or right after another of the user's rules (``before`` wins); otherwise a new one
    becomes the user's most important of its kind, and a replaced one stays in its place. Raises
    ``BadRequest`` for a neighbour that is not there, and when there are too many rules, conditions or
    wildcards.
    """
    rules = list(ruleset.of_kind(kind))
    at = next((i for i, old in enumerate(rules) if old.rule_id == rule.rule_id), None)
    if at is None:
        if len(rules) >= MAX_RULES[kind]:
            raise BadRequest(f"There may be no more than {MAX_RULES[kind]} {kind} rules")
        position = next((i for i, old in enumerate(rules) if not _is_master(old)), len(rules))
    else:
        rule = msgspec.structs.replace(rule, enabled=rules.pop(at).enabled)
        position = at
    if before is not None:
        position = _neighbour(rules, before)
    elif after is not None:
        position = _neighbour(rules, after) + 1
    changed = ruleset.with_kind(kind, (*rules[:position], rule, *rules[position:]))
    _check_cost(changed, rule)
    return changed


def delete_rule(ruleset: Ruleset, kind: str, rule_id: str) -> Ruleset:
    """Remove a user's rule; raises ``NotFound``, and ``InvalidParam`` for default rules."""
    doomed = get_rule(ruleset, kind, rule_id)
    if doomed.default:
        raise InvalidParam("Default push rules cannot be deleted, only disabled")
    return ruleset.with_kind(kind, tuple(rule for rule in ruleset.of_kind(kind) if rule is not doomed))


def set_enabled(ruleset: Ruleset, kind: str, rule_id: str, enabled: bool) -> Ruleset:
    """Turn a rule on or off, a default one too; raises ``NotFound``."""
    return _change(ruleset, kind, rule_id, lambda rule: msgspec.structs.replace(rule, enabled=enabled))


def set_actions(ruleset: Ruleset, kind: str, rule_id: str, actions: object) -> Ruleset:
    """Replace a rule's actions, a default one's too; raises ``NotFound``, ``BadJson``."""
    parsed = parse_actions(actions)
    return _change(ruleset, kind, rule_id, lambda rule: msgspec.structs.replace(rule, actions=parsed))


def _check_cost(ruleset: Ruleset, added: PushRule) -> None:
    """Raises ``BadRequest`` where a new rule makes it too dear to judge an event."""
    rules = [rule for kind in _WITH_CONDITIONS for rule in ruleset.of_kind(kind)]
    if added.conditions and sum(len(rule.conditions or ()) for rule in rules) > MAX_ALL_CONDITIONS:
        raise BadRequest(f"There may be no more than {MAX_ALL_CONDITIONS} conditions")
    if _globs_of(added) and sum(map(_globs_of, rules)) > MAX_GLOBS:
        raise BadRequest(f"Patterns with wildcards may have no more than {MAX_GLOBS} characters together")


def _globs_of(rule: PushRule) -> int:
    """Characters in a rule's patterns with wildcards."""
    patterns = [rule.pattern, *(condition.get("pattern") for condition in rule.conditions or ())]
    return sum(len(each) for each in patterns if isinstance(each, str) and not is_literal(each))


def _merge_kind(kind: str, defaults: tuple[PushRule, ...], custom: Customisation) -> tuple[PushRule, ...]:
    enabled, actions = custom.enabled.get(kind, {}), custom.actions.get(kind, {})
    merged = [
        msgspec.structs.replace(
            rule,
            enabled=enabled.get(rule.rule_id, rule.enabled),
            actions=actions.get(rule.rule_id, rule.actions),
        )
        for rule in defaults
    ]
    masters = [rule for rule in merged if _is_master(rule)]
    others = [rule for rule in merged if not _is_master(rule)]
    return (*masters, *custom.rules.get(kind, ()), *others)


def _change(ruleset: Ruleset, kind: str, rule_id: str, change: Callable[[PushRule], PushRule]) -> Ruleset:
    old = get_rule(ruleset, kind, rule_id)
    return ruleset.with_kind(
        kind, tuple(change(rule) if rule is old else rule for rule in ruleset.of_kind(kind))
    )


def _neighbour(rules: list[PushRule], rule_id: str) -> int:
    """The position of another of the user's rules."""
    for position, rule in enumerate(rules):
        if rule.rule_id == rule_id and not rule.default:
            return position
    raise BadRequest(f"before/after rule not found: {rule_id[:255]}")


def _is_master(rule: PushRule) -> bool:
    """Whether it is the one default rule that comes before the user's rules."""
    return rule.default and rule.rule_id == ".m.rule.master"
