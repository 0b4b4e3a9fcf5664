from __future__ import annotations

from typing import Any

import pytest

from palpo.core.auth_rules import auth_types_for, authorising_server, check_auth_events
from palpo.core.errors import AuthError
from palpo.core.events import SignedEvent, StateKey
from palpo.core.room_versions import (
    UNSTABLE_ROOM_VERSIONS,
    V1,
    V2,
    V3,
    V6,
    V7,
    V8,
    V10,
    V11,
    V12,
    RoomVersion,
)
from tests.core.auth_room import ALICE, BOB, CAROL, EVE, VERSIONS, AuthRoom, make_event, since

every_version = pytest.mark.parametrize("rules", VERSIONS, ids=lambda rules: rules.id)
CREATE: StateKey = ("m.room.create", "")


def create_content(rules: RoomVersion, **more: Any) -> dict[str, Any]:
    creator = {} if rules.implicit_room_creator else {"creator": ALICE}
    return {"room_version": rules.id, **creator, **more}


def check_create(rules: RoomVersion, content: dict[str, Any], **fields: Any) -> None:
    AuthRoom(rules).allows("m.room.create", ALICE, "", content, **{"prev_events": (), **fields})


@every_version
def test_a_create_event(rules: RoomVersion) -> None:
    check_create(rules, create_content(rules))
    check_create(rules, {key: value for key, value in create_content(rules).items() if key != "room_version"})


@every_version
def test_a_create_event_with_previous_events(rules: RoomVersion) -> None:
    with pytest.raises(AuthError, match="previous"):
        check_create(rules, create_content(rules), prev_events=("$x",))


@every_version
@pytest.mark.parametrize("version", ["13", "", 1, None, ["1"]])
def test_a_create_event_of_an_unknown_version(rules: RoomVersion, version: object) -> None:
    with pytest.raises(AuthError, match="room_version") as info:
        check_create(rules, create_content(rules, room_version=version))
    assert info.value.status == 400


@every_version
def test_a_create_event_without_creator(rules: RoomVersion) -> None:
    if rules.implicit_room_creator:
        check_create(rules, {})
    else:
        with pytest.raises(AuthError, match="creator"):
            check_create(rules, {})


def test_the_room_id_of_a_create_event() -> None:
    with pytest.raises(AuthError, match="server"):
        check_create(V11, {}, room_id="!room:b.org")
    with pytest.raises(AuthError, match="room_id"):
        check_create(V12, {}, pdu={"room_id": "!create"})


@pytest.mark.parametrize("additional", ["@a:b", None, ["@a:b", 1], ["a"], ["@invalid:dom$ain$.com"], {}])
def test_malformed_additional_creators(additional: object) -> None:
    check_create(V11, {"additional_creators": additional})
    with pytest.raises(AuthError, match="additional_creators") as info:
        check_create(V12, {"additional_creators": additional})
    assert info.value.errcode == "M_BAD_JSON"


def test_well_formed_additional_creators() -> None:
    check_create(V12, {"additional_creators": [BOB, "@:historical.org"]})
    check_create(V12, {"additional_creators": []})


@every_version
def test_a_room_without_a_create_event(rules: RoomVersion) -> None:
    room = AuthRoom(rules)
    del room.state[CREATE]
    room.rejects("no create event", "m.room.message", BOB)


def test_a_room_id_that_is_not_the_create_event() -> None:
    AuthRoom(V12).rejects("not the create event", "m.room.message", BOB, room_id="!other")


@every_version
def test_a_room_that_does_not_federate(rules: RoomVersion) -> None:
    room = AuthRoom(rules, **{"m.federate": False})
    room.rejects("federate", "m.room.message", BOB)
    room.allows("m.room.message", ALICE)
    AuthRoom(rules, **{"m.federate": True}).allows("m.room.message", BOB)


@every_version
def test_only_members_may_send(rules: RoomVersion) -> None:
    room = AuthRoom(rules)
    room.rejects("not in the room", "m.room.message", EVE)
    for membership in ("leave", "ban", "invite", "knock", 1, None):
        room.member(BOB, membership)
        room.rejects("not in the room", "m.room.message", BOB)
    room.member(BOB, "join")
    room.allows("m.room.message", BOB)


@every_version
def test_the_level_to_send(rules: RoomVersion) -> None:
    room = AuthRoom(rules)
    room.rejects("may not send", "m.room.topic", BOB, "")
    room.allows("m.room.topic", ALICE, "")
    room.levels(events={"m.room.message": 51})
    room.rejects("level 50, needed 51", "m.room.message", BOB)
    room.allows("m.room.topic", BOB, "")
    room.allows("m.room.message", ALICE)


