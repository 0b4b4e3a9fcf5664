"""What a web page says about itself: OpenGraph, and what stands in for it (https://ogp.me/).

The page is read as a sequence of tags, not as a tree: hostile nesting costs trees quadratic time.
"""

from __future__ import annotations

import re
from contextlib import suppress
from dataclasses import dataclass
from typing import Any

MAX_PROPERTIES = 32
MAX_NAME = 64
MAX_VALUE = 1000
"""Characters of one property."""
MAX_URL = 2048
_SNIFFED = 2048
_PIECE = 16 * 1024
_MAX_TAGS = 50_000
_TEXTS = {"title": 1, "h1": 1, "p": 40}
"""Elements whose text can stand in for a property, and how many characters of it make it worth it."""
_STAND_INS = frozenset({"twitter:title", "twitter:description", "twitter:image", "description"})
_CHARSET = re.compile(rb"<meta[^>]{0,200}?charset\s{0,9}=\s{0,9}[\"']?\s{0,9}([A-Za-z0-9_.:-]{1,40})", re.I)
_HEADER_CHARSET = re.compile(r"charset\s*=\s*[\"']?([A-Za-z0-9_.:-]{1,40})", re.I)
_NAME = re.compile(r"og:[a-z0-9_:.-]+", re.I)
CHARSETS = {
    **{
        name: name
        for name in ("utf-8", "utf-16", "utf-16le", "utf-16be", "big5", "euc-jp", "euc-kr", "gb18030")
    },
    **{name: name for name in ("iso-2022-jp", "koi8-r", "koi8-u", "macintosh", "ibm866")},
    **{f"iso-8859-{part}": f"iso-8859-{part}" for part in range(2, 17) if part not in (9, 12)},
    **{f"windows-{page}": f"cp{page}" for page in (874, *range(1250, 1259))},
    **dict.fromkeys(("iso-8859-1", "latin1", "ascii", "us-ascii"), "cp1252"),
    "iso-8859-9": "cp1254",
    "utf8": "utf-8",
    "gb2312": "gb18030",
    "gbk": "gb18030",
    "shift_jis": "cp932",
    "shift-jis": "cp932",
    "x-sjis": "cp932",
    "macintosh": "mac-roman",
}
"""The labels of the WHATWG's Encoding Standard that are met, and Python's codecs for them."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Page:
    """A page's properties by name (``og:title``), and the URL of its image as it is written there."""

    properties: dict[str, str]
    image: str | None


def extract(html: bytes, content_type: str) -> Page:
    """The properties of a page; ``content_type`` is the whole header.

    Takes time in proportion to the page, so it is for a thread.
    """
    from lxml import etree  # Some 4 MB of memory, which a server that shows no previews need not have.

    found = _Found()
    parser = etree.HTMLParser(target=found, recover=True, no_network=True, huge_tree=False)
    text = _decode(html, content_type)
    with suppress(etree.LxmlError):  # What came before the parser gave up is as good as any.
        for start in range(0, len(text), _PIECE):
            parser.feed(text[start : start + _PIECE])
            if found.tags > _MAX_TAGS:
                break
        parser.close()
    return found.page()


class _Found:
    """Takes the parser's events and keeps what a preview may want, within bounds."""

    def __init__(self) -> None:
        self.tags = 0
        self._properties: dict[str, str] = {}
        self._named: dict[str, str] = {}
        self._texts: dict[str, str] = {}
        self._open: str | None = None
        self._pieces: list[str] = []
        self._gathered = 0
        self._image: str | None = None

    def start(self, tag: Any, attributes: Any) -> None:
        self.tags += 1
        if tag == "meta":
            self._meta(attributes)
        elif tag == "link" and (attributes.get("rel") or "").strip().lower() == "image_src":
            self._image = self._image or _clean(attributes.get("href"), MAX_URL) or None
        elif tag in _TEXTS and tag not in self._texts:
            self._finish()
            self._open = tag

    def end(self, tag: Any) -> None:
        if tag == self._open:
            self._finish()

    def data(self, data: Any) -> None:
        if self._open is not None and self._gathered < MAX_VALUE:
            self._pieces.append(data[: 4 * MAX_VALUE])
            self._gathered += len(data)

    def comment(self, text: Any) -> None:
        pass

    def close(self) -> None:
        self._finish()

    def page(self) -> Page:
        og = self._properties
        image = og.get("og:image:secure_url") or og.get("og:image") or og.get("og:image:url")
        kept = {name: value[:MAX_VALUE] for name, value in og.items() if not name.startswith("og:image")}
        title = self._named.get("twitter:title") or self._texts.get("title") or self._texts.get("h1")
        description = self._named.get("twitter:description") or self._named.get("description")
        if title:
            kept.setdefault("og:title", title[:MAX_VALUE])
        if description or "p" in self._texts:
            kept.setdefault("og:description", (description or self._texts["p"][:300])[:MAX_VALUE])
        return Page(properties=kept, image=image or self._named.get("twitter:image") or self._image)

    def _meta(self, attributes: dict[str, str]) -> None:
        value = _clean(attributes.get("content"), MAX_URL)
        for attribute in ("property", "name"):
            name = (attributes.get(attribute) or "").strip().lower()
            if not value or not name or len(name) > MAX_NAME:
                continue
            if name in _STAND_INS:
                self._named.setdefault(name, value)
            elif attribute == "property" and len(self._properties) < MAX_PROPERTIES and _NAME.fullmatch(name):
                self._properties.setdefault(name, value)

    def _finish(self) -> None:
        """The element whose text was gathered has ended."""
        if self._open is not None:
            text = _clean("".join(self._pieces))
            if len(text) >= _TEXTS[self._open]:
                self._texts.setdefault(self._open, text)
        self._open, self._pieces, self._gathered = None, [], 0


def _decode(html: bytes, content_type: str) -> str:
    if html.startswith(b"\xef\xbb\xbf"):
        return html[3:].decode("utf-8", "replace")
    if html.startswith((b"\xff\xfe", b"\xfe\xff")):
        return html.decode("utf-16", "replace")
    header = _HEADER_CHARSET.search(content_type)
    label = header.group(1) if header else None
    if label is None and (match := _CHARSET.search(html[:_SNIFFED])):
        label = match.group(1).decode("ascii")
        label = "utf-8" if label.lower().startswith("utf-16") else label
    return html.decode(CHARSETS.get((label or "").lower(), "utf-8"), "replace")


def _clean(text: str | None, length: int = MAX_VALUE) -> str:
    """One line of text without control characters, of at most ``length`` characters."""
    line = " ".join((text or "")[: 4 * length].split())[:length]
    return "".join(ch for ch in line if ch.isprintable()).encode("utf-8", "ignore").decode()
