from __future__ import annotations

from typing import Any

import orjson
import pytest
from hypothesis import given
from hypothesis import strategies as st

from palpo.core import canonical_json, event_hashes, events, unpadded_base64
from palpo.core.errors import BadJson, MatrixError, TooLarge
from palpo.core.event_format import MAX_EVENT_BYTES
from palpo.core.room_versions import ROOM_VERSIONS, V1, V4, V5, V6, V10, V11, V12, RoomVersion
from palpo.core.signing import SigningKey
from tests.core.json_values import CANONICAL_OBJECTS, LAX

KEY = SigningKey(key_id="ed25519:k", seed=b"k" * 32)
HASH = "Rqnc-F-dvnEYJTyHq_iKxU2bZ1CI92-kuZq3a5lr5Zg"
ROOM = "!room:one"
ALL = pytest.mark.parametrize("rules", ROOM_VERSIONS.values(), ids=lambda rules: f"v{rules.id}")


def build(rules: RoomVersion, **fields: Any) -> events.Event:
    defaults: dict[str, Any] = {
        "server_name": "one",
        "key": KEY,
        "room_id": ROOM,
        "type": "m.room.message",
        "sender": "@a:one",
        "content": {"body": "hello"},
        "origin_server_ts": 1_700_000_000_000,
        "depth": 7,
        "prev_events": ["$" + HASH],
        "auth_events": ["$a", "$b"],
    }
    if rules.id in ("1", "2"):
        ids = ["$p:one", "$q:one"]
        defaults |= {"event_id": "$new:one", "prev_events": ids[:1], "auth_events": ids}
        defaults["hashes_of"] = {event_id: unpadded_base64.encode(event_id.encode()) for event_id in ids}
    return events.build_event(rules, **{**defaults, **fields})


def parsed(rules: RoomVersion, **fields: Any) -> events.Event:
    """Parse a built event with fields replaced, or removed where they are ``None``."""
    pdu = {**build(rules).pdu, **fields}
    return events.parse_pdu(rules, {name: value for name, value in pdu.items() if value is not None})


@ALL
def test_a_built_event_is_valid(rules: RoomVersion) -> None:
    event = build(rules)
    assert events.parse_pdu(rules, event.pdu, room_id=ROOM) == event
    assert event_hashes.verify_content_hash(event.pdu)
    assert event_hashes.required_signatures(rules, event.pdu) == {"one"}
    event_hashes.verify_event_signature(rules, event.pdu, "one", KEY.key_id, KEY.verify_key_base64)
    assert event.pdu == event_hashes.sign_event(rules, event.pdu, "one", KEY)
    assert not event.is_state
    assert event.pdu.get("event_id") == ("$new:one" if rules.id in ("1", "2") else None)


@given(content=CANONICAL_OBJECTS, version=st.sampled_from([*ROOM_VERSIONS]))
def test_a_built_event_goes_through_json(content: dict[str, Any], version: str) -> None:
    rules = ROOM_VERSIONS[version]
    event = build(rules, content=content, state_key="")
    received = canonical_json.decode_object(canonical_json.encode(event.pdu))
    assert events.parse_pdu(rules, received) == event
    assert event.key == ("m.room.message", "")
    assert event.is_state


def test_pairs_with_hashes() -> None:
    event = build(V1)
    assert event.pdu["prev_events"] == [["$p:one", {"sha256": unpadded_base64.encode(b"$p:one")}]]
    assert event.prev_events == ("$p:one",)
    assert event.auth_events == ("$p:one", "$q:one")


@ALL
def test_create_events(rules: RoomVersion) -> None:
    makes_id = rules.id == "12"
    room_id = None if makes_id else ROOM
    event = build(
        rules, type="m.room.create", state_key="", room_id=room_id, prev_events=[], auth_events=[], content={}
    )
    assert event.room_id == ("!" + event.event_id[1:] if makes_id else ROOM)
    assert ("room_id" in event.pdu) is not makes_id
    assert events.parse_pdu(rules, event.pdu, room_id=event.room_id) == event


@pytest.mark.parametrize(
    ("rules", "fields"),
    [
        (V12, {"type": "m.room.create"}),
        (V11, {"type": "m.room.create", "room_id": None}),
        (V12, {"room_id": None}),
    ],
)
def test_create_events_that_do_not_fit(rules: RoomVersion, fields: dict[str, Any]) -> None:
    with pytest.raises(BadJson):
        build(rules, **fields)


def test_a_received_create_event_may_not_have_the_room_id_it_makes() -> None:
    with pytest.raises(BadJson):
        parsed(V12, type="m.room.create", state_key="", room_id="!" + HASH)