@every_version
def test_a_state_key_that_is_a_user_id(rules: RoomVersion) -> None:
    room = AuthRoom(rules)
    room.levels()
    room.allows("m.x", BOB, BOB)
    room.allows("m.x", BOB, "x")
    room.rejects("belongs", "m.x", BOB, ALICE)
    room.rejects("belongs", "m.x", ALICE, "@")


@pytest.mark.parametrize("rules", UNSTABLE_ROOM_VERSIONS.values(), ids=lambda rules: rules.id)
def test_owned_state(rules: RoomVersion) -> None:
    room = AuthRoom(rules)
    room.levels()
    for key in (BOB, f"{BOB}_", f"{BOB}_x_y", "x"):
        room.allows("m.x", BOB, key)
    room.rejects("belongs", "m.x", BOB, f"{ALICE}_x")
    room.rejects("user ID", "m.x", BOB, f"{BOB}x@y")
    room.rejects("user ID", "m.x", ALICE, "@oops")
    for key in (BOB, f"{BOB}_x", "@nobody:else.org"):
        room.allows("m.x", ALICE, key)
    room.allows("m.x", BOB, f"{BOB}_{'x' * 255}")
    room.rejects("longer", "m.x", BOB, f"{BOB}_{'x' * 256}")
    room.rejects("longer", "m.x", ALICE, f"{BOB}_{'é' * 128}")
    room.levels(users_default=50)
    room.rejects("belongs", "m.x", BOB, f"@prefix_{BOB}_x")


def test_aliases_up_to_version_5() -> None:
    for rules in since(flag="special_case_aliases_auth"):
        room = AuthRoom(rules)
        room.rejects("Aliases are state", "m.room.aliases", EVE)
        room.rejects("own server", "m.room.aliases", EVE, "a.org")
        room.allows("m.room.aliases", EVE, "e.org")
    room = AuthRoom(V6)
    room.rejects("not in the room", "m.room.aliases", EVE, "e.org")
    room.rejects("may not send", "m.room.aliases", BOB, "b.org")


@every_version
def test_third_party_invites_need_the_invite_level(rules: RoomVersion) -> None:
    room = AuthRoom(rules)
    room.levels(invite=50, state_default=100)
    room.allows("m.room.third_party_invite", BOB, "token")
    room.levels(invite=51)
    room.rejects("may not invite", "m.room.third_party_invite", BOB, "token")


@every_version
def test_power_levels_are_checked_for_shape_and_for_rights(rules: RoomVersion) -> None:
    room = AuthRoom(rules)
    room.rejects("users", "m.room.power_levels", ALICE, "", {"users": {"x": 1}})
    room.allows("m.room.power_levels", ALICE, "", {"users": {EVE: 2**53 - 1}})
    room.levels()
    room.rejects("You may not", "m.room.power_levels", BOB, "", {"users": {BOB: 51}})


def test_power_levels_in_version_12_leave_out_creators() -> None:
    room = AuthRoom(V12, additional_creators=[CAROL])
    for creator in (ALICE, CAROL):
        error = room.rejects("creator", "m.room.power_levels", ALICE, "", {"users": {creator: 100}})
        assert error.status == 400


@pytest.mark.parametrize("rules", [V1, V2])
def test_redactions_are_judged_in_versions_1_and_2(rules: RoomVersion) -> None:
    room = AuthRoom(rules)
    room.levels(redact=51)
    own: dict[str, Any] = {"event_id": "$r:b.org"}
    room.rejects("may not redact", "m.room.redaction", BOB, redacts="$x:a.org", **own)
    room.rejects("may not redact", "m.room.redaction", BOB, redacts=None, **own)
    room.allows("m.room.redaction", BOB, redacts="$x:b.org", **own)
    room.allows("m.room.redaction", ALICE, redacts="$x:b.org", event_id="$r:a.org")


def test_redactions_are_not_judged_since_version_3() -> None:
    for rules in since(flag="redaction_by_auth_rule", value=False):
        room = AuthRoom(rules)
        room.levels(redact=51)
        room.allows("m.room.redaction", BOB, redacts="$x:a.org", event_id="$r:b.org")


BASIC = [("m.room.power_levels", ""), ("m.room.member", BOB)]


def types_for(rules: RoomVersion, type: str, state_key: str | None, **content: Any) -> list[StateKey]:
    return auth_types_for(rules, type=type, sender=BOB, state_key=state_key, content=content)


@every_version
def test_what_authorizes_an_event(rules: RoomVersion) -> None:
    create = [] if rules is V12 else [CREATE]
    assert types_for(rules, "m.room.create", "") == []
    assert types_for(rules, "m.room.message", None) == create + BASIC
    assert types_for(rules, "m.room.member", None, membership="join") == create + BASIC
    assert types_for(rules, "m.room.member", BOB, membership="leave") == create + BASIC


