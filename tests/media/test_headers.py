"""The headers that media go out with."""

import pytest

from palpo.media.headers import Unsatisfiable, byte_range, checked_type, disposition


@pytest.mark.parametrize(
    ("content_type", "filename", "expected"),
    [
        ("image/png", None, "inline"),
        ("Text/Plain; charset=utf-8", "", "inline"),
        ("image/svg+xml", None, "attachment"),
        ("text/html", "a.html", 'attachment; filename="a.html"'),
        ("image/png", "name;with;semicolons", 'inline; filename="name;with;semicolons"'),
        ("image/png", 'a"b\\c', 'inline; filename="a\\"b\\\\c"'),
        ("image/png", "\u2615", "inline; filename*=UTF-8''%E2%98%95"),
        ("image/png", "a\r\nSet-Cookie: b", "inline; filename*=UTF-8''a%0D%0ASet-Cookie%3A%20b"),
    ],
)
def test_disposition(content_type: str, filename: str | None, expected: str) -> None:
    assert disposition(content_type, filename) == expected


@pytest.mark.parametrize(
    ("given", "kept"),
    [
        ("img/png", "img/png"),
        ("text/plain; charset=utf-8", "text/plain; charset=utf-8"),
        (None, "application/octet-stream"),
        ("nonsense", "application/octet-stream"),
        ("a/b\r\nc: d", "application/octet-stream"),
        ("a/" + "b" * 300, "application/octet-stream"),
    ],
)
def test_checked_type(given: str | None, kept: str) -> None:
    assert checked_type(given) == kept


@pytest.mark.parametrize(
    ("header", "expected"),
    [
        (None, None),
        ("bytes=0-9", (0, 10)),
        ("bytes=90-", (90, 100)),
        ("bytes=95-200", (95, 100)),
        ("bytes=-10", (90, 100)),
        ("bytes=-200", (0, 100)),
        ("bytes=5-1", None),
        ("bytes=0-1,5-6", None),
        ("bytes=-", None),
        ("lines=1-2", None),
    ],
)
def test_byte_range(header: str | None, expected: tuple[int, int] | None) -> None:
    assert byte_range(header, 100) == expected


@pytest.mark.parametrize("header", ["bytes=100-", "bytes=200-300", "bytes=-0"])
def test_unsatisfiable(header: str) -> None:
    with pytest.raises(Unsatisfiable):
        byte_range(header, 100)
