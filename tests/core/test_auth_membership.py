from __future__ import annotations

from typing import Any

import pytest

from palpo.core.auth_rules import third_party
from palpo.core.room_versions import V1, V6, V7, V8, V9, V10, V11, V12, RoomVersion
from palpo.core.signing import SigningKey, sign_json
from tests.core.auth_room import ALICE, BOB, CAROL, EVE, VERSIONS, AuthRoom, since

every_version = pytest.mark.parametrize("rules", VERSIONS, ids=lambda rules: rules.id)
MEMBERSHIPS = (None, "leave", "knock", "invite", "join", "ban")


@pytest.fixture
def room() -> AuthRoom:
    return AuthRoom(V11)


@every_version
def test_malformed_memberships(rules: RoomVersion) -> None:
    room = AuthRoom(rules)
    assert room.rejects("state_key", "m.room.member", BOB, None, {"membership": "join"}).status == 400
    for membership in (None, 1, ["join"]):
        room.rejects_member("membership", BOB, BOB, membership)
    room.rejects("membership", "m.room.member", BOB, BOB, {})
    room.rejects_member("no membership 'x'", BOB, BOB, "x")


@every_version
def test_the_creator_joins_first(rules: RoomVersion) -> None:
    room = AuthRoom(rules, additional_creators=[EVE])
    del room.state["m.room.member", ALICE]
    first: dict[str, Any] = {"prev_events": ("$create",)}
    join = {"membership": "join"}
    room.allows("m.room.member", ALICE, ALICE, join, **first)
    room.rejects("not invited", "m.room.member", EVE, EVE, join, **first)
    room.rejects("not invited", "m.room.member", ALICE, ALICE, join, prev_events=("$create", "$x"))
    room.rejects("not invited", "m.room.member", ALICE, ALICE, join)


def test_the_first_join_in_a_room_whose_content_names_the_creator() -> None:
    room = AuthRoom(V10, creator=BOB)
    room.allows("m.room.member", BOB, BOB, {"membership": "join"}, prev_events=("$create",))
    room.rejects("not invited", "m.room.member", EVE, EVE, {"membership": "join"}, prev_events=("$create",))


@every_version
def test_nobody_joins_for_another(rules: RoomVersion) -> None:
    room = AuthRoom(rules)
    room.join_rule("public")
    room.rejects_member("somebody else", ALICE, EVE, "join")
    room.allows_member(EVE, EVE, "join")


def may_join(rules: RoomVersion, join_rule: object, membership: str | None) -> bool:
    """Whether a user with a membership may join, by the text of the rules."""
    invited = membership in ("invite", "join")
    if membership == "ban":
        return False
    if join_rule == "public":
        return True
    allowed_by = {
        "invite": True,
        "knock": rules.knocking,
        "restricted": rules.restricted_joins,
        "knock_restricted": rules.knock_restricted_joins,
    }
    return isinstance(join_rule, str) and allowed_by.get(join_rule, False) and invited


@every_version
@pytest.mark.parametrize(
    "join_rule", ["public", "invite", "knock", "restricted", "knock_restricted", "private", 1, []]
)
def test_every_join_rule_and_membership(rules: RoomVersion, join_rule: object) -> None:
    room = AuthRoom(rules)
    room.join_rule(join_rule)
    for membership in MEMBERSHIPS:
        if membership is not None:
            room.member(EVE, membership)
        if may_join(rules, join_rule, membership):
            room.allows_member(EVE, EVE, "join")
        else:
            room.rejects_member("", EVE, EVE, "join")


def test_a_room_without_join_rule_takes_an_invite(room: AuthRoom) -> None:
    room.rejects_member("not invited", EVE, EVE, "join")
    room.set("m.room.join_rules", ALICE, "", {})
    room.rejects_member("not invited", EVE, EVE, "join")
    room.member(EVE, "invite")
    room.allows_member(EVE, EVE, "join")


@pytest.mark.parametrize(
    ("rules", "join_rule"),
    [(V8, "restricted"), (V9, "restricted"), (V10, "knock_restricted"), (V12, "restricted")],
)
def test_restricted_joins(rules: RoomVersion, join_rule: str) -> None:
    room = AuthRoom(rules)
    room.levels(invite=50)
    room.join_rule(join_rule)
    room.allows_member(EVE, EVE, "join", join_authorised_via_users_server=BOB)
    room.allows_member(EVE, EVE, "join", join_authorised_via_users_server=ALICE)
    room.rejects_member("vouches", EVE, EVE, "join")
    room.rejects_member("not in the room", EVE, EVE, "join", join_authorised_via_users_server=CAROL)
    room.member(CAROL, "join")
    room.rejects_member("may not invite", EVE, EVE, "join", join_authorised_via_users_server=CAROL)
    error = room.rejects_member("not a user ID", EVE, EVE, "join", join_authorised_via_users_server="x")
    assert error.status == 400
    room.rejects_member("not a user ID", EVE, EVE, "join", join_authorised_via_users_server=None)
    room.member(EVE, "ban")
    room.rejects_member("banned", EVE, EVE, "join", join_authorised_via_users_server=BOB)


