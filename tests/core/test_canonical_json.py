from __future__ import annotations

import json
from datetime import UTC, datetime
from typing import Any

import pytest
from canonicaljson import encode_canonical_json
from hypothesis import given

from palpo.core import canonical_json
from palpo.core.errors import BadJson, NotJson
from tests.core.json_values import CANONICAL, LAX

AUTH = {
    "auth": {
        "success": True,
        "mxid": "@john.doe:example.com",
        "profile": {
            "display_name": "John Doe",
            "three_pids": [
                {"medium": "email", "address": "john.doe@example.org"},
                {"medium": "msisdn", "address": "123456789"},
            ],
        },
    }
}
ENCODED_AUTH = (
    '{"auth":{"mxid":"@john.doe:example.com","profile":{"display_name":"John Doe","three_pids":'
    '[{"address":"john.doe@example.org","medium":"email"},{"address":"123456789","medium":"msisdn"}]},'
    '"success":true}}'
)


def nested(depth: int, innermost: Any = 1) -> Any:
    value = innermost
    for level in range(depth):
        value = [value] if level % 2 else {"a": value}
    return value


@pytest.mark.parametrize(
    ("source", "encoded"),
    [
        ("{}", "{}"),
        ('{ "one": 1, "two": "Two" }', '{"one":1,"two":"Two"}'),
        ('{ "b": "2", "a": "1" }', '{"a":"1","b":"2"}'),
        (json.dumps(AUTH), ENCODED_AUTH),
        ('{"a": "日本語"}', '{"a":"日本語"}'),
        ('{"本": 2, "日": 1}', '{"日":1,"本":2}'),
        ('{"a": "\\u65E5"}', '{"a":"日"}'),
        ('{"a": null}', '{"a":null}'),
        ('{"a": -0}', '{"a":0}'),
        ('{"\\ud83d\\ude00": 1, "\\uffff": 2}', '{"\uffff":2,"\U0001f600":1}'),
        ('"\\u0000\\u001F\\b\\t\\n\\f\\r\\"\\\\\\/\\u007f"', '"\\u0000\\u001f\\b\\t\\n\\f\\r\\"\\\\/\x7f"'),
    ],
)
def test_specification_examples(source: str, encoded: str) -> None:
    value = canonical_json.decode(source)
    assert canonical_json.encode(value) == encoded.encode()
    assert canonical_json.encode_lax(value) == encoded.encode()


@given(CANONICAL)
def test_encode_agrees_with_canonicaljson(value: Any) -> None:
    encoded = canonical_json.encode(value)
    assert encoded == encode_canonical_json(value)
    assert canonical_json.decode(encoded) == value


@given(LAX)
def test_encode_lax_agrees_with_canonicaljson(value: Any) -> None:
    assert canonical_json.encode_lax(value) == encode_canonical_json(value)


@given(LAX)
def test_encode_read_agrees_with_it(value: Any) -> None:
    assert canonical_json.encode_read(value) == canonical_json.encode_lax(value)


def test_encode_read_is_as_deep_as_decode() -> None:
    deep = b'{"b":' * 900 + b"1" + b',"a":2}' * 900
    value = canonical_json.decode(deep)
    assert canonical_json.encode_read(value) == b'{"a":2,"b":' * 900 + b"1" + b"}" * 900
    for _ in range(100_000):
        value = [value]
    with pytest.raises(BadJson):
        canonical_json.encode_read(value)


@given(LAX)
def test_decode_reads_numbers_exactly(value: Any) -> None:
    data = json.dumps(value, ensure_ascii=False)
    assert repr(canonical_json.decode(data)) == repr(value)


@pytest.mark.parametrize("integer", [2**53 - 1, -(2**53) + 1])
def test_largest_integers(integer: int) -> None:
    assert canonical_json.encode([integer]) == b"[%d]" % integer


