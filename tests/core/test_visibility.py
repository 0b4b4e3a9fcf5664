from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from palpo.core.events import SignedEvent, StateKey
from palpo.core.room_versions import V12
from palpo.core.visibility import Sight, can_see, server_can_see, sight_of, visibility_of
from tests.core.auth_room import ALICE, BOB, make_event

VISIBILITIES = ("world_readable", "shared", "invited", "joined")
MEMBERSHIPS = (None, "leave", "knock", "ban", "invite", "join")


def visibility_event(value: object) -> SignedEvent:
    return make_event(V12, "m.room.history_visibility", ALICE, "", {"history_visibility": value})


def member_event(user_id: str, membership: object) -> SignedEvent:
    return make_event(V12, "m.room.member", user_id, user_id, {"membership": membership})


def state(*events: SignedEvent) -> dict[StateKey, SignedEvent]:
    return {event.key: event for event in events}


@pytest.mark.parametrize(
    ("visibility", "seen_by", "seen_by_later_members"),
    [
        ("world_readable", set(MEMBERSHIPS), set(MEMBERSHIPS)),
        ("shared", {"join"}, set(MEMBERSHIPS)),
        ("invited", {"join", "invite"}, {"join", "invite"}),
        ("joined", {"join"}, {"join"}),
    ],
)
def test_who_sees_an_event(visibility: str, seen_by: set[str], seen_by_later_members: set[str]) -> None:
    for membership in MEMBERSHIPS:
        sight = Sight((visibility,), (membership,))
        assert can_see(sight, joined_after=False) == (membership in seen_by)
        assert can_see(sight, joined_after=True) == (membership in seen_by_later_members)


@given(
    visibilities=st.lists(st.sampled_from(VISIBILITIES), min_size=1, max_size=2),
    memberships=st.lists(st.sampled_from(MEMBERSHIPS), min_size=1, max_size=2),
    joined_after=st.booleans(),
)
def test_either_value_of_a_change_suffices(
    visibilities: list[str], memberships: list[str | None], joined_after: bool
) -> None:
    single = [
        can_see(Sight((visibility,), (membership,)), joined_after=joined_after)
        for visibility in visibilities
        for membership in memberships
    ]
    sight = Sight(tuple(visibilities), tuple(memberships))
    assert can_see(sight, joined_after=joined_after) == any(single)


@pytest.mark.parametrize("value", ["unknown", None, 1, ["joined"]])
def test_the_default_visibility(value: object) -> None:
    assert visibility_of(visibility_event(value)) == "shared"
    assert visibility_of(None) == "shared"


def test_the_sight_of_an_ordinary_event() -> None:
    message = make_event(V12, "m.room.message", ALICE)
    assert sight_of(message, BOB, {}) == Sight(("shared",), (None,))
    before = state(visibility_event("joined"), member_event(BOB, "invite"))
    assert sight_of(message, BOB, before) == Sight(("joined",), ("invite",))
    assert sight_of(message, BOB, state(member_event(BOB, 1))) == Sight(("shared",), (None,))
    topic = make_event(V12, "m.room.topic", ALICE, "")
    assert sight_of(topic, BOB, before) == Sight(("joined",), ("invite",))


def test_the_sight_of_a_change_of_visibility() -> None:
    before = state(visibility_event("joined"))
    sight = sight_of(visibility_event("world_readable"), BOB, before)
    assert sight == Sight(("joined", "world_readable"), (None,))
    assert can_see(sight, joined_after=False)


def test_the_sight_of_a_membership() -> None:
    before = state(visibility_event("joined"), member_event(BOB, "join"))
    leaving = member_event(BOB, "leave")
    assert sight_of(leaving, BOB, before) == Sight(("joined",), ("join", "leave"))
    assert can_see(sight_of(leaving, BOB, before), joined_after=False)
    assert sight_of(leaving, ALICE, before) == Sight(("joined",), (None,))


@given(
    visibilities=st.lists(st.sampled_from(VISIBILITIES), min_size=1, max_size=2),
    memberships=st.lists(st.sampled_from(MEMBERSHIPS), max_size=3),
)
def test_a_server_sees_what_a_user_of_it_might(
    visibilities: list[str], memberships: list[str | None]
) -> None:
    might = [can_see(Sight(tuple(visibilities), (one,)), joined_after=True) for one in (None, *memberships)]
    assert server_can_see(visibilities, memberships) == any(might)