@ALL
def test_redactions(rules: RoomVersion) -> None:
    event = build(rules, type="m.room.redaction", content={"reason": "r"}, redacts="$x")
    in_content = int(rules.id) >= 11
    assert event.redacts == "$x"
    assert event.content == ({"reason": "r", "redacts": "$x"} if in_content else {"reason": "r"})
    assert event.pdu.get("redacts") == (None if in_content else "$x")
    assert events.parse_pdu(rules, event.pdu) == event
    client = orjson.loads(events.client_event_bytes(event))
    assert client["redacts"] == "$x"
    assert client["content"] == {"reason": "r", "redacts": "$x"}
    assert events.redacted_event(rules, event).redacts == ("$x" if in_content else None)


@pytest.mark.parametrize("redacts", [None, 1, [], "", "x", "$" + "x" * 255, "$x\0"])
def test_redactions_of_nothing(redacts: Any) -> None:
    assert parsed(V10, type="m.room.redaction", redacts=redacts).redacts is None
    assert parsed(V11, type="m.room.redaction", content={"redacts": redacts}, redacts="$x").redacts is None


def test_only_redactions_redact() -> None:
    assert parsed(V10, redacts="$x").redacts is None
    assert parsed(V11, content={"redacts": "$x"}).redacts is None


def size_of(event: events.Event) -> int:
    return len(canonical_json.encode(event.pdu))


def test_the_largest_event() -> None:
    padding = MAX_EVENT_BYTES - size_of(build(V11, content={"body": ""}))
    event = build(V11, content={"body": "a" * padding})
    assert size_of(event) == MAX_EVENT_BYTES
    assert events.parse_pdu(V11, event.pdu) == event
    with pytest.raises(TooLarge):
        build(V11, content={"body": "a" * (padding + 1)})
    with pytest.raises(TooLarge):
        events.parse_pdu(V11, {**event.pdu, "content": {"body": "a" * (padding + 1)}})


@pytest.mark.parametrize("name", ["type", "state_key"])
@ALL
def test_the_longest_fields(rules: RoomVersion, name: str) -> None:
    in_bytes, in_code_points = "é" * 127 + "a", "é" * 255
    assert getattr(build(rules, **{name: in_bytes}), name) == in_bytes
    assert getattr(parsed(rules, **{name: in_bytes}), name) == in_bytes
    with pytest.raises(TooLarge):
        build(rules, **{name: in_code_points})
    with pytest.raises(TooLarge):
        parsed(rules, **{name: in_code_points + "a"})
    if int(rules.id) < 11:
        assert getattr(parsed(rules, **{name: in_code_points}), name) == in_code_points
    else:
        with pytest.raises(TooLarge):
            parsed(rules, **{name: in_code_points})


@ALL
def test_numbers_by_room_version(rules: RoomVersion) -> None:
    strict = int(rules.id) >= 6
    limit = 2**53 - 1 if strict else 2**63 - 1
    event = parsed(rules, depth=limit, origin_server_ts=-limit)
    assert (event.depth, event.origin_server_ts) == (limit, -limit)
    for fields in ({"depth": limit + 1}, {"origin_server_ts": limit + 1}, {"depth": -1}):
        with pytest.raises(BadJson):
            parsed(rules, **fields)
    content = {"float": 1.5, "long": 2**64}
    if strict:
        with pytest.raises(BadJson):
            parsed(rules, content=content)
        with pytest.raises(BadJson):
            build(rules, content=content)
    else:
        event = build(rules, content=content)
        assert events.parse_pdu(rules, event.pdu) == event
        assert b'{"float":1.5,"long":18446744073709551616}' in events.client_event_bytes(event)


@pytest.mark.parametrize(
    "fields",
    [
        {"type": None},
        {"type": 1},
        {"sender": None},
        {"sender": "a"},
        {"sender": "@a"},
        {"sender": ["@a:one"]},
        {"content": None},
        {"content": []},
        {"state_key": 1},
        {"depth": None},
        {"type": "a\0b"},
        {"state_key": "a\0b"},
        {"depth": "1"},
        {"depth": True},
        {"origin_server_ts": None},
        {"origin_server_ts": "1"},
        {"hashes": None},
        {"hashes": {}},
        {"hashes": {"sha256": 1}},
        {"signatures": None},
        {"signatures": {"one": "x"}},
        {"signatures": {"one": {"ed25519:k": 1}}},
        {"unsigned": []},
        {"room_id": None},
        {"room_id": 1},
        {"room_id": "room"},
        {"prev_events": None},
        {"prev_events": {}},
        {"prev_events": ["$x"] * 21},
        {"prev_events": ["x"]},
        {"prev_events": [["$x:one", {"sha256": "AA"}]]},
        {"auth_events": None},
        {"auth_events": ["$x"] * 11},
        {"auth_events": [1]},
    ],
    ids=str,
)
@pytest.mark.parametrize("rules", [V4, V6, V12], ids=lambda rules: f"v{rules.id}")
def test_wrong_forms(rules: RoomVersion, fields: dict[str, Any]) -> None:
    with pytest.raises(BadJson):
        parsed(rules, **fields)


