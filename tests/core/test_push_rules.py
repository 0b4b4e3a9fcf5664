from __future__ import annotations

import time
from typing import Any

import msgspec
import pytest

from palpo.core.events import SignedEvent
from palpo.core.power_levels import PowerLevels
from palpo.core.push_rules import (
    NO_ACTIONS,
    Actions,
    Evaluator,
    PushRule,
    RoomContext,
    Ruleset,
    default_rules,
    set_enabled,
)
from palpo.core.push_rules.conditions import compile_condition, split_path
from palpo.core.push_rules.glob import Work
from palpo.core.room_versions import V11
from tests.core.auth_room import ALICE, BOB, make_event

SOUND = {"set_tweak": "sound", "value": "default"}
HIGHLIGHT = {"set_tweak": "highlight"}


def message(body: object = "hello", **content: Any) -> SignedEvent:
    return make_event(V11, "m.room.message", BOB, None, {"msgtype": "m.text", "body": body, **content})


def room(members: int = 5, sender_power: int = 0, **levels: Any) -> RoomContext:
    event = make_event(V11, "m.room.power_levels", ALICE, "", levels)
    return RoomContext(
        member_count=members,
        sender_power=sender_power,
        levels=PowerLevels.from_state(V11, None, event),
    )


def judge(
    event: SignedEvent,
    context: RoomContext | None = None,
    name: str | None = "Alice",
    *,
    rules: Ruleset | None = None,
    **options: bool,
) -> list[Any] | None:
    """The actions for Alice; ``None`` where no rule matches."""
    evaluator = Evaluator(rules or default_rules(ALICE, **options))
    actions = evaluator.evaluate(event, context or room(), name)
    assert actions == evaluator.evaluate(event, context or room(), name)
    return None if actions is NO_ACTIONS else actions.raw


def state(type: str, state_key: str = "", **content: Any) -> SignedEvent:
    return make_event(V11, type, BOB, state_key, content)


def test_messages() -> None:
    assert judge(message()) == ["notify"]
    assert judge(message(), room(2)) == ["notify", SOUND]
    assert judge(make_event(V11, "m.room.encrypted", BOB)) == ["notify"]
    assert judge(make_event(V11, "m.room.encrypted", BOB), room(2)) == ["notify", SOUND]
    assert judge(make_event(V11, "org.example", BOB)) is None
    assert judge(make_event(V11, "m.call.invite", BOB)) == ["notify", {"set_tweak": "sound", "value": "ring"}]


def test_what_is_silent() -> None:
    assert judge(message(msgtype="m.notice")) == []
    assert judge(message(**{"m.relates_to": {"rel_type": "m.replace"}})) == []
    assert judge(message(**{"m.relates_to": {"rel_type": "m.thread"}})) == ["notify"]
    assert judge(message(**{"m.relates_to": "m.replace"})) == ["notify"]
    assert judge(make_event(V11, "m.reaction", BOB)) == []
    assert judge(state("m.room.server_acl")) == []
    assert judge(state("m.room.server_acl", "x")) is None
    assert judge(state("m.room.member", BOB, membership="join")) == []


def test_what_highlights() -> None:
    mention = ["notify", SOUND, HIGHLIGHT]
    assert judge(message(**{"m.mentions": {"user_ids": [BOB, ALICE]}})) == mention
    assert judge(message(**{"m.mentions": {"user_ids": [BOB]}})) == ["notify"]
    assert judge(message(**{"m.mentions": {"user_ids": ALICE}})) == ["notify"]
    assert judge(state("m.room.tombstone")) == ["notify", HIGHLIGHT]
    assert judge(make_event(V11, "m.room.tombstone", BOB)) is None


def test_mentions_of_the_room_need_the_level() -> None:
    event = message(**{"m.mentions": {"room": True}})
    assert judge(event, room(sender_power=50)) == ["notify", HIGHLIGHT]
    assert judge(event, room(sender_power=49)) == ["notify"]
    assert judge(event, room(notifications={"room": 0})) == ["notify", HIGHLIGHT]
    assert judge(message(**{"m.mentions": {"room": 1}}), room(sender_power=50)) == ["notify"]


