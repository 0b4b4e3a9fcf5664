from __future__ import annotations

import math
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from palpo.core.errors import AuthError
from palpo.core.events import SignedEvent
from palpo.core.power_levels import (
    CREATOR,
    PowerLevels,
    check_power_levels_change,
    creators,
    read_level,
    validate_power_levels,
)
from palpo.core.room_versions import V1, V5, V6, V9, V10, V11, V12, RoomVersion
from tests.core.auth_room import ALICE, BOB, CAROL, VERSIONS, make_event

MAX = 2**53 - 1


def create_event(rules: RoomVersion, **content: Any) -> SignedEvent:
    return make_event(rules, "m.room.create", ALICE, "", content)


def levels_of(rules: RoomVersion, content: dict[str, Any] | None, **create: Any) -> PowerLevels:
    event = None if content is None else make_event(rules, "m.room.power_levels", ALICE, "", content)
    return PowerLevels.from_state(rules, create_event(rules, creator=ALICE, **create), event)


@pytest.mark.parametrize("rules", VERSIONS, ids=lambda rules: rules.id)
def test_a_room_without_power_levels_has_the_defaults(rules: RoomVersion) -> None:
    levels = levels_of(rules, None)
    assert levels.user(ALICE) == (CREATOR if rules is V12 else 100)
    assert levels.user(BOB) == 0
    assert (levels.invite, levels.kick, levels.ban, levels.redact) == (0, 50, 50, 50)
    assert (levels.event("m.x", False), levels.event("m.x", True)) == (0, 50)
    assert levels.notification("room") == 50


@pytest.mark.parametrize("rules", VERSIONS, ids=lambda rules: rules.id)
def test_stated_levels_count(rules: RoomVersion) -> None:
    content = {
        "users": {BOB: 7},
        "users_default": 1,
        "events": {"m.x": 2},
        "events_default": 3,
        "state_default": 4,
        "invite": 5,
        "kick": 6,
        "ban": 8,
        "redact": 9,
        "notifications": {"room": 10},
    }
    levels = levels_of(rules, content)
    assert (levels.user(BOB), levels.user(CAROL)) == (7, 1)
    assert levels.user(ALICE) == (CREATOR if rules is V12 else 1)
    assert (levels.event("m.x", True), levels.event("m.y", True), levels.event("m.y", False)) == (2, 4, 3)
    assert (levels.invite, levels.kick, levels.ban, levels.redact) == (5, 6, 8, 9)
    assert levels.notification("room") == 10


def test_who_the_creators_are() -> None:
    assert creators(V12, None) == frozenset()
    assert creators(V10, create_event(V10, creator=BOB)) == {BOB}
    assert creators(V10, create_event(V10, creator=["x"])) == frozenset()
    assert creators(V11, create_event(V11, creator=BOB)) == {ALICE}
    assert creators(V11, create_event(V11, additional_creators=[BOB])) == {ALICE}
    assert creators(V12, create_event(V12, additional_creators=[BOB, 1])) == {ALICE, BOB}
    assert creators(V12, create_event(V12, additional_creators=BOB)) == {ALICE}


def test_privileged_creators_are_above_every_level() -> None:
    levels = levels_of(V12, {"users": {BOB: MAX}}, additional_creators=[CAROL])
    assert levels.user(ALICE) == levels.user(CAROL) == CREATOR > levels.user(BOB) == MAX


def test_without_a_create_event_nobody_is_special() -> None:
    assert PowerLevels.from_state(V10, None, None).user(ALICE) == 0
    assert PowerLevels.from_state(V12, None, None).user(ALICE) == 0


@pytest.mark.parametrize(
    ("rules", "value", "level"),
    [
        (V1, 5, 5),
        (V1, "5", 5),
        (V1, " +0005 ", 5),
        (V9, "-5", -5),
        (V9, "5.0", None),
        (V9, "", None),
        (V9, "٥", None),
        (V9, "1" * 5000, None),
        (V9, "-" + "0" * 5000 + "1", -1),
        (V9, "0", 0),
        (V9, "1_0", None),
        (V1, 5.9, 5),
        (V5, -5.9, -5),
        (V1, math.inf, None),
        (V1, math.nan, None),
        (V1, 10**308, 10**308),
        (V1, 10**309, None),
        (V6, 5.9, None),
        (V10, "5", None),
        (V10, 5, 5),
        (V1, True, None),
        (V10, True, None),
        (V1, None, None),
        (V1, [5], None),
    ],
)
def test_what_a_value_says(rules: RoomVersion, value: object, level: int | None) -> None:
    assert read_level(rules, value) == level


def test_malformed_tables_are_as_if_absent() -> None:
    levels = levels_of(V9, {"users": [], "events": "x", "notifications": 1, "ban": {}})
    assert (levels.user(BOB), levels.event("m.x", True), levels.notification("room"), levels.ban) == (
        0,
        50,
        50,
        50,
    )


