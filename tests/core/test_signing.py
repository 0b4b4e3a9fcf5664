from __future__ import annotations

from typing import Any

import pytest
import signedjson.key
import signedjson.sign
from hypothesis import given
from hypothesis import strategies as st

from palpo.core import canonical_json, signing, unpadded_base64
from palpo.core.errors import BadJson, InvalidParam
from palpo.core.signing import SignatureError, SigningKey
from tests.core.json_values import LAX_OBJECTS

SEED = unpadded_base64.decode("YJDBA9Xnr2sVqXD9Vj7XVUnmFZcZrlw8Md7kMW+3XA1")
KEY = SigningKey(key_id="ed25519:1", seed=SEED)
KEY_ID = "ed25519:1"
OTHER = SigningKey(key_id="ed25519:x", seed=b"x" * 32)


@pytest.mark.parametrize(
    ("obj", "signature"),
    [
        ({}, "K8280/U9SSy9IVtjBuVeLr+HpOB4BQFWbg+UZaADMtTdGYI7Geitb76LTrr5QV/7Xg4ahLwYGYZzuHGZKM5ZAQ"),
        (
            {"one": 1, "two": "Two"},
            "KqmLSbO39/Bzb0QIYE82zqLwsA+PDzYIpIRA2sRQ4sL53+sN6/fpNSoqE7BP7vBZhG6kYdD13EIMJpvhJI+6Bw",
        ),
    ],
)
def test_specification_vectors(obj: dict[str, Any], signature: str) -> None:
    signed = signing.sign_json(obj, "domain", KEY)
    assert signed == {**obj, "signatures": {"domain": {KEY_ID: signature}}}
    signing.verify_json(signed, "domain", KEY_ID, KEY.verify_key_base64)


@given(LAX_OBJECTS, st.binary(min_size=32, max_size=32), st.booleans())
def test_agrees_with_signedjson(obj: dict[str, Any], seed: bytes, unsigned: bool) -> None:
    ours = SigningKey(key_id="ed25519:v_1", seed=seed)
    theirs = signedjson.key.decode_signing_key_base64("ed25519", "v_1", unpadded_base64.encode(seed))
    obj = {**obj, "signatures": {"other": {"ed25519:z": "AA"}}} | (
        {"unsigned": {"age": 1}} if unsigned else {}
    )
    expected = signedjson.sign.sign_json({**obj, "signatures": dict(obj["signatures"])}, "hs", theirs)
    signed = signing.sign_json(obj, "hs", ours)
    assert signed == expected
    assert signed is not obj
    assert obj["signatures"] == {"other": {"ed25519:z": "AA"}}
    verify_key = signedjson.key.get_verify_key(theirs)
    assert ours.verify_key_base64 == signedjson.key.encode_verify_key_base64(verify_key)
    signedjson.sign.verify_signed_json(signed, "hs", verify_key)
    signing.verify_json(signed, "hs", "ed25519:v_1", ours.verify_key_base64)


def test_a_second_key_and_a_second_server_are_added() -> None:
    signed = signing.sign_json(signing.sign_json({"a": 1}, "hs", KEY), "hs", OTHER)
    signed = signing.sign_json(signed, "other", KEY)
    assert signing.signature_key_ids(signed, "hs") == [KEY_ID, "ed25519:x"]
    for server, key in (("hs", KEY), ("hs", OTHER), ("other", KEY)):
        signing.verify_json(signed, server, key.key_id, key.verify_key_base64)


def signed_with(signature: Any) -> dict[str, Any]:
    return {"a": 1, "signatures": {"hs": {KEY_ID: signature}}}


GOOD: str = signing.sign_json({"a": 1}, "hs", KEY)["signatures"]["hs"][KEY_ID]


@pytest.mark.parametrize(
    ("obj", "verify_key"),
    [
        ({"a": 1}, KEY.verify_key_base64),
        ({"a": 1, "signatures": []}, KEY.verify_key_base64),
        ({"a": 1, "signatures": {"hs": "x"}}, KEY.verify_key_base64),
        ({"a": 1, "signatures": {"hs": {"rsa:1": GOOD}}}, KEY.verify_key_base64),
        (signed_with(1), KEY.verify_key_base64),
        (signed_with("*"), KEY.verify_key_base64),
        (signed_with("é"), KEY.verify_key_base64),
        (signed_with("AAAA"), KEY.verify_key_base64),
        (signed_with(GOOD), "AAAA"),
        (signed_with(GOOD), OTHER.verify_key_base64),
        ({**signed_with(GOOD), "a": 2}, KEY.verify_key_base64),
        ({**signed_with(GOOD), "a": float("nan")}, KEY.verify_key_base64),
    ],
)
def test_signatures_that_do_not_count(obj: dict[str, Any], verify_key: str) -> None:
    with pytest.raises(SignatureError):
        signing.verify_json(obj, "hs", KEY_ID, verify_key)


def test_a_signature_may_be_padded() -> None:
    signing.verify_json(signed_with(GOOD + "=="), "hs", KEY_ID, KEY.verify_key_base64 + "=")


@pytest.mark.parametrize("signatures", [[], {"hs": []}])
def test_signatures_that_cannot_be_added_to(signatures: Any) -> None:
    with pytest.raises(BadJson):
        signing.sign_json({"signatures": signatures}, "hs", KEY)


def test_strict_encoding_can_be_asked_for() -> None:
    with pytest.raises(BadJson):
        signing.sign_json({"a": 1.5}, "hs", KEY, encode=canonical_json.encode)


@pytest.mark.parametrize(("version", "seed"), [("", SEED), ("a b", SEED), ("1", SEED[1:])])
def test_keys_that_are_none(version: str, seed: bytes) -> None:
    with pytest.raises(InvalidParam):
        SigningKey(key_id=f"ed25519:{version}", seed=seed)


def test_a_key_does_not_show_its_seed() -> None:
    assert repr(KEY) == "SigningKey(key_id='ed25519:1')"
    assert SigningKey(key_id=KEY_ID, seed=SEED) == KEY
