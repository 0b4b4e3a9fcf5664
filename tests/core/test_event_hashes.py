from __future__ import annotations

import hashlib
from typing import Any

import pytest
from canonicaljson import encode_canonical_json
from hypothesis import given
from hypothesis import strategies as st
from unpaddedbase64 import encode_base64

from palpo.core import event_hashes, unpadded_base64
from palpo.core.errors import BadJson
from palpo.core.redaction import redact
from palpo.core.room_versions import ROOM_VERSIONS, V1, V3, V6, V7, V8, V11, V12, RoomVersion
from palpo.core.signing import SignatureError, SigningKey
from tests.core.json_values import CANONICAL_OBJECTS

KEY = SigningKey(
    key_id="ed25519:1", seed=unpadded_base64.decode("YJDBA9Xnr2sVqXD9Vj7XVUnmFZcZrlw8Md7kMW+3XA1")
)
MINIMAL: dict[str, Any] = {
    "room_id": "!x:domain",
    "sender": "@a:domain",
    "origin": "domain",
    "origin_server_ts": 1000000,
    "signatures": {},
    "hashes": {},
    "type": "X",
    "content": {},
    "prev_events": [],
    "auth_events": [],
    "depth": 3,
    "unsigned": {"age_ts": 1000000},
}
REDACTABLE: dict[str, Any] = {
    "content": {"body": "Here is the message content"},
    "event_id": "$0:domain",
    "origin": "domain",
    "origin_server_ts": 1000000,
    "type": "m.room.message",
    "room_id": "!r:domain",
    "sender": "@u:domain",
    "signatures": {},
    "unsigned": {"age_ts": 1000000},
}


@pytest.mark.parametrize(
    ("pdu", "sha256", "signature"),
    [
        (
            MINIMAL,
            "5jM4wQpv6lnBo7CLIghJuHdW+s2CMBJPUOGOC89ncos",
            "KxwGjPSDEtvnFgU00fwFz+l6d2pJM6XBIaMEn81SXPTRl16AqLAYqfIReFGZlHi5KLjAWbOoMszkwsQma+lYAg",
        ),
        (
            REDACTABLE,
            "onLKD1bGljeBWQhWZ1kaP9SorVmRQNdN5aM2JYU2n/g",
            "Wm+VzmOUOz08Ds+0NTWb1d4CZrVsJSikkeRxh6aCcUwu6pNC78FunoD7KNWzqFn241eYHYMGCA5McEiVPdhzBA",
        ),
    ],
)
def test_specification_vectors(pdu: dict[str, Any], sha256: str, signature: str) -> None:
    before = dict(pdu)
    signed = event_hashes.sign_event(V1, pdu, "domain", KEY)
    hashes = {"sha256": sha256}
    assert signed == {**pdu, "hashes": hashes, "signatures": {"domain": {"ed25519:1": signature}}}
    assert pdu == before
    assert event_hashes.verify_content_hash(signed)
    event_hashes.verify_event_signature(V1, signed, "domain", "ed25519:1", KEY.verify_key_base64)


@given(
    CANONICAL_OBJECTS,
    st.sampled_from(["m.room.member", "m.room.create", "X"]),
    st.sampled_from([*ROOM_VERSIONS]),
)
def test_hashes_as_the_specification_says(content: dict[str, Any], event_type: str, version: str) -> None:
    rules = ROOM_VERSIONS[version]
    signed = event_hashes.sign_event(
        rules, {**MINIMAL, "type": event_type, "content": content}, "domain", KEY
    )
    hashed = {key: signed[key] for key in signed if key not in ("hashes", "signatures", "unsigned")}
    assert event_hashes.content_hash(signed) == hashlib.sha256(encode_canonical_json(hashed)).digest()
    redacted = redact(rules, signed)
    del redacted["signatures"]
    digest = hashlib.sha256(encode_canonical_json(redacted)).digest()
    assert event_hashes.reference_hash(rules, signed) == digest
    if version not in ("1", "2"):
        assert event_hashes.event_id_of(rules, signed) == "$" + encode_base64(digest, urlsafe=version != "3")
    event_hashes.verify_event_signature(
        rules, redact(rules, signed), "domain", "ed25519:1", KEY.verify_key_base64
    )


def test_chosen_event_ids() -> None:
    assert event_hashes.event_id_of(V1, REDACTABLE) == "$0:domain"
    with pytest.raises(BadJson):
        event_hashes.event_id_of(V1, {**REDACTABLE, "event_id": 0})
    assert event_hashes.event_id_of(V3, REDACTABLE) != "$0:domain"


@pytest.mark.parametrize(
    "hashes", [None, [], {}, {"sha256": 1}, {"sha256": "*"}, {"sha256": "AAAA"}, {"sha512": "AAAA"}]
)
def test_content_hashes_that_do_not_match(hashes: Any) -> None:
    assert not event_hashes.verify_content_hash({**MINIMAL, "hashes": hashes})


def test_changed_content_does_not_match() -> None:
    signed = event_hashes.sign_event(V6, MINIMAL, "domain", KEY)
    assert event_hashes.verify_content_hash({**signed, "unsigned": {"age": 3}})
    assert not event_hashes.verify_content_hash({**signed, "content": {"a": 1}})
    assert not event_hashes.verify_content_hash({**signed, "content": {"a": float("nan")}})


def test_a_second_signature_keeps_the_hash() -> None:
    signed = event_hashes.sign_event(V6, REDACTABLE, "domain", KEY)
    redacted = redact(V6, signed)
    twice = event_hashes.add_signature(V6, redacted, "other", KEY)
    assert twice["hashes"] == signed["hashes"]
    for server in ("domain", "other"):
        event_hashes.verify_event_signature(V6, twice, server, "ed25519:1", KEY.verify_key_base64)
    assert event_hashes.event_id_of(V6, twice) == event_hashes.event_id_of(V6, signed)


def test_event_signatures_that_do_not_count() -> None:
    signed = event_hashes.sign_event(V6, REDACTABLE, "domain", KEY)
    for pdu, server, key_id in (
        (signed, "other", "ed25519:1"),
        (signed, "domain", "ed25519:2"),
        ({**signed, "depth": 4}, "domain", "ed25519:1"),
    ):
        with pytest.raises(SignatureError):
            event_hashes.verify_event_signature(V6, pdu, server, key_id, KEY.verify_key_base64)


def member(**content: Any) -> dict[str, Any]:
    return {"type": "m.room.member", "sender": "@a:one", "event_id": "$x:two", "content": content}


VOUCHED = member(membership="join", join_authorised_via_users_server="@b:three:80")
INVITED = member(membership="invite", third_party_invite={"signed": {}})


@pytest.mark.parametrize(
    ("rules", "pdu", "servers"),
    [
        (V1, member(membership="join"), {"one", "two"}),
        (V3, member(membership="join"), {"one"}),
        (V7, VOUCHED, {"one"}),
        (V8, VOUCHED, {"one", "three:80"}),
        (V12, VOUCHED, {"one", "three:80"}),
        (V8, member(join_authorised_via_users_server=1), {"one"}),
        (V8, member(join_authorised_via_users_server="b"), {"one"}),
        (V8, {**VOUCHED, "type": "x"}, {"one"}),
        (V1, INVITED, {"two"}),
        (V11, INVITED, set()),
        (V11, {**INVITED, "type": "x"}, {"one"}),
        (V11, member(membership="leave", third_party_invite={}), {"one"}),
    ],
)
def test_required_signatures(rules: RoomVersion, pdu: dict[str, Any], servers: set[str]) -> None:
    assert event_hashes.required_signatures(rules, pdu) == servers