def test_invites_for_oneself() -> None:
    assert judge(state("m.room.member", ALICE, membership="invite")) == ["notify", SOUND]
    assert judge(state("m.room.member", "@other:x", membership="invite")) == []


def test_the_master_rule_silences_everything() -> None:
    rules = set_enabled(default_rules(ALICE), "override", ".m.rule.master", True)
    assert judge(message(), rules=rules) == []


def test_polls() -> None:
    def poll(name: str) -> SignedEvent:
        return make_event(V11, f"org.matrix.msc3381.poll.{name}", BOB)

    assert judge(poll("start")) is None
    assert judge(poll("response"), polls=True) == []
    for name in ("start", "end"):
        assert judge(poll(name), polls=True) == ["notify"]
        assert judge(poll(name), room(2), polls=True) == ["notify", SOUND]


def test_legacy_mentions() -> None:
    mention = ["notify", SOUND, HIGHLIGHT]
    assert judge(message(f"hi {ALICE}")) == ["notify"]
    assert judge(message(f"hi {ALICE}"), legacy_mentions=True) == mention
    assert judge(message("hi The Queen."), name="the queen", legacy_mentions=True) == mention
    assert judge(message("hi The Queens"), name="the queen", legacy_mentions=True) == ["notify"]
    assert judge(message(""), name=None, legacy_mentions=True) == ["notify"]
    assert judge(message(1), name="1", legacy_mentions=True) == ["notify"]
    at_room = message("@room: hi")
    assert judge(at_room, room(sender_power=50), legacy_mentions=True) == ["notify", HIGHLIGHT]
    assert judge(at_room, room(sender_power=49), legacy_mentions=True) == ["notify"]
    for body in (ALICE, "@room", "The Queen"):
        intentional = message(body, **{"m.mentions": {}})
        assert judge(intentional, room(sender_power=50), "The Queen", legacy_mentions=True) == ["notify"]


def test_the_ids_and_the_order_of_the_default_rules() -> None:
    def ids(rules: tuple[PushRule, ...]) -> list[str]:
        return [rule.rule_id.removeprefix(".m.rule.").rpartition("msc3930.rule.")[2] for rule in rules]

    plain = default_rules(ALICE)
    assert ids(plain.override) == [
        "master",
        "suppress_notices",
        "invite_for_me",
        "member_event",
        "is_user_mention",
        "is_room_mention",
        "tombstone",
        "reaction",
        "room.server_acl",
        "suppress_edits",
    ]
    messages = ["call", "encrypted_room_one_to_one", "room_one_to_one", "message", "encrypted"]
    assert ids(plain.underride) == messages
    assert (plain.content, plain.room, plain.sender) == ((), (), ())
    more = default_rules(ALICE, polls=True, legacy_mentions=True)
    assert set(ids(more.override)) - set(ids(plain.override)) == {
        "contains_display_name",
        "roomnotif",
        "poll_response",
    }
    assert ids(more.content) == ["contains_user_name"]
    assert more.content[0].pattern == "alice"
    polls = ["poll_start_one_to_one", "poll_start", "poll_end_one_to_one", "poll_end"]
    assert ids(more.underride) == messages + polls


def test_the_json_form() -> None:
    master = msgspec.to_builtins(default_rules(ALICE).override[0])
    assert master == {
        "rule_id": ".m.rule.master",
        "default": True,
        "enabled": False,
        "conditions": [],
        "actions": [],
    }
    content = msgspec.to_builtins(default_rules(ALICE, legacy_mentions=True))["content"][0]
    assert (content["pattern"], "conditions" in content) == ("alice", False)
    room_rule = PushRule(rule_id="!r", actions=["dont_notify"])
    assert msgspec.to_builtins(room_rule) == {
        "rule_id": "!r",
        "default": False,
        "enabled": True,
        "actions": ["dont_notify"],
    }
    assert msgspec.convert(msgspec.to_builtins(room_rule), PushRule) == room_rule


