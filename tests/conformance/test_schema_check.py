"""`SchemaChecker`: right responses pass, wrong ones are named, and no body makes it raise."""

from __future__ import annotations

import json
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st
from palpo_conformance.schema_check import MAX_MESSAGE, MAX_VIOLATIONS, SchemaChecker, Violation

CHECKER = SchemaChecker()
V3 = "/_matrix/client/v3"
MEMBER = {
    "type": "m.room.member",
    "state_key": "@alice:example.org",
    "sender": "@alice:example.org",
    "event_id": "$1-_x",
    "origin_server_ts": 1700000000000,
    "content": {"membership": "join", "displayname": None, "avatar_url": ""},
    "unsigned": {"age": -3, "membership": "join", "prev_content": {"membership": "invite"}},
}
REDACTED = {
    "type": "m.room.message",
    "sender": "@bob:example.org",
    "event_id": "$2",
    "origin_server_ts": 1,
    "content": {},
    "unsigned": {"redacted_because": MEMBER, "m.relations": {"m.thread": {"count": 1}}},
}
IN_ROOM = {"room_id": "!hashOnly-as-in-v12"}
STRIPPED = {k: MEMBER[k] for k in ("type", "state_key", "sender", "content")}
DEVICE_KEYS = {
    "user_id": "@alice:example.org",
    "device_id": "ABC",
    "algorithms": ["m.olm.v1.curve25519-aes-sha2", "m.megolm.v1.aes-sha2"],
    "keys": {"curve25519:ABC": "c", "ed25519:ABC": "e"},
    "signatures": {"@alice:example.org": {"ed25519:ABC": "s"}},
}
CROSS_SIGNING = {"user_id": "@alice:example.org", "usage": ["master"], "keys": {"ed25519:k": "k"}}
PUBLIC_ROOM = {
    "room_id": "!a:b",
    "num_joined_members": 2,
    "world_readable": False,
    "guest_can_join": True,
    "avatar_url": "",
    "join_rule": "knock_restricted",
    "room_type": "m.space",
    "canonical_alias": "#a:b",
}
SYNC = {
    "next_batch": "s1",
    "rooms": {
        "join": {
            "!a:b": {
                "summary": {"m.heroes": ["@bob:example.org"], "m.joined_member_count": 2},
                "state": {"events": [MEMBER]},
                "timeline": {"events": [REDACTED], "limited": True, "prev_batch": "p1"},
                "ephemeral": {"events": [{"type": "m.typing", "content": {"user_ids": []}}]},
                "account_data": {"events": [{"type": "m.tag", "content": {"tags": {}}}]},
                "unread_notifications": {"notification_count": 0, "highlight_count": 0},
                "unread_thread_notifications": {"$t": {"notification_count": 1, "highlight_count": 0}},
            }
        },
        "invite": {"!c:d": {"invite_state": {"events": [STRIPPED]}}},
        "knock": {"!e:f": {"knock_state": {"events": [STRIPPED]}}},
        "leave": {
            "!g:h": {"timeline": {"events": []}, "state": {"events": []}, "account_data": {"events": []}}
        },
    },
    "presence": {"events": [{"type": "m.presence", "sender": "@b:c", "content": {"presence": "online"}}]},
    "account_data": {"events": [{"type": "m.direct", "content": {}}]},
    "to_device": {"events": [{"type": "m.dummy", "sender": "@b:c", "content": {}}]},
    "device_lists": {"changed": ["@b:c"], "left": []},
    "device_one_time_keys_count": {"signed_curve25519": 50},
    "device_unused_fallback_key_types": ["signed_curve25519"],
}
CAPABILITIES = {
    "capabilities": {
        "m.change_password": {"enabled": True},
        "m.room_versions": {"default": "12", "available": {"1": "stable", "org.example": "unstable"}},
        "m.profile_fields": {"enabled": True, "allowed": ["m.tz"]},
        "org.example.capability": 3,
    }
}
LOGIN = {"user_id": "@a:b", "access_token": "t", "device_id": "D", "expires_in_ms": 60000}
KEYS_QUERY = {
    "device_keys": {"@alice:example.org": {"ABC": {**DEVICE_KEYS, "unsigned": {"device_display_name": "x"}}}},
    "failures": {"remote.example.org": {}},
    "master_keys": {"@alice:example.org": CROSS_SIGNING},
}
CONTEXT = {
    "event": {**REDACTED, **IN_ROOM},
    "events_before": [],
    "state": [{**MEMBER, **IN_ROOM}],
    "start": "a",
}
JOINED = {"joined": {"@a:b": {"display_name": "A", "avatar_url": "not an mxc URI"}, "@c:d": {}}}
PDU = {
    "room_id": "!a:b",
    "type": "m.room.message",
    "sender": "@a:b",
    "content": {},
    "depth": 1,
    "hashes": {"sha256": "x"},
    "signatures": {"b": {"ed25519:1": "s"}},
    "origin_server_ts": 1,
    "auth_events": ["$a"],
    "prev_events": ["$b"],
}
INVITE = {**PDU, "type": "m.room.member", "state_key": "@a:b", "content": {"membership": "invite"}}
RIGHT: list[tuple[str, str, Any]] = [
    ("GET", f"{V3}/sync?timeout=0", SYNC),
    ("GET", f"{V3}/sync", {"next_batch": "s"}),
    ("GET", f"{V3}/rooms/!a:b/messages", {"start": "a", "chunk": [{**REDACTED, **IN_ROOM}]}),
    ("GET", f"{V3}/rooms/!a:b/context/$1", CONTEXT),
    ("GET", f"{V3}/rooms/!a:b/members", {"chunk": [{**MEMBER, **IN_ROOM}]}),
    ("GET", f"{V3}/rooms/!a:b/joined_members", JOINED),
    ("GET", f"{V3}/rooms/!a:b/state", [{**MEMBER, **IN_ROOM}]),
    ("GET", f"{V3}/rooms/!a:b/state/m.room.name", {"name": "x"}),
    ("GET", f"{V3}/rooms/!a:b/state/m.room.member/@a%3Ab?format=event", {**MEMBER, **IN_ROOM}),
    ("POST", f"{V3}/createRoom", {"room_id": "!a:b"}),
    ("POST", f"{V3}/rooms/!a:b/invite", {}),
    ("POST", f"{V3}/join/%23a:b", {"room_id": "!a:b"}),
    ("PUT", f"{V3}/rooms/!a:b/send/m.room.message/1", {"event_id": "$1"}),
    ("POST", f"{V3}/keys/query", KEYS_QUERY),
    ("POST", f"{V3}/keys/upload", {"one_time_key_counts": {"signed_curve25519": 5}}),
    ("GET", "/_matrix/client/versions", {"versions": ["v1.19"], "unstable_features": {"org.x": True}}),
    ("POST", f"{V3}/login", LOGIN),
    ("GET", f"{V3}/login", {"flows": [{"type": "m.login.password"}, {"type": "org.example"}]}),
    ("GET", f"{V3}/capabilities", CAPABILITIES),
    ("GET", f"{V3}/publicRooms", {"chunk": [PUBLIC_ROOM], "total_room_count_estimate": 1}),
    ("GET", "/_matrix/federation/v1/publicRooms", {"chunk": [PUBLIC_ROOM]}),
    ("GET", f"{V3}/profile/@a:b", {"displayname": "A", "avatar_url": "", "org.example.x": [1]}),
    ("GET", "/_matrix/federation/v1/query/profile?user_id=@a:b", {"displayname": None, "avatar_url": None}),
    ("GET", f"{V3}/account/whoami", {"user_id": "@a:b", "device_id": "D", "is_guest": False}),
    ("GET", f"{V3}/presence/@a:b/status", {"presence": "offline", "status_msg": None}),
    ("GET", "/_matrix/client/v1/media/config", {"m.upload.size": None}),
    ("GET", "/_matrix/client/v1/rooms/!a:b/hierarchy", {"rooms": [{**PUBLIC_ROOM, "children_state": []}]}),
    ("PUT", "/_matrix/federation/v1/send/1", {"pdus": {"$1": {}, "$2": {"error": "no"}}}),
    ("GET", "/_matrix/federation/v1/version", {"server": {"name": "Palpo", "version": "1"}}),
    ("GET", "/_matrix/federation/v1/event/$1", {"origin": "b", "origin_server_ts": 1, "pdus": [PDU]}),
    (
        "PUT",
        "/_matrix/federation/v2/send_join/!a:b/$1",
        {"state": [PDU], "auth_chain": [], "event": PDU, "members_omitted": False, "origin": "b"},
    ),
    ("PUT", "/_matrix/federation/v1/invite/!a:b/$1", [200, {"event": INVITE}]),
    ("PUT", "/_matrix/federation/v2/invite/!a:b/$1", {"event": INVITE}),
]
WRONG: list[tuple[str, str, Any, str]] = [
    ("GET", f"{V3}/sync", {}, ""),
    ("GET", f"{V3}/sync", {"next_batch": 1}, "/next_batch"),
    (
        "GET",
        f"{V3}/sync",
        {"next_batch": "s", "rooms": {"join": {"!a:b": {"timeline": {"events": [STRIPPED]}}}}},
        "/rooms/join/!a:b/timeline/events/0",
    ),
    ("GET", f"{V3}/rooms/!a:b/messages", {"start": "a", "chunk": [REDACTED]}, "/chunk/0"),
    ("GET", f"{V3}/rooms/!a:b/members", {"chunk": {}}, "/chunk"),
    ("POST", f"{V3}/createRoom", {"room_id": "#a:b"}, "/room_id"),
    ("POST", f"{V3}/login", {"user_id": "@a:b", "access_token": "t"}, ""),
    ("POST", f"{V3}/keys/query", {"device_keys": {"@a:b": {"D": {}}}}, "/device_keys/@a:b/D"),
    ("GET", "/_matrix/client/versions", {"versions": "v1.1"}, "/versions"),
    (
        "GET",
        f"{V3}/capabilities",
        {"capabilities": {"m.change_password": {}}},
        "/capabilities/m.change_password",
    ),
    ("GET", f"{V3}/publicRooms", {"chunk": [{"room_id": "!a:b"}]}, "/chunk/0"),
    ("GET", f"{V3}/rooms/!a:b/joined_members", {"joined": {"@a/b~c": 1}}, "/joined/@a~1b~0c"),
]


