from __future__ import annotations

from collections.abc import Callable
from typing import Any

import pytest

from palpo.core.device_keys import (
    MAX_KEY_BYTES,
    check_device_keys,
    check_uploaded_keys,
    cross_signing_key_id,
    encode_key,
    storable,
    without_signatures,
)
from palpo.core.errors import BadJson, InvalidParam, MatrixError, TooLarge

ALICE, PHONE = "@alice:a.org", "PHONE"


def device_keys(**other: Any) -> dict[str, Any]:
    return {
        "user_id": ALICE,
        "device_id": PHONE,
        "algorithms": ["m.megolm.v1.aes-sha2"],
        "keys": {"ed25519:PHONE": "key"},
        "signatures": {ALICE: {"ed25519:PHONE": "signature"}},
        **other,
    }


def cross_signing_key(**other: Any) -> dict[str, Any]:
    return {"user_id": ALICE, "usage": ["master"], "keys": {"ed25519:key": "key"}, **other}


def raises(error: type[MatrixError], call: Callable[..., object], *arguments: object) -> None:
    with pytest.raises(error) as raised:
        call(*arguments)
    assert type(raised.value) is error


def test_device_keys_are_kept_in_canonical_form_without_unsigned() -> None:
    kept = check_device_keys(device_keys(unsigned={"device_display_name": "x"}), ALICE, PHONE)
    assert kept == encode_key(device_keys())
    assert kept.startswith(b'{"algorithms":["m.megolm.v1.aes-sha2"],"device_id":"PHONE",')


@pytest.mark.parametrize(
    ("other", "error"),
    [
        ({"user_id": "@bob:a.org"}, InvalidParam),
        ({"device_id": "OTHER"}, InvalidParam),
        ({"algorithms": "m.megolm.v1.aes-sha2"}, BadJson),
        ({"algorithms": [1]}, BadJson),
        ({"keys": None}, BadJson),
        ({"keys": {"ed25519:PHONE": 1}}, BadJson),
        ({"signatures": []}, BadJson),
        ({"signatures": {ALICE: "signature"}}, BadJson),
        ({"signatures": {ALICE: {"ed25519:PHONE": 1}}}, BadJson),
        ({"more": 0.5}, BadJson),
        ({"more": "x" * MAX_KEY_BYTES}, TooLarge),
    ],
)
def test_device_keys_of_another_shape(other: dict[str, Any], error: type[MatrixError]) -> None:
    raises(error, check_device_keys, device_keys(**other), ALICE, PHONE)


def test_uploaded_keys_are_strings_or_signed_objects() -> None:
    signed = {"key": "b", "signatures": {ALICE: {"ed25519:PHONE": "c"}}}
    found = check_uploaded_keys({"curve25519:AA": "a", "signed_curve25519:BB": signed})

    assert [(key.name, key.algorithm) for key in found] == [
        ("curve25519:AA", "curve25519"),
        ("signed_curve25519:BB", "signed_curve25519"),
    ]
    assert found[0].json == b'"a"'
    assert found[1].json == encode_key(signed)


@pytest.mark.parametrize("name", ["AA", ":AA", "curve25519:", "curve25519:" + "A" * 250, "curve25519:\0"])
def test_names_of_uploaded_keys(name: str) -> None:
    raises(InvalidParam, check_uploaded_keys, {name: "a"})


@pytest.mark.parametrize("key", [7, None, [], {}, {"key": 7}, {"key": "a", "signatures": {ALICE: 7}}])
def test_uploaded_keys_of_another_shape(key: object) -> None:
    raises(BadJson, check_uploaded_keys, {"curve25519:AA": key})


def test_a_cross_signing_key_is_known_by_its_public_key() -> None:
    assert cross_signing_key_id(cross_signing_key(), ALICE, "master") == "ed25519:key"


@pytest.mark.parametrize(
    ("other", "error"),
    [
        ({"user_id": "@bob:a.org"}, InvalidParam),
        ({"usage": ["self_signing"]}, InvalidParam),
        ({"usage": "master"}, InvalidParam),
        ({"signatures": 7}, BadJson),
        ({"keys": None}, BadJson),
        ({"keys": {}}, BadJson),
        ({"keys": {"ed25519:key": 7}}, BadJson),
        ({"keys": {"ed25519:key": "key", "ed25519:other": "other"}}, BadJson),
        ({"keys": {"ed25519:other": "key"}}, InvalidParam),
        ({"keys": {"ed25519:" + "k" * 250: "k" * 250}}, InvalidParam),
    ],
)
def test_cross_signing_keys_of_another_shape(other: dict[str, Any], error: type[MatrixError]) -> None:
    raises(error, cross_signing_key_id, cross_signing_key(**other), ALICE, "master")


def test_two_keys_are_the_same_whatever_their_signatures() -> None:
    one, other = cross_signing_key(signatures={ALICE: {}}), cross_signing_key(unsigned={"a": 1})
    assert without_signatures(one) == without_signatures(other) == encode_key(cross_signing_key())
    assert without_signatures(cross_signing_key(usage=[])) != without_signatures(one)


def test_what_an_identifier_can_be() -> None:
    assert storable("é" * 127)
    assert not any(map(storable, ("", "\0", "é" * 128, "x" * 256)))