def test_the_kinds_are_tried_in_order() -> None:
    def rule(rule_id: str, **fields: Any) -> PushRule:
        return PushRule(rule_id=rule_id, actions=[rule_id], **fields)

    event = message("cake")
    rules = Ruleset(
        override=(rule("o", conditions=[]),),
        content=(rule("c", pattern="cake"),),
        room=(rule(event.room_id),),
        sender=(rule(BOB),),
        underride=(rule("u", conditions=[]),),
    )
    for kind, expected in [
        ("override", "o"),
        ("content", "c"),
        ("room", event.room_id),
        ("sender", BOB),
        ("underride", "u"),
    ]:
        assert judge(event, rules=rules) == [expected]
        rules = set_enabled(rules, kind, expected, False)
    assert judge(event, rules=rules) is None


def test_content_rules_need_a_text() -> None:
    rules = Ruleset(content=(PushRule(rule_id="c", actions=["notify"], pattern="*"),))
    assert judge(message("x"), rules=rules) == ["notify"]
    assert judge(message(None), rules=rules) is None


@pytest.mark.parametrize(
    ("actions", "notify", "highlight", "sound"),
    [
        ([], False, False, None),
        (["notify"], True, False, None),
        (["dont_notify", "coalesce"], False, False, None),
        (["notify", HIGHLIGHT, SOUND], True, True, "default"),
        ([{"set_tweak": "highlight", "value": False}], False, False, None),
        ([{"set_tweak": "highlight", "value": True}], False, True, None),
        ([{"set_tweak": "sound"}], False, False, None),
        ([{"set_tweak": "sound", "value": 1}, {"set_tweak": []}, {}, 1], False, False, None),
        ([SOUND, {"set_tweak": "sound", "value": "x"}], False, False, "x"),
    ],
)
def test_actions(actions: list[Any], notify: bool, highlight: bool, sound: str | None) -> None:
    expected = Actions(notify=notify, highlight=highlight, sound=sound, raw=actions)
    assert Actions.from_list(actions) == expected


def holds(
    condition: dict[str, Any], event: SignedEvent | None = None, context: RoomContext | None = None
) -> bool:
    """Whether a condition holds; one that never matches does not."""
    predicate = compile_condition(condition)
    rules = Ruleset(override=(PushRule(rule_id="r", actions=["notify"], conditions=[condition]),))
    by_rule = judge(event or message(), context, rules=rules) is not None
    if predicate is not None:
        assert predicate(event or message(), context or room(), None, None, Work()) == by_rule
    return by_rule


@pytest.mark.parametrize(
    ("key", "pattern", "expected"),
    [
        ("type", "M.ROOM.message", True),
        ("type", "m.room.*", True),
        ("type", "m.room", False),
        ("type.x", "*", False),
        ("sender", BOB, True),
        ("room_id", "!room*", True),
        ("event_id", "$*", True),
        ("state_key", "*", False),
        ("redacts", "*", False),
        ("origin_server_ts", "*", False),
        ("content", "*", False),
        ("unsigned.x", "*", False),
        ("content.body", "lunch", True),
        ("content.body", "lun", False),
        ("content.topic", "lunch", True),
        ("content.topic", "lunch time", False),
        ("content.deep.er.x", "y", True),
        ("content.deep.missing.x", "*", False),
        ("content.topic.x", "*", False),
        (r"content.a\.b", "dotted", True),
        (r"content.a.b", "dotted", False),
        ("content.number", "*", False),
        (1, "*", False),
        ("type", 1, False),
        ("type", "*" * 256, False),
    ],
)
def test_event_match(key: object, pattern: object, expected: bool) -> None:
    content = {"topic": "LUNCH", "deep": {"er": {"x": "y"}}, "a.b": "dotted", "number": 1}
    event = message("It is lunch time", **content)
    assert holds({"kind": "event_match", "key": key, "pattern": pattern}, event) is expected


