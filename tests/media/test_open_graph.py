"""What a page says about itself."""

import pytest

from palpo.media.open_graph import MAX_PROPERTIES, MAX_VALUE, extract


def test_open_graph() -> None:
    page = extract(
        b"""<html><head><title>Not this</title><meta property="og:title" content="A &amp; B\n  C">
        <meta property="og:title" content="second"><meta property="og:type" content="video.movie"/>
        <meta property="og:image" content="/a.png"><meta property="og:image:width" content="5">
        <meta name="og:site_name" content="not a property"></head></html>""",
        "text/html",
    )
    assert page.properties == {"og:title": "A & B C", "og:type": "video.movie"}
    assert page.image == "/a.png"


def test_what_stands_in() -> None:
    page = extract(
        b"<title> T  </title><meta name=Description content=D><link rel=image_src href=i.png><p>x",
        "text/html",
    )
    assert page.properties == {"og:title": "T", "og:description": "D"}
    assert page.image == "i.png"


def test_text_stands_in() -> None:
    page = extract(b"<h1>Head <b>ing</b></h1><p>short</p><p>" + b"word " * 100, "text/html")
    assert page.properties["og:title"] == "Head ing"
    assert page.properties["og:description"] == ("word " * 100)[:300]


@pytest.mark.parametrize(
    ("html", "content_type"),
    [
        ("<title>caf\u00e9</title>".encode("cp1252"), "text/html; charset=ISO-8859-1"),
        ("<meta charset=windows-1252><title>caf\u00e9</title>".encode("cp1252"), "text/html"),
        ("<title>caf\u00e9</title>".encode(), "text/html; charset=unicode_escape"),
        ("\ufeff<title>caf\u00e9</title>".encode("utf-16"), "text/html"),
    ],
)
def test_charsets(html: bytes, content_type: str) -> None:
    assert extract(html, content_type).properties == {"og:title": "caf\u00e9"}


@pytest.mark.parametrize(
    "html",
    [
        b"",
        b"\x00\xff",
        b"<div>" * 200_000,
        b"<p>x" * 100_000,
        b"<a b='" * 100_000,
        b"<title>" + b"<i>" * 100_000,
    ],
)
def test_hostile_pages(html: bytes) -> None:
    page = extract(html, "text/html")
    assert len(page.properties) <= 1


def test_bounds() -> None:
    tags = "".join(f'<meta property="og:x{number}" content="{"y" * 5000}">' for number in range(100))
    page = extract(tags.encode(), "text/html")
    assert len(page.properties) == MAX_PROPERTIES
    assert {len(value) for value in page.properties.values()} == {MAX_VALUE}
