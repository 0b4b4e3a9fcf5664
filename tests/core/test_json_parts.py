"""JSON of which a part cannot be read."""

from __future__ import annotations

import json
from typing import Any

import orjson
import pytest
from hypothesis import given
from hypothesis import strategies as st

from palpo.core.canonical_json import encode_lax
from palpo.core.errors import NotJson
from palpo.core.json_parts import MAX_UNREADABLE, decode_parts, signed_forms
from tests.core.test_json_pieces import OBJECTS

UNREADABLE = {
    "lone surrogate": b'{"body":"\\ud800"}',
    "lone surrogate as a name": b'{"\\udfff":1}',
    "no UTF-8": b'{"body":"\xff"}',
    "too deep": b"[" * 20_000 + b"]" * 20_000,
    "rather deep": b"[" * 800 + b"]" * 800,
    "too deep in objects": b'{"a":' * 20_000 + b"1" + b"}" * 20_000,
    "infinity": b"[1e999]",
    "digits without end": b"1" * 5000,
    "no literal": b"[tru]",
    "no escape": b'["\\x"]',
    "control character": b'["\0"]',
}


@pytest.fixture(params=UNREADABLE.values(), ids=UNREADABLE.keys())
def bad(request: pytest.FixtureRequest) -> bytes:
    part: bytes = request.param
    return part


def test_a_part_that_cannot_be_read_is_left_out(bad: bytes) -> None:
    assert decode_parts(b'{"pdus": [{"a": 1}, %b, 2], "x": 3}' % bad) == {"pdus": [{"a": 1}, 2], "x": 3}
    assert decode_parts(b"[200, %b, {}]" % bad, levels=1) == [200, {}]
    nested = b'{"a": {"b": {"c": %b, "d": 1}, "e": [%b]}}' % (bad, bad)
    assert decode_parts(nested, levels=3) == {"a": {"b": {"d": 1}, "e": []}}
    assert decode_parts(nested) == {"a": {}}


def test_names_that_cannot_be_read_are_left_out() -> None:
    assert decode_parts(b'{"\\ud800": 1, "a": 2}') == {"a": 2}


@pytest.mark.parametrize(
    "text",
    [b"", b"{", b'{"a": [1e999}', b'{"a": 1e999} 2', b"1e999", b'{"a": NaN}', b"[[[]", b'{"a":', b"[[1e999]"],
)
def test_what_has_no_parts(text: bytes) -> None:
    with pytest.raises(NotJson):
        decode_parts(text)


@given(OBJECTS)
def test_what_can_be_read_is_read(value: dict[str, Any]) -> None:
    value = {**value, "kept": 1}
    data = orjson.dumps({**value, "unreadable": 1}).replace(b'"unreadable":1', b'"unreadable":1e999')
    value.pop("unreadable", None)
    assert decode_parts(data) == value


@given(OBJECTS, st.booleans(), st.sampled_from([None, 1]))
def test_signed_forms_are_canonical_json(value: dict[str, Any], ascii_: bool, indent: int | None) -> None:
    """What is beyond reason stays as it is, and all around it is as it would be otherwise."""
    whole = {**value, "z": [{"y": {**value, "~": 123}, "b": [], "a": {}}]}
    data = json.dumps(whole, ensure_ascii=ascii_, indent=indent).replace(" 123", " 1e999")
    (form,) = signed_forms(data.encode())
    assert form.replace(b"1e999", b"123") == encode_lax(whole)


def test_lone_surrogates_have_two_forms() -> None:
    data = b'{"b": {"\\ud83d\\ude00\\ud83d": "\\u0041\\uDC00"}, "a": [{"c": "\\udc00"}]}'
    replaced, escaped = signed_forms(data)
    assert replaced.decode() == '{"a":[{"c":"\ufffd"}],"b":{"\U0001f600\ufffd":"A\ufffd"}}'
    assert escaped.decode() == '{"a":[{"c":"\\udc00"}],"b":{"\U0001f600\\ud83d":"A\\udc00"}}'


def test_deep_ones_are_signed_as_they_are() -> None:
    deep = b'{"a":[' * 20_000 + b"]}" * 20_000
    assert signed_forms(b'{"pdus": [%b]}' % deep) == [b'{"pdus":[%b]}' % deep]


@pytest.mark.parametrize(
    "text", [b"", b"[1e999}", b'{"a": {"b": {1e999}}}', b"[[[1e999]", b'{"a": "\\x"}', b"1e999 1"]
)
def test_what_can_have_been_signed_by_nobody(text: bytes) -> None:
    with pytest.raises(NotJson):
        signed_forms(text)


def test_how_much_may_be_unreadable_is_bounded() -> None:
    item = b'["%b\\ud800"]' % (b"x" * 65_000)
    assert signed_forms(b"[%b]" % b",".join([item] * (MAX_UNREADABLE // len(item))))
    with pytest.raises(NotJson):
        signed_forms(b"[%b]" % b",".join([item] * (MAX_UNREADABLE // len(item) + 1)))