def test_event_match_on_fields_that_few_events_have() -> None:
    assert holds({"kind": "event_match", "key": "state_key", "pattern": ""}, state("m.x"))
    redaction = make_event(V11, "m.room.redaction", BOB, redacts="$x")
    assert holds({"kind": "event_match", "key": "redacts", "pattern": "$X"}, redaction)
    twice = {"kind": "event_match", "key": "type", "pattern": "m.room.message"}
    other = {"kind": "event_match", "key": "type", "pattern": "m.other"}
    rules = Ruleset(override=(PushRule(rule_id="r", actions=["notify"], conditions=[twice, other]),))
    assert judge(message(), rules=rules) is None


VALUES = [None, True, False, 0, 1, "1", "", 2**53 - 1]


@pytest.mark.parametrize("wanted", VALUES)
@pytest.mark.parametrize("value", VALUES)
def test_exact_values(wanted: object, value: object) -> None:
    same = type(wanted) is type(value) and wanted == value
    event = message(x=value, array=[[wanted], {}, value, 1.0])
    assert holds({"kind": "event_property_is", "key": "content.x", "value": wanted}, event) == same
    contains = {"kind": "event_property_contains", "key": "content.array", "value": wanted}
    assert holds(contains, event) == same


@pytest.mark.parametrize("kind", ["event_property_is", "event_property_contains"])
def test_exact_values_that_never_match(kind: str) -> None:
    event = message(x=[1], y={}, z=1.5)
    for condition in (
        {"key": "content.x"},
        {"key": "content.x", "value": [1]},
        {"key": "content.y", "value": {}},
        {"key": "content.z", "value": 1.5},
        {"key": "content.missing", "value": None},
        {"key": "nowhere", "value": None},
        {"key": 1, "value": None},
    ):
        assert not holds({"kind": kind, **condition}, event)


@pytest.mark.parametrize(
    ("text", "counts"),
    [
        ("2", {2}),
        ("==2", {2}),
        ("<2", {0, 1}),
        (">2", {3, 4}),
        ("<=2", {0, 1, 2}),
        (">=2", {2, 3, 4}),
        ("=2", set()),
        ("two", set()),
        ("", set()),
        ("1" * 5000, set()),
        (2, set()),
        (None, set()),
    ],
)
def test_member_count(text: object, counts: set[int]) -> None:
    condition = {"kind": "room_member_count", "is": text}
    assert {count for count in range(5) if holds(condition, context=room(count))} == counts


@pytest.mark.parametrize(
    "condition",
    [
        {},
        {"kind": "unknown"},
        {"kind": 1},
        {"kind": "sender_notification_permission"},
        {"kind": "sender_notification_permission", "key": 1},
    ],
)
def test_conditions_that_never_match(condition: dict[str, Any]) -> None:
    assert compile_condition(condition) is None
    assert not holds(condition, context=room(sender_power=100))


def test_split_path() -> None:
    assert split_path("content.body") == ("content", "body")
    assert split_path(r"content.m\.relates_to") == ("content", "m.relates_to")
    assert split_path(r"content.m\\foo") == ("content", r"m\foo")
    assert split_path(r"content.\x") == ("content", r"\x")
    assert split_path("a..b\\") == ("a", "", "b\\")
    assert split_path("") == ("",)


def test_many_event_types_do_not_pile_up() -> None:
    evaluator = Evaluator(default_rules(ALICE))
    for number in range(1000):
        assert evaluator.evaluate(make_event(V11, f"m.{number}", BOB), room()) is NO_ACTIONS
    assert len(evaluator._selected) < 100
    assert evaluator.evaluate(message(), room()).notify


