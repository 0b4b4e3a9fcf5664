from __future__ import annotations

from typing import Any

import msgspec
import pytest
from hypothesis import given
from hypothesis import strategies as st

from palpo.core.errors import BadJson, BadRequest, InvalidParam, MatrixError, MissingParam, NotFound
from palpo.core.push_rules import (
    KINDS,
    Customisation,
    PushRule,
    Ruleset,
    add_rule,
    customisation_of,
    default_rules,
    delete_rule,
    editing,
    get_rule,
    merge,
    parse_rule,
    set_actions,
    set_enabled,
)
from palpo.core.push_rules.editing import MAX_ALL_CONDITIONS, MAX_GLOBS
from palpo.core.push_rules.model import MAX_CONDITIONS, MAX_PATTERN
from tests.core.auth_room import ALICE

DEFAULTS = default_rules(ALICE, legacy_mentions=True)
USERS_KINDS = [kind for kind in KINDS if kind != "postcontent"]


def rule(rule_id: str, *actions: Any, enabled: bool = True) -> PushRule:
    return PushRule(rule_id=rule_id, actions=list(actions), enabled=enabled, conditions=[])


def own(ruleset: Ruleset, kind: str = "override") -> list[str]:
    return [one.rule_id for one in ruleset.of_kind(kind) if not one.default]


def abc() -> Ruleset:
    ruleset = DEFAULTS
    for rule_id in "cba":
        ruleset = add_rule(ruleset, "override", rule(rule_id))
    return ruleset


@pytest.mark.parametrize("kind", USERS_KINDS)
def test_a_new_rule_comes_first_of_the_users(kind: str) -> None:
    ruleset = add_rule(add_rule(DEFAULTS, kind, rule("x")), kind, rule("y"))
    ids = [one.rule_id for one in ruleset.of_kind(kind)]
    first = 1 if kind == "override" else 0
    assert ids[first : first + 2] == ["y", "x"]
    assert (ids[0] == ".m.rule.master") == (kind == "override")
    assert get_rule(ruleset, kind, "x").enabled


@pytest.mark.parametrize(
    ("neighbours", "order"),
    [
        ({"before": "a"}, "xabc"),
        ({"before": "c"}, "abxc"),
        ({"after": "a"}, "axbc"),
        ({"after": "c"}, "abcx"),
        ({"before": "c", "after": "a"}, "abxc"),
    ],
)
def test_a_place_for_a_rule(neighbours: dict[str, str], order: str) -> None:
    assert own(add_rule(abc(), "override", rule("x"), **neighbours)) == list(order)


@pytest.mark.parametrize(
    ("rule_id", "neighbours", "order"),
    [
        ("c", {}, "abc"),
        ("c", {"before": "a"}, "cab"),
        ("a", {"after": "c"}, "bca"),
        ("a", {"before": "c"}, "bac"),
    ],
)
def test_replacing_a_rule(rule_id: str, neighbours: dict[str, str], order: str) -> None:
    ruleset = set_enabled(abc(), "override", rule_id, False)
    ruleset = add_rule(ruleset, "override", rule(rule_id, "notify"), **neighbours)
    assert own(ruleset) == list(order)
    assert get_rule(ruleset, "override", rule_id) == rule(rule_id, "notify", enabled=False)


@pytest.mark.parametrize("neighbour", ["missing", ".m.rule.master", "a"])
@pytest.mark.parametrize("where", ["before", "after"])
def test_a_neighbour_that_is_not_there(neighbour: str, where: str) -> None:
    with pytest.raises(BadRequest) as info:
        add_rule(abc(), "override", rule("a"), **{where: neighbour})
    assert (info.value.status, info.value.errcode) == (400, "M_UNKNOWN")


