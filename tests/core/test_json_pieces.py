"""Large JSON, piece by piece, whatever the chunks."""

from __future__ import annotations

import json
from itertools import chain
from time import process_time
from typing import Any

import orjson
import pytest
from hypothesis import given
from hypothesis import strategies as st

from palpo.core.errors import NotJson
from palpo.core.json_pieces import MAX_PASSED_OVER, MAX_PIECE, JsonPieces

VALUES = st.recursive(
    st.none() | st.booleans() | st.integers(-(2**53), 2**53) | st.text(max_size=8),
    lambda inner: st.lists(inner, max_size=4) | st.dictionaries(st.text(max_size=4), inner, max_size=4),
    max_leaves=12,
)
OBJECTS = st.dictionaries(st.text(max_size=5), VALUES, max_size=5)


def cut(data: bytes, size: int) -> list[tuple[str, Any]]:
    """The pieces, decoded."""
    pieces = JsonPieces()
    found = []
    for at in range(0, len(data), size):
        found += list(pieces.feed(data[at : at + size]))
    pieces.finish()
    return [(name, orjson.loads(value)) for name, value in found]


def expected(value: dict[str, Any]) -> list[tuple[str, Any]]:
    return [
        (name, item)
        for name, member in value.items()
        for item in (member if isinstance(member, list) else [member])
    ]


@given(OBJECTS, st.integers(1, 60), st.booleans(), st.booleans(), st.sampled_from([None, 1, "\t"]))
def test_pieces(value: dict[str, Any], size: int, wrapped: bool, ascii_: bool, indent: Any) -> None:
    whole: Any = [200, value] if wrapped else value
    data = json.dumps(whole, ensure_ascii=ascii_, indent=indent).encode()
    assert cut(data, size) == expected(value)


@given(st.binary(max_size=40), st.integers(1, 7))
def test_anything(data: bytes, size: int) -> None:
    pieces = JsonPieces()
    try:
        for at in range(0, len(data), size):
            list(pieces.feed(data[at : at + size]))
        pieces.finish()
    except NotJson:
        return
    assert data.strip()[:1] in (b"{", b"[")


@given(OBJECTS, st.data())
def test_what_is_cut_off(value: dict[str, Any], data: st.DataObject) -> None:
    whole = orjson.dumps(value)
    with pytest.raises(NotJson):
        cut(whole[: data.draw(st.integers(0, len(whole) - 1))], 5)


@pytest.mark.parametrize("text", ["[]", "1", "{} {}", '{"a" 1}', "{1: 2}", '{"a": , "b": 1}', "[1, {}] ]"])
def test_what_is_no_object(text: str) -> None:
    with pytest.raises(NotJson):
        cut(text.encode(), 3)


def test_what_is_wrong_with_one_costs_only_that_one() -> None:
    deep = "[" * 100_000 + "]" * 100_000
    text = f'{{"a": [1, {deep}, {{"x": tru}}, {{"y": "\\ud800"}}, 2]}}'
    pieces = JsonPieces()
    found = [value for _, value in pieces.feed(text.encode())]
    pieces.finish()
    assert (found[0], found[-1], len(found)) == (b"1", b"2", 5)


@pytest.mark.parametrize("name", ['"\\x"', '"\\ud800"', '"\xff"'])
def test_names_that_cannot_be_read_are_nobodys(name: str) -> None:
    pieces = JsonPieces()
    found = list(pieces.feed(b'{%b: 1, "a": 2}' % name.encode("latin-1")))
    assert [value for _, value in found] == [b"1", b"2"]
    assert found[0][0].startswith('"')


@pytest.mark.parametrize("where", ["member", "item"])
@pytest.mark.parametrize("size", [10_000, 64 * 1024, 300 * 1024])
@pytest.mark.parametrize(
    "large",
    ['"%s"', '{"a": "%s"}', '{"x": [[["]%s"], {"b\\\\": "}"}], [[]]]}', '{"\\"%s\\\\": [{}]}', "1%s"],
)
def test_a_piece_that_is_too_large_costs_only_itself(large: str, size: int, where: str) -> None:
    value = large.replace("%s", "\\\\" * MAX_PIECE if '"' in large else "0" * MAX_PIECE)
    text = '{"a": %s, "b": 2}' if where == "member" else '{"a": [%s, 1], "b": 2}'
    data, pieces = (text % value).encode(), JsonPieces()
    found = []
    for at in range(0, len(data), size):
        found += [item for item in pieces.feed(data[at : at + size]) if len(item[1]) < MAX_PIECE]
    pieces.finish()
    assert found == [("b", b"2")] if where == "member" else [("a", b"1"), ("b", b"2")]


@pytest.mark.parametrize("begun", ['{"a": ["', '{"a": [[', '{"a": [1', '{"'])
def test_a_piece_that_never_ends(begun: str) -> None:
    pieces = JsonPieces()
    list(pieces.feed(begun.encode()))
    more = (b"1" * MAX_PIECE for _ in range(MAX_PASSED_OVER // MAX_PIECE + 3))
    with pytest.raises(NotJson):
        list(chain.from_iterable(map(pieces.feed, more)))


@pytest.mark.parametrize("text", ["[" * 5, "[[[[[]]]]]", "[],", '"a",', '{"a":[[[{}]]]},', "[[[["])
def test_pieces_cost_no_more_than_they_are_long(text: str) -> None:
    """None of these takes 100 times as long as one without brackets."""
    costs = []
    for item in ("x" * len(text), text):
        body = item * (MAX_PIECE // 2 // len(item))
        pieces = JsonPieces()
        list(pieces.feed(b'{"a": [['))
        began = process_time()
        list(pieces.feed(body.encode()))
        costs.append(process_time() - began)
    assert costs[1] < 0.1 + costs[0]