def check(method: str, path: str, status: int, value: Any) -> list[Violation]:
    return CHECKER.check(method, path, status, json.dumps(value).encode())


@pytest.mark.parametrize(("method", "path", "value"), RIGHT, ids=lambda value: str(value)[:60])
def test_right_responses_pass(method: str, path: str, value: Any) -> None:
    assert check(method, path, 200, value) == []
    # That it passed because it was checked: none of these may be a number.
    assert check(method, path, 200, 5) != []


@pytest.mark.parametrize(("method", "path", "value", "pointer"), WRONG, ids=lambda value: str(value)[:60])
def test_wrong_responses_are_named(method: str, path: str, value: Any, pointer: str) -> None:
    violations = check(method, path, 200, value)
    assert pointer in {violation.pointer for violation in violations}


def test_a_violation_says_where_and_what() -> None:
    (violation,) = check("POST", f"{V3}/createRoom", 200, {})
    assert violation == Violation(
        operation="client-server/createRoom",
        method="POST",
        path=f"{V3}/createRoom",
        status=200,
        pointer="",
        message="'room_id' is a required property",
    )


@pytest.mark.parametrize("status", [400, 401, 403, 404, 405, 409, 413, 415, 429])
def test_errors_are_error_objects(status: int) -> None:
    assert check("POST", f"{V3}/createRoom", status, {"errcode": "M_X", "error": "x", "more": 1}) == []
    assert check("POST", f"{V3}/createRoom", status, {"error": "x"}) != []
    assert check("POST", f"{V3}/createRoom", status, {"errcode": 5}) != []
    assert CHECKER.check("POST", f"{V3}/createRoom", status, b"<html>") != []