@pytest.mark.parametrize("membership", ["join", "knock"])
def test_what_authorizes_entering(membership: str) -> None:
    joined = [*BASIC, ("m.room.join_rules", "")]
    assert types_for(V12, "m.room.member", BOB, membership=membership) == joined


def test_what_authorizes_a_ban() -> None:
    assert types_for(V12, "m.room.member", EVE, membership="ban") == [*BASIC, ("m.room.member", EVE)]


def test_what_authorizes_an_invite() -> None:
    invited = [*BASIC, ("m.room.member", EVE), ("m.room.join_rules", "")]
    assert types_for(V12, "m.room.member", EVE, membership="invite") == invited
    third_party = {"signed": {"token": "abc"}}
    assert types_for(V12, "m.room.member", EVE, membership="invite", third_party_invite=third_party) == [
        *invited,
        ("m.room.third_party_invite", "abc"),
    ]
    for bad in (None, {}, {"signed": 1}, {"signed": {"token": 1}}):
        assert types_for(V12, "m.room.member", EVE, membership="invite", third_party_invite=bad) == invited


def test_what_authorizes_a_restricted_join() -> None:
    joined = [*BASIC, ("m.room.join_rules", "")]
    content: dict[str, Any] = {"membership": "join", "join_authorised_via_users_server": ALICE}
    assert types_for(V7, "m.room.member", BOB, **content) == [CREATE, *joined]
    assert types_for(V8, "m.room.member", BOB, **content) == [CREATE, *joined, ("m.room.member", ALICE)]
    content["join_authorised_via_users_server"] = 1
    assert types_for(V12, "m.room.member", BOB, **content) == joined


def test_who_else_signs_a_restricted_join() -> None:
    def signer(rules: RoomVersion, type: str = "m.room.member", **content: Any) -> str | None:
        return authorising_server(rules, make_event(rules, type, BOB, BOB, content))

    assert signer(V8, join_authorised_via_users_server=ALICE) == "a.org"
    assert signer(V7, join_authorised_via_users_server=ALICE) is None
    assert signer(V8, "m.x", join_authorised_via_users_server=ALICE) is None
    for bad in (1, "x", None):
        assert signer(V8, join_authorised_via_users_server=bad) is None


def own_auth_events(room: AuthRoom) -> list[SignedEvent]:
    room.levels()
    keys = auth_types_for(room.rules, type="m.room.message", sender=BOB, state_key=None, content={})
    return [room.state[key] for key in keys]


@every_version
def test_the_list_of_auth_events(rules: RoomVersion) -> None:
    room = AuthRoom(rules)
    good = own_auth_events(room)
    message = make_event(rules, "m.room.message", BOB)
    assert check_auth_events(rules, message, good, ()) == {event.key: event for event in good}
    assert check_auth_events(rules, room.state[CREATE], good, ()) == {}
    foreign = make_event(rules, "m.room.member", BOB, BOB, room_id="!other:a.org")
    for reason, events, rejected in [
        ("Two", [*good, good[-1]], ()),
        ("does not bear", [*good, room.state["m.room.member", ALICE]], ()),
        ("does not bear", [*good, make_event(rules, "m.room.member", BOB)], ()),
        ("rejected", good, {good[-1].event_id}),
        ("another room", [*good[:-1], foreign], ()),
    ]:
        with pytest.raises(AuthError, match=reason):
            check_auth_events(rules, message, events, rejected)


def test_the_create_event_among_the_auth_events() -> None:
    room = AuthRoom(V11)
    message = make_event(V11, "m.room.message", BOB)
    with pytest.raises(AuthError, match="not among"):
        check_auth_events(V11, message, own_auth_events(room)[1:], ())


def test_the_create_event_of_version_12() -> None:
    room = AuthRoom(V12)
    message = make_event(V12, "m.room.message", BOB)
    with pytest.raises(AuthError, match="does not bear"):
        check_auth_events(V12, message, [room.state[CREATE], *own_auth_events(room)], ())
    with pytest.raises(AuthError, match="create event was rejected"):
        check_auth_events(V12, message, own_auth_events(room), {"$create"})


@pytest.mark.parametrize("rules", [V3, V10])
def test_state_from_the_auth_events_is_enough_to_judge(rules: RoomVersion) -> None:
    room = AuthRoom(rules)
    message = make_event(rules, "m.room.message", BOB)
    room.state = check_auth_events(rules, message, own_auth_events(room), ())
    room.allows("m.room.message", BOB)