def test_the_authoriser_must_be_a_user_id_whatever_the_membership() -> None:
    AuthRoom(V8).rejects_member("not a user ID", ALICE, EVE, "invite", join_authorised_via_users_server=1)
    AuthRoom(V7).allows_member(ALICE, EVE, "invite", join_authorised_via_users_server=1)


@every_version
def test_invites(rules: RoomVersion) -> None:
    room = AuthRoom(rules)
    room.allows_member(BOB, EVE, "invite")
    room.rejects_member("not in the room", CAROL, EVE, "invite")
    for membership in MEMBERSHIPS[1:]:
        room.member(EVE, membership)
        if membership in ("join", "ban"):
            room.rejects_member("cannot be invited", BOB, EVE, "invite")
        else:
            room.allows_member(BOB, EVE, "invite")
    room.levels(invite=51)
    room.member(EVE, "leave")
    room.rejects_member("may not invite", BOB, EVE, "invite")
    room.allows_member(ALICE, EVE, "invite")


@every_version
def test_leaving(rules: RoomVersion) -> None:
    room = AuthRoom(rules)
    room.rejects_member("not in the room", EVE, EVE, "leave")
    for membership in MEMBERSHIPS[1:]:
        room.member(EVE, membership)
        if membership in ("invite", "join") or (membership == "knock" and rules.knocking):
            room.allows_member(EVE, EVE, "leave")
        else:
            room.rejects_member("not in the room", EVE, EVE, "leave")


@every_version
def test_kicks(rules: RoomVersion) -> None:
    room = AuthRoom(rules)
    room.member(EVE, "join")
    room.rejects_member("may not kick", BOB, EVE, "leave")
    room.rejects_member("not in the room", CAROL, EVE, "leave")
    room.levels(users={EVE: 49})
    room.allows_member(BOB, EVE, "leave")
    room.levels(users={EVE: 50})
    room.rejects_member("not below", BOB, EVE, "leave")
    room.rejects_member("not below", BOB, ALICE, "leave")
    room.allows_member(ALICE, BOB, "leave")


@every_version
def test_unbanning_needs_both_levels(rules: RoomVersion) -> None:
    room = AuthRoom(rules)
    room.member(EVE, "ban")
    room.levels(ban=51)
    room.rejects_member("may not unban", BOB, EVE, "leave")
    room.levels(ban=50)
    room.allows_member(BOB, EVE, "leave")
    room.levels(ban=50, kick=51)
    room.rejects_member("may not kick", BOB, EVE, "leave")


@every_version
def test_bans(rules: RoomVersion) -> None:
    room = AuthRoom(rules)
    room.rejects_member("may not ban", BOB, EVE, "ban")
    room.rejects_member("not in the room", CAROL, EVE, "ban")
    room.levels()
    room.allows_member(BOB, EVE, "ban")
    room.rejects_member("not below", BOB, ALICE, "ban")
    room.rejects_member("not below", BOB, BOB, "ban")


def test_creators_of_version_12_are_above_all() -> None:
    room = AuthRoom(V12, additional_creators=[CAROL])
    room.member(CAROL, "join")
    room.levels(users={BOB: 2**53 - 1})
    room.allows_member(ALICE, BOB, "ban")
    room.allows_member(CAROL, BOB, "leave")
    room.rejects_member("not below", BOB, ALICE, "leave")
    room.rejects_member("not below", BOB, CAROL, "ban")
    room.rejects_member("not below", ALICE, CAROL, "leave")


@every_version
@pytest.mark.parametrize("join_rule", ["knock", "knock_restricted", "public", "restricted", "invite"])
def test_knocks(rules: RoomVersion, join_rule: str) -> None:
    room = AuthRoom(rules)
    room.join_rule(join_rule)
    allowed = rules.knocking and (
        join_rule == "knock" or (join_rule == "knock_restricted" and rules.knock_restricted_joins)
    )
    if not allowed:
        room.rejects_member("knock", EVE, EVE, "knock")
        return
    room.allows_member(EVE, EVE, "knock")
    room.rejects_member("somebody else", BOB, EVE, "knock")
    for membership in MEMBERSHIPS[1:]:
        room.member(EVE, membership)
        if membership in ("leave", "knock"):
            room.allows_member(EVE, EVE, "knock")
        else:
            room.rejects_member("cannot knock", EVE, EVE, "knock")


def test_knocks_exist_since_version_7() -> None:
    assert {rules.id for rules in since(flag="knocking", value=False)} == {str(id) for id in range(1, 7)}
    AuthRoom(V6).rejects_member("no membership", EVE, EVE, "knock")