@pytest.mark.parametrize(
    "fields",
    [
        {"event_id": None},
        {"event_id": 1},
        {"event_id": "$x"},
        {"event_id": "$x:"},
        {"event_id": "x:one"},
        {"prev_events": ["$x:one"]},
        {"prev_events": [["$x:one"]]},
        {"prev_events": [["$x:one", "hash"]]},
        {"prev_events": [[1, {}]]},
    ],
    ids=str,
)
def test_wrong_forms_in_version_1(fields: dict[str, Any]) -> None:
    with pytest.raises(BadJson):
        parsed(V1, **fields)


def test_lists_may_be_full() -> None:
    event = parsed(V12, prev_events=["$x"] * 20, auth_events=["$y"] * 10)
    assert (len(event.prev_events), len(event.auth_events)) == (20, 10)


def test_an_event_of_another_room() -> None:
    with pytest.raises(BadJson):
        events.parse_pdu(V11, build(V11).pdu, room_id="!other:one")


@pytest.mark.parametrize(
    "fields", [{"type": "\ud800"}, {"state_key": "\ud800"}, {"content": {"a": "\ud800"}}]
)
@pytest.mark.parametrize("rules", [V5, V6], ids=lambda rules: f"v{rules.id}")
def test_lone_surrogates(rules: RoomVersion, fields: dict[str, Any]) -> None:
    with pytest.raises(BadJson):
        build(rules, **fields)
    with pytest.raises(BadJson):
        parsed(rules, **fields)


@given(
    st.sampled_from([*ROOM_VERSIONS]),
    st.dictionaries(
        st.sampled_from(sorted({*build(V1).pdu, "state_key", "unsigned", "redacts"})), LAX, max_size=3
    ),
)
def test_no_form_is_an_accident(version: str, fields: dict[str, Any]) -> None:
    """Whatever stands in a field, a remote event is parsed or is refused as the sender's fault."""
    rules = ROOM_VERSIONS[version]
    refusal = event = None
    try:
        event = parsed(rules, **fields)
    except MatrixError as error:
        refusal = error
    if event is None:
        assert refusal is not None
        assert refusal.status in (400, 413)
    else:
        event_hashes.required_signatures(rules, event.pdu)
        assert orjson.loads(events.client_event_bytes(event))["event_id"] == event.event_id


def test_client_form() -> None:
    event = build(V11, state_key="k", content={"b": 1, "a": "é"})
    data = events.client_event_bytes(event)
    fields = {
        "type": "m.room.message",
        "sender": "@a:one",
        "content": {"b": 1, "a": "é"},
        "event_id": event.event_id,
        "origin_server_ts": 1_700_000_000_000,
        "state_key": "k",
    }
    assert data == orjson.dumps(fields)
    assert events.with_unsigned(data, None, None) == data
    assert orjson.loads(events.with_unsigned(data, ROOM, None)) == {**fields, "room_id": ROOM}
    assert orjson.loads(events.with_unsigned(data, None, {})) == {**fields, "unsigned": {}}
    unsigned = {"age": 5, "prev_content": b'{"x":[1]}'}
    assert orjson.loads(events.with_unsigned(data, ROOM, unsigned)) == {
        **fields,
        "room_id": ROOM,
        "unsigned": {"age": 5, "prev_content": {"x": [1]}},
    }


@ALL
def test_a_redacted_event_for_clients(rules: RoomVersion) -> None:
    content = {"membership": "join", "displayname": "A"}
    event = build(rules, type="m.room.member", state_key="@a:one", content=content)
    redaction = events.client_event_bytes(
        build(rules, type="m.room.redaction", content={}, redacts=event.event_id)
    )
    shown = orjson.loads(events.redact_for_client(rules, event, redaction, room_id=ROOM, unsigned={"age": 1}))
    assert shown.pop("unsigned") == {"age": 1, "redacted_because": orjson.loads(redaction)}
    assert shown.pop("room_id") == ROOM
    assert shown == {**orjson.loads(events.client_event_bytes(event)), "content": {"membership": "join"}}
    bare = orjson.loads(events.redact_for_client(rules, event, redaction))
    assert bare["unsigned"].keys() == {"redacted_because"}
    redacted = events.redacted_event(rules, event)
    assert redacted.event_id == event.event_id == event_hashes.event_id_of(rules, redacted.pdu)
    assert event.content == content


def test_stripped_state() -> None:
    event = build(V11, type="m.room.name", state_key="", content={"name": "n"})
    expected = {"type": "m.room.name", "state_key": "", "sender": "@a:one", "content": {"name": "n"}}
    assert events.stripped(event) == expected
    create = build(V11, type="m.room.create", state_key="", content={})
    shown = events.stripped(create)
    assert shown["event_id"] == create.event_id
    assert shown["origin_server_ts"] == create.origin_server_ts


@ALL
def test_parse_stored_is_parse_pdu(rules: RoomVersion) -> None:
    event = build(rules)
    assert events.parse_stored(rules, event.pdu, event.event_id) == event