@pytest.mark.parametrize(
    ("event", "follows", "actions"),
    [
        (message(), None, ["notify"]),
        (message(), True, ["notify", SOUND]),
        (message(), False, []),
        (message(**{"m.mentions": {"user_ids": [ALICE]}}), False, ["notify", SOUND, HIGHLIGHT]),
        (message(**{"m.relates_to": {"rel_type": "m.replace"}}), True, []),
    ],
)
def test_threads_that_are_followed_or_not(
    event: SignedEvent, follows: bool | None, actions: list[Any]
) -> None:
    rules = default_rules(ALICE, thread_subscriptions=True)
    muted = PushRule(rule_id=event.room_id, actions=["notify"] if follows is False else [])
    for ruleset in (rules, rules.with_kind("room", (muted,)) if follows is not None else rules):
        evaluator = Evaluator(ruleset)
        assert evaluator.asks_for_threads
        assert evaluator.evaluate(event, room(), follows=follows).raw == actions


def test_threads_are_asked_for_only_where_a_rule_does() -> None:
    assert not Evaluator(default_rules(ALICE)).asks_for_threads
    rules = default_rules(ALICE, thread_subscriptions=True)
    assert [rule["rule_id"] for rule in rules.to_json()["postcontent"]] == [
        ".io.element.msc4306.rule.unsubscribed_thread",
        ".io.element.msc4306.rule.subscribed_thread",
    ]
    for rule in rules.postcontent:
        rules = set_enabled(rules, "postcontent", rule.rule_id, False)
    assert not Evaluator(rules).asks_for_threads
    assert "postcontent" not in default_rules(ALICE).to_json()
    condition = {"kind": "io.element.msc4306.thread_subscription", "subscribed": "yes"}
    assert compile_condition(condition) is None


@pytest.mark.parametrize(
    ("patterns", "body"),
    [
        ([f"xa{n}" for n in range(1000)] + ["xa"] * 1000, "xaa " * 15_000 + "xa"),
        ([f"x-{n}" for n in range(1000)] + ["x-a"] * 1000, "x-aa " * 12_000 + "x-a"),
        (["é", "-", "é-"] * 600, "a-é" * 12_000),
        (["*" + "a?" * 60 + "b"] * 30, "a" * 60_000),
        (["a" * 50 + "b" + "a" * 48] * 2000, "a" * 29_000),
        (["a" * 50 + "b" + "a" * 48] * 2000, "a" * 500),
    ],
)
def test_many_patterns_against_a_long_text_stay_cheap(patterns: list[str], body: str) -> None:
    conditions = [{"kind": "event_match", "key": "content.body", "pattern": each} for each in patterns]
    rule = PushRule(rule_id="r", actions=["notify"], conditions=[])
    rules = [
        msgspec.structs.replace(
            rule, conditions=[condition, {"kind": "event_match", "key": "content.body", "pattern": "never"}]
        )
        for condition in conditions
    ]
    evaluator = Evaluator(Ruleset(override=tuple(rules)))
    began = time.thread_time()
    assert not evaluator.evaluate(message(body), room()).notify
    # Processor time, and much more than it takes: it was minutes.
    assert time.thread_time() - began < 2


def test_what_may_be_spent_on_an_event_is_bounded() -> None:
    contains = {"kind": "event_property_contains", "key": "content.list", "value": "never"}
    words = {"kind": "event_match", "key": "content.body", "pattern": "the-end"}
    event = message("x-y " * 10_000 + "the-end", list=["x"] * 15_000)

    def judged(conditions: list[dict[str, Any]]) -> list[Any] | None:
        rules = [
            PushRule(rule_id=str(n), actions=[n], conditions=[each]) for n, each in enumerate(conditions)
        ]
        return judge(event, rules=Ruleset(override=tuple(rules)))

    assert judged([words]) == [0]
    assert judged([contains] * 5 + [words]) == [5]
    # Too much has been looked through; what asks for no text or list still holds.
    member_count = {"kind": "room_member_count", "is": ">1"}
    assert judged([contains] * 100 + [words]) is None
    assert judged([contains] * 100 + [words, member_count]) == [101]