def test_rate_limiting_names_its_delay_in_whole_milliseconds() -> None:
    answer = {"errcode": "M_LIMIT_EXCEEDED", "retry_after_ms": "soon"}
    assert [v.pointer for v in check("POST", f"{V3}/login", 429, answer)] == ["/retry_after_ms"]


def test_a_401_is_a_challenge_or_an_error() -> None:
    path = f"{V3}/delete_devices"
    challenge = {"flows": [{"stages": ["m.login.password"]}], "params": {}, "session": "s"}
    assert check("POST", path, 401, challenge) == []
    assert check("POST", path, 401, {**challenge, "errcode": "M_FORBIDDEN", "error": "x"}) == []
    assert check("POST", path, 401, {"errcode": "M_UNKNOWN_TOKEN", "soft_logout": True}) == []
    assert check("POST", path, 401, {"session": "s"}) != []
    assert check("POST", path, 401, {"flows": [{}]}) != []
    assert check("GET", f"{V3}/sync", 401, challenge) != []


@pytest.mark.parametrize(
    ("method", "path", "status"),
    [
        ("GET", "/_matrix/client/v3/made_up", 200),
        ("GET", f"{V3}/sync", 500),
        ("GET", f"{V3}/sync", 204),
        ("GET", "/_matrix/client/v1/media/download/a/b", 200),
        ("GET", f"{V3}/login/sso/redirect", 302),
        ("GET", "/.well-known/matrix/client", 404),
    ],
)
def test_what_is_not_documented_as_json_is_let_pass(method: str, path: str, status: int) -> None:
    assert CHECKER.check(method, path, status, b"\x00\xffanything") == []


