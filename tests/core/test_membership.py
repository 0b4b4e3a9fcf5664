"""What membership events say."""

from __future__ import annotations

import pytest

from palpo.core.membership import BAN, INVITE, JOIN, KNOCK, LEAVE, Membership, as_membership, membership_of
from palpo.core.room_versions import room_version
from tests.core.auth_room import ALICE, make_event


def test_the_specs_five() -> None:
    assert [INVITE, JOIN, KNOCK, LEAVE, BAN] == ["invite", "join", "knock", "leave", "ban"]
    assert set(Membership) == {INVITE, JOIN, KNOCK, LEAVE, BAN}


@pytest.mark.parametrize("value", ["dance", "JOIN", "", None, 1, ["join"], {}])
def test_none(value: object) -> None:
    assert as_membership(value) is None


def test_of_events() -> None:
    event = make_event(room_version("11"), "m.room.member", ALICE, ALICE, {"membership": "knock"})
    assert membership_of(event) is KNOCK
    assert membership_of(make_event(room_version("11"), "m.room.member", ALICE, ALICE, {})) is None
    assert membership_of(None) is None