KEY = SigningKey(key_id="ed25519:0", seed=b"i" * 32)
OTHER_KEY = SigningKey(key_id="ed25519:0", seed=b"o" * 32)


def signed(key: SigningKey = KEY, **fields: Any) -> dict[str, Any]:
    return sign_json({"mxid": EVE, "token": "token", **fields}, "id.org", key)


def third_party_room(rules: RoomVersion = V11, **content: Any) -> AuthRoom:
    room = AuthRoom(rules)
    room.set("m.room.third_party_invite", BOB, "token", content or {"public_key": KEY.verify_key_base64})
    return room


def invite(signed: object) -> dict[str, Any]:
    return {"third_party_invite": {"display_name": "e…@e.org", "signed": signed}}


@every_version
def test_third_party_invites(rules: RoomVersion) -> None:
    room = third_party_room(rules)
    room.allows_member(BOB, EVE, "invite", **invite(signed()))
    room.rejects_member("not signed", BOB, EVE, "invite", **invite(signed(OTHER_KEY)))
    room.rejects_member("by somebody else", ALICE, EVE, "invite", **invite(signed()))
    room.rejects_member("for somebody else", BOB, CAROL, "invite", **invite(signed()))
    room.rejects_member("no such", BOB, EVE, "invite", **invite(signed(token="x")))
    room.member(EVE, "ban")
    room.rejects_member("banned", BOB, EVE, "invite", **invite(signed()))


def test_a_third_party_invite_counts_even_after_its_sender_left() -> None:
    room = third_party_room()
    room.member(BOB, "leave")
    room.allows_member(BOB, EVE, "invite", **invite(signed()))


@pytest.mark.parametrize(
    "third_party_invite",
    [None, 1, {}, {"signed": 1}, {"signed": {}}, {"signed": {"mxid": EVE}}, {"signed": {"token": "token"}}],
)
def test_malformed_third_party_invites(third_party_invite: object) -> None:
    room = third_party_room()
    error = room.rejects_member("signed", BOB, EVE, "invite", third_party_invite=third_party_invite)
    assert error.status == 400


@pytest.mark.parametrize(
    "content",
    [
        {"public_keys": [{"public_key": KEY.verify_key_base64}]},
        {
            "public_key": OTHER_KEY.verify_key_base64,
            "public_keys": [1, {}, {"public_key": KEY.verify_key_base64}],
        },
        {"public_key": "not base64 é", "public_keys": [{"public_key": KEY.verify_key_base64}]},
    ],
)
def test_any_listed_key_will_do(content: dict[str, Any]) -> None:
    third_party_room(**content).allows_member(BOB, EVE, "invite", **invite(signed()))


def test_the_keys_that_signed_an_invite_come_with_where_to_ask_of_their_validity() -> None:
    own = {"public_key": KEY.verify_key_base64, "key_validity_url": "https://id.org/valid"}
    other = {"public_key": OTHER_KEY.verify_key_base64}

    assert third_party.signing_keys(signed(), {"public_keys": [other, own, 7]}) == [own]
    assert third_party.signing_keys(signed(), {**own, "public_keys": [other]}) == [
        {**own, "public_keys": [other]}
    ]
    assert third_party.signing_keys(signed(), other) == []


@pytest.mark.parametrize("content", [{"x": 1}, {"public_key": 1, "public_keys": 1}, {"public_keys": []}])
def test_no_key_is_listed(content: dict[str, Any]) -> None:
    third_party_room(**content).rejects_member("not signed", BOB, EVE, "invite", **invite(signed()))


@pytest.mark.parametrize("signatures", [None, 1, {"id.org": 1}, {"id.org": {"rsa:0": "x", "ed25519:0": 1}}])
def test_malformed_signatures(signatures: object) -> None:
    bad = {**signed(), "signatures": signatures}
    third_party_room().rejects_member("not signed", BOB, EVE, "invite", **invite(bad))


def test_signed_content_without_canonical_form() -> None:
    bad = {**signed(), "x": "\ud800"}
    third_party_room().rejects_member("not signed", BOB, EVE, "invite", **invite(bad))


def test_no_more_than_some_signatures_are_tried() -> None:
    late = signed()
    wrong = {f"ed25519:{n}": signed(OTHER_KEY)["signatures"]["id.org"]["ed25519:0"] for n in range(1, 300)}
    late["signatures"] = {"a": wrong, **late["signatures"]}
    assert len(wrong) > third_party.MAX_VERIFICATIONS
    third_party_room().rejects_member("not signed", BOB, EVE, "invite", **invite(late))


def test_ordinary_invites_ignore_the_join_rule() -> None:
    room = AuthRoom(V1)
    room.join_rule("public")
    room.allows_member(BOB, EVE, "invite")