@pytest.mark.parametrize(
    ("rules", "content"),
    [
        (V9, {"users": []}),
        (V9, {"users": None}),
        (V9, {"users": {"bob": 1}}),
        (V9, {"users": {"@bob": 1}}),
        (V9, {"users": {BOB: "x"}}),
        (V9, {"users": {BOB: None}}),
        (V10, {"users": {BOB: "1"}}),
        (V10, {"ban": "1"}),
        (V10, {"kick": True}),
        (V10, {"invite": None}),
        (V10, {"events": []}),
        (V10, {"events": {"m.x": "1"}}),
        (V10, {"notifications": None}),
        (V10, {"notifications": {"room": 1.0}}),
        (V12, {"users": {ALICE: 100}}),
        (V12, {"users": {CAROL: 100}}),
    ],
)
def test_malformed_content_is_refused_as_bad_json(rules: RoomVersion, content: dict[str, Any]) -> None:
    with pytest.raises(AuthError) as info:
        validate_power_levels(rules, create_event(rules, additional_creators=[CAROL]), content)
    assert (info.value.status, info.value.errcode) == (400, "M_BAD_JSON")


@pytest.mark.parametrize(
    ("rules", "content"),
    [
        (V1, {}),
        (V9, {"users": {BOB: " 10 "}, "ban": "x", "events": []}),
        (V10, {"users": {BOB: 10}, "ban": 1, "events": {"m.x": 1}, "notifications": {"room": 2}}),
        (V11, {"users": {ALICE: 100}}),
        (V12, {"users": {BOB: MAX}}),
    ],
)
def test_well_formed_content(rules: RoomVersion, content: dict[str, Any]) -> None:
    validate_power_levels(rules, create_event(rules), content)


OLD = {
    "users": {ALICE: 100, BOB: 50, CAROL: 50},
    "events": {"m.high": 60, "m.low": 10},
    "notifications": {"room": 60},
    "ban": 60,
    "kick": 50,
}


def changed(table: str, key: str, value: object) -> dict[str, Any]:
    """``OLD`` with an entry of a table set, or removed by ``None``."""
    entries = {**OLD[table], key: value}  # type: ignore[dict-item]
    return {**OLD, table: {k: v for k, v in entries.items() if v is not None}}


@pytest.mark.parametrize(
    "content",
    [
        OLD,
        {**OLD, "kick": 10},
        {**OLD, "redact": 50},
        {key: value for key, value in OLD.items() if key != "kick"},
        changed("events", "m.low", 50),
        changed("events", "m.low", None),
        changed("events", "m.new", 50),
        changed("users", BOB, 10),
        changed("users", BOB, None),
        changed("users", "@new:x", 50),
        changed("notifications", "other", 50),
    ],
)
@pytest.mark.parametrize("rules", [V1, V6, V10])
def test_changes_within_ones_level(rules: RoomVersion, content: dict[str, Any]) -> None:
    check_power_levels_change(levels_of(rules, OLD), BOB, content)


@pytest.mark.parametrize(
    "content",
    [
        {**OLD, "ban": 10},
        {**OLD, "kick": 51},
        {**OLD, "redact": 51},
        {key: value for key, value in OLD.items() if key != "ban"},
        changed("events", "m.high", 50),
        changed("events", "m.high", None),
        changed("events", "m.low", 51),
        changed("events", "m.new", 51),
        changed("users", BOB, 51),
        changed("users", ALICE, 99),
        changed("users", ALICE, None),
        changed("users", CAROL, 49),
        changed("users", "@new:x", 51),
    ],
)
@pytest.mark.parametrize("rules", [V1, V6, V10])
def test_changes_beyond_ones_level(rules: RoomVersion, content: dict[str, Any]) -> None:
    with pytest.raises(AuthError, match="You may not"):
        check_power_levels_change(levels_of(rules, OLD), BOB, content)


@pytest.mark.parametrize("content", [changed("notifications", "room", 1), changed("notifications", "x", 51)])
def test_notification_levels_are_covered_since_version_6(content: dict[str, Any]) -> None:
    check_power_levels_change(levels_of(V5, OLD), BOB, content)
    with pytest.raises(AuthError):
        check_power_levels_change(levels_of(V6, OLD), BOB, content)


def test_another_spelling_of_a_level_is_no_change() -> None:
    check_power_levels_change(levels_of(V9, OLD), BOB, {**OLD, "ban": " 060 "})


def test_demoting_by_users_default() -> None:
    old = {"users_default": 100, "users": {ALICE: 100}}
    check_power_levels_change(levels_of(V11, old), ALICE, {**old, "users_default": 40})


def test_a_privileged_creator_may_change_everything() -> None:
    old = {"users": {BOB: MAX}, "ban": MAX}
    check_power_levels_change(levels_of(V12, old), ALICE, {"users": {BOB: 0, CAROL: MAX}, "ban": 0})


LEVELS = st.integers(0, 3).map(lambda level: level * 25)
USERS = st.dictionaries(st.sampled_from([ALICE, BOB, CAROL]), LEVELS)


@given(old=USERS, new=USERS, ban=LEVELS, new_ban=LEVELS)
def test_no_change_lets_anyone_rise_above_its_sender(
    old: dict[str, int], new: dict[str, int], ban: int, new_ban: int
) -> None:
    before = levels_of(V11, {"users": old, "ban": ban})
    try:
        check_power_levels_change(before, BOB, {"users": new, "ban": new_ban})
    except AuthError:
        return
    after = levels_of(V11, {"users": new, "ban": new_ban})
    own = before.user(BOB)
    for user in (ALICE, BOB, CAROL):
        assert after.user(user) <= max(before.user(user), own)
    for user in (ALICE, CAROL):
        if before.user(user) >= own and user in old:
            assert after.user(user) == before.user(user)
    if new_ban != ban:
        assert max(ban, new_ban) <= own
