"""What servers have signed is checked with their keys."""

from __future__ import annotations

from typing import Any

import pytest

from palpo.core import event_hashes, signing, x_matrix
from palpo.core.errors import BadJson
from palpo.core.room_versions import V4, V11
from palpo.core.server_keys import ServerKey, WantedKey
from palpo.core.signed_objects import KeyUnavailable, SignedObject, signed_event, signed_json, signed_request
from palpo.core.signing import SignatureError, SigningKey
from palpo.core.x_matrix import SignedRequest
from tests.support.key_servers import NOW, make_key, name

SERVER = name("s.example")
ONE, TWO = make_key("1", "a"), make_key("2", "b")
EVENT: dict[str, Any] = {
    "type": "m.room.message",
    "sender": "@a:s.example",
    "room_id": "!r:s.example",
    "origin_server_ts": 5,
    "content": {"body": "x"},
    "depth": 1,
    "prev_events": [],
    "auth_events": [],
}


def found(item: SignedObject, *keys: SigningKey) -> dict[WantedKey, ServerKey]:
    """The keys that are there for an object, under the IDs of ``keys``."""
    by_id = {
        key.key_id: ServerKey(
            server_name=SERVER,
            key_id=key.key_id,
            verify_key=key.verify_key_base64,
            valid_until_ts=NOW,
            retired=False,
        )
        for key in keys
    }
    return {wanted: by_id[wanted.key_id] for wanted in item.wanted() if wanted.key_id in by_id}


def test_json() -> None:
    obj = signing.sign_json(signing.sign_json({"a": 1}, SERVER, ONE), SERVER, TWO)
    item = signed_json(obj, SERVER, now_ms=NOW)
    assert item.wanted() == [
        WantedKey(server_name=SERVER, key_id="ed25519:1", valid_until_ts=NOW),
        WantedKey(server_name=SERVER, key_id="ed25519:2", valid_until_ts=NOW),
    ]
    for keys in ([ONE], [TWO], [ONE, TWO], [make_key("1", "x"), TWO]):
        item.check(found(item, *keys))
    with pytest.raises(KeyUnavailable):
        item.check({})
    with pytest.raises(SignatureError) as error:
        item.check(found(item, make_key("1", "x")))
    assert not isinstance(error.value, KeyUnavailable)


def test_keys_that_were_not_in_use_any_more() -> None:
    obj = signing.sign_json(signing.sign_json({"a": 1}, SERVER, ONE), SERVER, TWO)
    item = signed_json(obj, SERVER, now_ms=NOW)
    with pytest.raises(SignatureError) as error:
        item.check({}, refused=set(item.wanted()))
    assert not isinstance(error.value, KeyUnavailable)
    with pytest.raises(KeyUnavailable):
        item.check({}, refused=set(item.wanted()[:1]))
    item.check(found(item, TWO), refused=set(item.wanted()[:1]))


def test_json_that_was_changed() -> None:
    item = signed_json({**signing.sign_json({"a": 1}, SERVER, ONE), "a": 2}, SERVER, now_ms=NOW)
    with pytest.raises(SignatureError):
        item.check(found(item, ONE))


@pytest.mark.parametrize(
    "signatures",
    [
        {},
        [],
        {SERVER: {}},
        {SERVER: {"ed25519:\0": "x"}},
        {SERVER: {"ed25519:1": 5}},
        {"t.example": {"a": ""}},
    ],
)
def test_json_that_is_not_signed(signatures: Any) -> None:
    with pytest.raises(SignatureError):
        signed_json({"signatures": signatures}, SERVER, now_ms=NOW)


def test_json_without_a_canonical_form() -> None:
    with pytest.raises(BadJson):
        signed_json({**signing.sign_json({}, SERVER, ONE), "a": float("nan")}, SERVER, now_ms=NOW)


def test_so_many_signatures_and_no_more() -> None:
    obj = {"signatures": {SERVER: {f"ed25519:{number}": "x" for number in range(100)}}}
    assert len(signed_json(obj, SERVER, now_ms=NOW).wanted()) == 8


@pytest.mark.parametrize(("rules", "valid_until_ts"), [(V4, 0), (V11, 5)])
def test_events_and_when_their_keys_have_to_be_valid(rules: Any, valid_until_ts: int) -> None:
    pdu = event_hashes.sign_event(rules, EVENT, SERVER, ONE)
    item = signed_event(rules, pdu, SERVER)
    assert item.wanted() == [
        WantedKey(server_name=SERVER, key_id="ed25519:1", valid_until_ts=valid_until_ts, for_events=True)
    ]
    item.check(found(item, ONE))
    item = signed_event(rules, {**pdu, "sender": "@b:s.example"}, SERVER)
    with pytest.raises(SignatureError):
        item.check(found(item, ONE))


def test_requests() -> None:
    request = SignedRequest(method="GET", uri="/x", origin=SERVER, destination="own.example")
    credentials = x_matrix.parse([x_matrix.authorization(request, key) for key in (ONE, TWO)])
    item = signed_request(credentials, request, now_ms=NOW)
    assert [wanted.valid_until_ts for wanted in item.wanted()] == [NOW, NOW]
    assert not any(wanted.for_events for wanted in item.wanted())
    item.check(found(item, TWO))
    odd = x_matrix.parse([f'X-Matrix origin={SERVER},key="ed25519:é",sig=abc'])
    assert signed_request(odd, request, now_ms=NOW).wanted() == []