@pytest.mark.parametrize(
    "body",
    [
        b"",
        b"\xff",
        b"\xef\xbb\xbf{}",
        b'{"next_batch": NaN}',
        b'{"next_batch": "a", "next_batch": "b"}',
        b"[" * 100_000,
        b'{"a":' * 20_000 + b"1" + b"}" * 20_000,
        b'{"next_batch": ' + b"9" * 10_000 + b"}",
        b'{"next_batch": 1e999}',
        b'{"next_batch": ["\\ud800"]}',
    ],
    ids=lambda body: repr(body[:24]),
)
def test_odd_bodies_are_violations_that_can_be_written_down(body: bytes) -> None:
    violations = CHECKER.check("GET", f"{V3}/sync", 200, body)
    assert violations
    assert all(v.message.encode() and len(v.message) <= MAX_MESSAGE for v in violations)


def test_the_number_of_violations_is_bounded() -> None:
    value = {"start": "a", "chunk": [{"type": "x" * 1000}] * 500}
    violations = check("GET", f"{V3}/rooms/!a:b/messages", 200, value)
    assert len(violations) == MAX_VIOLATIONS


def test_validators_are_built_once() -> None:
    checker = SchemaChecker()
    for _ in range(2):
        checker.check("GET", f"{V3}/sync", 200, b"{}")
        checker.check("GET", "/_matrix/client/r0/sync", 200, b"{}")
    assert len(checker._validators) == 1


JSON = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats() | st.text(),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(), inner, max_size=3),
    max_leaves=10,
)


@given(
    value=st.dictionaries(st.sampled_from(["next_batch", "rooms", "errcode", "flows"]), JSON),
    status=st.sampled_from([200, 400, 401, 429, 500]),
    path=st.sampled_from([f"{V3}/sync", f"{V3}/register", "/_matrix/federation/v2/send_join/!a:b/$1"]),
)
def test_no_body_makes_it_raise(value: Any, status: int, path: str) -> None:
    for method in ("GET", "POST", "PUT"):
        CHECKER.check(method, path, status, json.dumps(value).encode())


@given(body=st.binary(max_size=50))
def test_no_bytes_make_it_raise(body: bytes) -> None:
    CHECKER.check("GET", f"{V3}/sync", 200, body)


def test_a_challenge_where_the_data_has_no_401() -> None:
    path = "/_matrix/client/v3/keys/device_signing/upload"
    challenge = {"session": "x", "flows": [{"stages": ["m.login.password"]}], "params": {}}
    checker = SchemaChecker()
    assert checker.check("POST", path, 401, json.dumps(challenge).encode()) == []
    wrong = {**challenge, "flows": "all"}
    assert checker.check("POST", path, 401, json.dumps(wrong).encode()) != []
    assert checker.check("POST", path, 401, b'{"session": "x"}') != []


SEND = "/_matrix/federation/v1/send/1"
TRANSACTION = {"origin": "a.example", "origin_server_ts": 1, "pdus": []}


def asked(method: str, target: str, body: Any = None) -> list[tuple[str, str]]:
    content = body if body is None or isinstance(body, bytes) else json.dumps(body).encode()
    return [(v.operation, v.pointer) for v in CHECKER.check_request(method, target, 200, content)]


@pytest.mark.parametrize(
    ("method", "target", "body", "pointers"),
    [
        ("PUT", SEND, TRANSACTION, []),
        ("PUT", SEND, {**TRANSACTION, "pdus": 1}, ["/pdus"]),
        ("PUT", SEND, {"pdus": []}, ["", ""]),
        ("PUT", SEND, b"{", [""]),
        ("PUT", SEND, b'{"a":' * 3000, [""]),
        ("PUT", SEND, None, [""]),
        ("GET", "/_matrix/federation/v1/query/profile?user_id=@a:b", None, []),
        ("GET", "/_matrix/federation/v1/query/profile?field=displayname", None, ["?user_id"]),
        ("GET", "/_matrix/federation/v1/version", None, []),
        ("GET", "/_matrix/federation/v1/unheard_of", None, []),
    ],
)
def test_what_is_asked_of_others_is_held_to_its_schema(
    method: str, target: str, body: Any, pointers: list[str]
) -> None:
    assert [pointer for _, pointer in asked(method, target, body)] == pointers