@pytest.mark.parametrize(
    "value",
    [
        1.0,
        [{"a": [0.5]}],
        float("nan"),
        2**53,
        -(2**53),
        2**64,
        {1: 2},
        {None: 2},
        "\ud800",
        {"\udfff": 1},
        (1, 2),
        b"bytes",
        datetime(2025, 1, 1, tzinfo=UTC),
    ],
)
def test_encode_refuses(value: Any) -> None:
    with pytest.raises(BadJson):
        canonical_json.encode(value)


@pytest.mark.parametrize(
    "value",
    [
        float("nan"),
        [float("inf")],
        {1: 2},
        [{"b": 1.5, 1: 2}],
        [2**70, "\ud800"],
        "\ud800",
        (1,),
        [0.5, (1,)],
    ],
)
def test_encode_lax_refuses(value: Any) -> None:
    with pytest.raises(BadJson):
        canonical_json.encode_lax(value)


def test_encode_lax_keeps_floats_and_long_integers() -> None:
    value = {"b": [1.0, 1e16], "a": [2**63, 2**64, -(2**64)]}
    expected = b'{"a":[9223372036854775808,18446744073709551616,-18446744073709551616],"b":[1.0,1e+16]}'
    assert canonical_json.encode_lax(value) == expected


@pytest.mark.parametrize("encode", [canonical_json.encode, canonical_json.encode_lax])
def test_nesting_has_a_limit(encode: Any) -> None:
    assert len(encode(nested(canonical_json.MAX_DEPTH))) > canonical_json.MAX_DEPTH
    assert encode(nested(canonical_json.MAX_DEPTH - 1, [])).count(b"[]") == 1
    with pytest.raises(BadJson):
        encode(nested(canonical_json.MAX_DEPTH + 1))


def test_an_object_made_here_is_encoded_as_any_other() -> None:
    deepest, deeper = (nested(canonical_json.MAX_DEPTH - 1 + more) for more in (0, 1))
    for content in ({"b": [1, "é"], "a": None}, deepest):
        made = {"type": "m", "prev_events": ["$a"], "content": content, "depth": 2**53 - 1}
        assert canonical_json.encode_around(made, "content") == canonical_json.encode(made)
    for content in (1.5, deeper, {"a": datetime.now(UTC)}, {"a": 2**53}, {1: 2}, "\ud800", (1, 2)):
        for encode in (canonical_json.encode, lambda value: canonical_json.encode_around(value, "content")):
            with pytest.raises(BadJson):
                encode({"type": "m", "content": content})


@pytest.mark.parametrize(
    "data",
    [
        b"",
        b"{",
        b"nul",
        b"NaN",
        b"[Infinity]",
        b"01",
        b"1e400",
        b'"\\ud800"',
        b'"\xff"',
        b'"\x00"',
        '{"a":1}'.encode("utf-16"),
        b"[" * 2000 + b"]" * 2000,
        b"1" * 5000,
    ],
)
def test_decode_refuses(data: bytes) -> None:
    with pytest.raises(NotJson):
        canonical_json.decode(data)


def test_decode_refuses_nesting_that_cannot_be_read_exactly() -> None:
    with pytest.raises(NotJson):
        canonical_json.decode("[" * 1020 + "1" * 20 + "]" * 1020)


def test_the_last_duplicate_counts() -> None:
    assert canonical_json.decode('{"a":1,"a":2}') == {"a": 2}


def test_decode_object() -> None:
    assert canonical_json.decode_object(b'{"a":[1]}') == {"a": [1]}
    with pytest.raises(BadJson):
        canonical_json.decode_object(b"[]")
    with pytest.raises(NotJson):
        canonical_json.decode_object(b"{]")


@given(LAX)
def test_to_json_reads_back(value: Any) -> None:
    assert canonical_json.decode(canonical_json.to_json(value)) == value


def test_to_json_is_compact_and_keeps_order() -> None:
    assert canonical_json.to_json({"b": [1, 2], "a": "é"}) == '{"b":[1,2],"a":"é"}'.encode()
    assert canonical_json.to_json({"b": 2**64, "a": "é"}) == '{"b":18446744073709551616,"a":"é"}'.encode()
