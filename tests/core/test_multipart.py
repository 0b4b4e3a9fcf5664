"""Bodies of several parts, however they are cut."""

from __future__ import annotations

from itertools import pairwise

import pytest
from hypothesis import given
from hypothesis import strategies as st

from palpo.core.multipart import MalformedMultipart, Multipart, Part, boundary_of

BODY = (
    b"--edge\r\nContent-Type: application/json\r\n\r\n{}\r\n--edge\r\nContent-Type: text/plain\r\n"
    b'Content-Disposition: inline; filename="a"\r\n\r\nplain\r\n--edg not it\r\n--edge--\r\nafter'
)


def parts(body: bytes, cuts: list[int]) -> list[tuple[dict[str, str], bytes]]:
    parser = Multipart("edge")
    found: list[tuple[dict[str, str], bytes]] = []
    edges = sorted({0, len(body), *(cut % len(body) for cut in cuts)})
    for start, stop in pairwise(edges):
        for piece in parser.feed(body[start:stop]):
            if isinstance(piece, Part):
                found.append((dict(piece.headers), b""))
            else:
                found[-1] = found[-1][0], found[-1][1] + piece
    assert parser.done
    return found


@given(st.lists(st.integers(0, 1000)))
def test_any_cuts(cuts: list[int]) -> None:
    assert parts(BODY, cuts) == [
        ({"content-type": "application/json"}, b"{}"),
        (
            {"content-type": "text/plain", "content-disposition": 'inline; filename="a"'},
            b"plain\r\n--edg not it",
        ),
    ]


def test_empty_parts_and_none_of_headers() -> None:
    assert parts(b"preamble\r\n--edge \r\n\r\n\r\n--edge\r\nA: b\r\n\r\n\r\n--edge--", []) == [
        ({}, b""),
        ({"a": "b"}, b""),
    ]


@pytest.mark.parametrize(
    "body",
    [
        b"x" * 9000,
        b"--edge\r\n" + b"A: b\r\n" * 2000,
        b"--edge" + b" " * 9000,
        b"--edgewise\r\n\r\n",
        b"--edge\r\n\r\n\r\n" * 9,
    ],
)
def test_bounds(body: bytes) -> None:
    with pytest.raises(MalformedMultipart):
        list(Multipart("edge").feed(body))


def test_boundaries() -> None:
    assert boundary_of('multipart/mixed; boundary="a b"') == "a b"
    for text in ("multipart/mixed", "text/plain; boundary=a", "", 'multipart/mixed; boundary="a\u00e9"'):
        with pytest.raises(MalformedMultipart):
            boundary_of(text)