def test_there_is_a_limit(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(editing.MAX_RULES, "room", 2)
    ruleset = add_rule(add_rule(DEFAULTS, "room", rule("x")), "room", rule("y"))
    with pytest.raises(BadRequest):
        add_rule(ruleset, "room", rule("z"))
    assert own(add_rule(ruleset, "room", rule("y", "notify")), "room") == ["y", "x"]


def test_deleting() -> None:
    assert own(delete_rule(abc(), "override", "b")) == ["a", "c"]
    with pytest.raises(NotFound):
        delete_rule(abc(), "underride", "b")
    with pytest.raises(InvalidParam):
        delete_rule(abc(), "override", ".m.rule.master")


def test_enabling() -> None:
    for rule_id in ("a", ".m.rule.reaction"):
        off = set_enabled(abc(), "override", rule_id, False)
        assert not get_rule(off, "override", rule_id).enabled
        assert set_enabled(off, "override", rule_id, True) == abc()
    with pytest.raises(NotFound):
        set_enabled(abc(), "override", "missing", True)


def test_replacing_actions() -> None:
    for rule_id in ("a", ".m.rule.reaction"):
        ruleset = set_actions(abc(), "override", rule_id, ["dont_notify"])
        assert get_rule(ruleset, "override", rule_id).actions == ["dont_notify"]
    with pytest.raises(NotFound):
        set_actions(abc(), "override", "missing", [])
    with pytest.raises(BadJson):
        set_actions(abc(), "override", "a", ["explode"])


@pytest.mark.parametrize("kind", ["", "overrides", "__class__", "with_kind"])
def test_kinds_that_do_not_exist(kind: str) -> None:
    for attempt in (
        lambda: get_rule(DEFAULTS, kind, "x"),
        lambda: DEFAULTS.with_kind(kind, ()),
        lambda: parse_rule(kind, "x", {"actions": []}),
    ):
        with pytest.raises(InvalidParam):
            attempt()


TWEAK = {"set_tweak": "sound", "value": "x"}


def test_parsing() -> None:
    condition = {"kind": "event_match", "key": "type", "pattern": "x"}
    body = {"actions": ["notify", TWEAK], "conditions": [condition, {"kind": "new"}], "pattern": "p"}
    for kind in ("override", "underride"):
        assert msgspec.to_builtins(parse_rule(kind, "x", body)) == {
            "rule_id": "x",
            "default": False,
            "enabled": True,
            "actions": ["notify", TWEAK],
            "conditions": [condition, {"kind": "new"}],
        }
        assert parse_rule(kind, "x", {"actions": []}).conditions == []
    content = msgspec.to_builtins(parse_rule("content", "x", body))
    assert (content["pattern"], "conditions" in content) == ("p", False)
    for kind in ("room", "sender"):
        keys = set(msgspec.to_builtins(parse_rule(kind, "!x", body)))
        assert keys == {"rule_id", "default", "enabled", "actions"}


@pytest.mark.parametrize("rule_id", ["", ".x", "a/b", "a\\b"])
def test_rule_ids_that_users_may_not_choose(rule_id: str) -> None:
    with pytest.raises(InvalidParam):
        parse_rule("room", rule_id, {"actions": []})


@pytest.mark.parametrize(
    ("kind", "body", "error"),
    [
        ("room", {}, MissingParam),
        ("room", {"actions": "notify"}, BadJson),
        ("room", {"actions": ["explode"]}, BadJson),
        ("room", {"actions": [1]}, BadJson),
        ("room", {"actions": [{"value": 1}]}, BadJson),
        ("room", {"actions": [{"set_tweak": 1}]}, BadJson),
        ("content", {"actions": []}, MissingParam),
        ("content", {"actions": [], "pattern": 1}, BadJson),
        ("content", {"actions": [], "pattern": "x" * 256}, BadJson),
        ("override", {"actions": [], "conditions": {}}, BadJson),
        ("override", {"actions": [], "conditions": ["x"]}, BadJson),
        ("override", {"actions": [], "conditions": [{}]}, BadJson),
        ("override", {"actions": [], "conditions": [{"kind": 1}]}, BadJson),
        ("override", {"actions": [], "conditions": [{"kind": "x"}] * 101}, BadJson),
        ("override", {"actions": [], "conditions": [{"kind": "x", "pattern": "x" * 256}]}, BadJson),
        ("override", {"actions": [], "conditions": [{"kind": "x", "pattern": 1}]}, BadJson),
        ("override", {"actions": [], "conditions": [{"kind": "x", "key": None}]}, BadJson),
        ("override", {"actions": [], "conditions": [{"kind": "x", "is": 2}]}, BadJson),
        ("override", {"actions": [], "conditions": [{"kind": "x", "value": [1]}]}, BadJson),
        ("override", {"actions": [], "conditions": [{"kind": "x", "value": {}}]}, BadJson),
        ("override", {"actions": [], "conditions": [{"kind": "x", "value": 1.5}]}, BadJson),
    ],
)
def test_bodies_that_are_no_rule(kind: str, body: dict[str, Any], error: type[MatrixError]) -> None:
    with pytest.raises(error):
        parse_rule(kind, "x", body)


def test_users_have_no_rules_after_the_content() -> None:
    with pytest.raises(InvalidParam):
        parse_rule("postcontent", "x", {"actions": []})


def test_what_users_made_of_default_rules_is_theirs() -> None:
    ruleset = set_enabled(DEFAULTS, "override", ".m.rule.master", True)
    ruleset = set_actions(ruleset, "override", ".m.rule.suppress_notices", ["notify"])
    custom = customisation_of(DEFAULTS, ruleset)

    assert custom.enabled == {"override": {".m.rule.master": True}}
    assert custom.actions == {"override": {".m.rule.suppress_notices": ["notify"]}}
    assert custom.rules == {}
    assert merge(DEFAULTS, custom) == ruleset


def test_a_user_who_changed_nothing() -> None:
    assert customisation_of(DEFAULTS, DEFAULTS) == Customisation()
    assert merge(DEFAULTS, Customisation()) == DEFAULTS


def test_what_is_said_of_rules_that_are_gone_is_left_out() -> None:
    custom = Customisation(enabled={"override": {".gone": True}}, actions={"room": {".gone": []}})
    assert merge(DEFAULTS, custom) == DEFAULTS


EDITS = st.lists(
    st.tuples(
        st.sampled_from(["add", "delete", "enabled", "actions"]),
        st.sampled_from(USERS_KINDS),
        st.sampled_from(["a", "b", ".m.rule.master", ".m.rule.message", ".m.rule.contains_user_name"]),
        st.booleans(),
    ),
    max_size=12,
)


@given(edits=EDITS)
def test_what_is_stored_makes_the_ruleset_whole_again(edits: list[tuple[str, str, str, bool]]) -> None:
    ruleset = DEFAULTS
    for edit, kind, rule_id, flag in edits:
        try:
            if edit == "add" and not rule_id.startswith("."):
                ruleset = add_rule(ruleset, kind, rule(rule_id), after="a" if flag else None)
            elif edit == "delete":
                ruleset = delete_rule(ruleset, kind, rule_id)
            elif edit == "enabled":
                ruleset = set_enabled(ruleset, kind, rule_id, flag)
            elif edit == "actions":
                ruleset = set_actions(ruleset, kind, rule_id, ["notify"] if flag else [])
        except (BadRequest, NotFound):
            continue
    stored = msgspec.json.encode(customisation_of(DEFAULTS, ruleset))
    assert merge(DEFAULTS, msgspec.json.decode(stored, type=Customisation)) == ruleset


def test_conditions_are_bounded_altogether() -> None:
    most = {"conditions": [{"kind": "contains_display_name"}] * MAX_CONDITIONS, "actions": []}
    rules = merge(Ruleset(), Customisation())
    for number in range(MAX_ALL_CONDITIONS // MAX_CONDITIONS - 1):
        rules = add_rule(rules, "override", parse_rule("override", f"a{number}", most))
    rules = add_rule(rules, "underride", parse_rule("underride", "b", most))
    with pytest.raises(BadRequest):
        add_rule(rules, "override", parse_rule("override", "c", most))
    rules = add_rule(rules, "override", parse_rule("override", "a0", {"conditions": [], "actions": []}))
    assert own(add_rule(rules, "override", parse_rule("override", "c", most)))[0] == "c"


def test_wildcards_are_bounded_altogether() -> None:
    condition = {"kind": "event_match", "key": "content.topic", "pattern": "*b??"}
    rules = add_rule(
        DEFAULTS, "override", parse_rule("override", "a", {"conditions": [condition], "actions": []})
    )
    whole, rest = divmod(MAX_GLOBS - 4, MAX_PATTERN)
    for number, length in enumerate([*[MAX_PATTERN] * whole, rest]):
        pattern = {"pattern": "*".rjust(length, "x"), "actions": []}
        rules = add_rule(rules, "content", parse_rule("content", str(number), pattern))
    rules = add_rule(rules, "content", parse_rule("content", "c", {"pattern": "plain words", "actions": []}))
    longer = parse_rule("content", str(whole), {"pattern": "*".rjust(rest + 1, "x"), "actions": []})
    with pytest.raises(BadRequest):
        add_rule(rules, "content", longer)
    rules = delete_rule(rules, "override", "a")
    assert get_rule(add_rule(rules, "content", longer), "content", str(whole)).pattern == longer.pattern
