"""A large JSON object, cut into pieces as it comes: its members, and of members that are arrays the items.

    pieces = JsonPieces()
    for chunk in chunks:
        for name, value in pieces.feed(chunk):   # the value is JSON, not decoded
            ...
    pieces.finish()

Only the outline is read; what a piece holds is for whoever decodes it, so what is wrong with one costs only
that one. An object that is the last item of an array, ``[200, {…}]``, is read likewise.
"""

from __future__ import annotations

import re
from collections.abc import Iterator
from enum import Enum, auto

import orjson

from palpo.core.errors import NotJson

MAX_PIECE = 256 * 1024
"""Bytes of one piece: an event has 64 kB at most, however it is written."""
_TEXT = rb'"[^"\\]*+(?:\\.[^"\\]*+)*+"'
_STRING = re.compile(_TEXT, re.DOTALL)
_FLAT = rb'(?:[^"{}\[\]]++|' + _TEXT + rb")*+"
"""What has no brackets, but in strings."""


def _nested(levels: int) -> bytes:
    """What has brackets within brackets, so many levels of them at most."""
    inner = _FLAT if levels == 1 else _nested(levels - 1)
    return rb'(?:[^"{}\[\]]++|' + _TEXT + rb"|[{\[]" + inner + rb"[}\]])*+"


_GROUP = rb"[{\[]" + _nested(3) + rb"[}\]]"
_SHALLOW = re.compile(_GROUP, re.DOTALL)
"""A whole value, as nearly all events are."""
_WITHIN = re.compile(rb'(?:[^"{}\[\]]++|' + _TEXT + rb"|" + _GROUP + rb")*+", re.DOTALL)
_OPENING, _CLOSING = re.compile(rb"[{\[]++"), re.compile(rb"[}\]]++")
_SPACE = re.compile(rb"[ \t\r\n]*")
_LITERAL_END = re.compile(rb"[ \t\r\n,\]}]")
_QUOTE = ord('"')
_OPEN, _CLOSE = b"{[", b"}]"


class _Place(Enum):
    """Where in the JSON what comes next stands."""

    BEFORE = auto()
    NAMES = auto()
    """A name is due, or the end."""
    VALUE = auto()
    """The value of the member is due."""
    ITEMS = auto()
    """An item of it is due, or its end."""
    AFTER = auto()


class JsonPieces:
    """Cuts one object up."""

    def __init__(self) -> None:
        self._place = _Place.BEFORE
        self._wrapped = False
        self._rest = b""
        """What was fed and is not cut up yet."""
        self._name = ""

    def feed(self, chunk: bytes) -> Iterator[tuple[str, bytes]]:
        """The pieces that ``chunk`` completes: the name of the member, and its value or an item of it.

        Raises NotJson.
        """
        data, at = self._rest + chunk, 0
        while (at := _end_of(_SPACE, data, at)) < len(data):
            piece, end = self._next(data, at)
            if end is None:
                break
            at = end
            if piece is not None:
                yield self._name, piece
        self._rest = data[at:]
        if len(self._rest) > MAX_PIECE:
            raise NotJson("A piece of the JSON is too large")

    def finish(self) -> None:
        """Raises NotJson where the object has not ended."""
        if self._place is not _Place.AFTER:
            raise NotJson("The JSON ends too early")

    def _next(self, data: bytes, at: int) -> tuple[bytes | None, int | None]:
        """What stands at ``at``: a piece, if it is one, and its end, None where that has not come yet."""
        match self._place:
            case _Place.BEFORE:
                return None, self._begin(data, at)
            case _Place.NAMES:
                return None, self._member(data, at)
            case _Place.VALUE:
                return self._value(data, at)
            case _Place.ITEMS:
                return self._item(data, at)
            case _Place.AFTER:
                if not self._wrapped or data[at : at + 1] != b"]":
                    raise NotJson("Something follows the JSON")
                self._wrapped = False
                return None, at + 1

    def _begin(self, data: bytes, at: int) -> int | None:
        if data[at : at + 1] == b"{":
            self._place = _Place.NAMES
            return at + 1
        if not self._wrapped:
            if data[at : at + 1] != b"[":
                raise NotJson("The JSON is no object")
            self._wrapped = True
            return at + 1
        if data[at : at + 1] in b",":
            return at + 1
        return _end(data, at)

    def _member(self, data: bytes, at: int) -> int | None:
        if data[at : at + 1] == b"}":
            self._place = _Place.AFTER
            return at + 1
        if data[at : at + 1] == b",":
            return at + 1
        end = _end(data, at)
        if data[at] != _QUOTE:
            raise NotJson("A name is due")
        if end is None:
            return None
        colon = _end_of(_SPACE, data, end)
        if colon == len(data):
            return None
        if data[colon : colon + 1] != b":":
            raise NotJson("A colon is due")
        self._name = _name(data[at:end])
        self._place = _Place.VALUE
        return colon + 1

    def _value(self, data: bytes, at: int) -> tuple[bytes | None, int | None]:
        if data[at : at + 1] == b"[":
            self._place = _Place.ITEMS
            return None, at + 1
        end = _end(data, at)
        if end is None:
            return None, None
        self._place = _Place.NAMES
        return data[at:end], end

    def _item(self, data: bytes, at: int) -> tuple[bytes | None, int | None]:
        if data[at : at + 1] == b"]":
            self._place = _Place.NAMES
            return None, at + 1
        if data[at : at + 1] == b",":
            return None, at + 1
        end = _end(data, at)
        return (None, None) if end is None else (data[at:end], end)


def _end_of(pattern: re.Pattern[bytes], data: bytes, at: int) -> int:
    """Where what matches the pattern at ``at`` ends."""
    found = pattern.match(data, at)
    return at if found is None else found.end()


def _end(data: bytes, at: int) -> int | None:
    """Where the value ends that begins at ``at``; None where that has not come yet."""
    first = data[at]
    if first in _OPEN:
        return _closed(data, at)
    if first == _QUOTE:
        found = _STRING.match(data, at)
        return None if found is None else found.end()
    found = _LITERAL_END.search(data, at)
    if found is not None and found.start() == at:
        raise NotJson("A value is due")
    return None if found is None else found.start()


def _closed(data: bytes, at: int) -> int | None:
    """Where the bracket at ``at`` is closed."""
    if (found := _SHALLOW.match(data, at)) is not None:
        return found.end()
    depth = 0
    while at < len(data) and data[at] != _QUOTE:
        if data[at] in _OPEN:
            end = _end_of(_OPENING, data, at)
            depth += end - at
        else:
            end = _end_of(_CLOSING, data, at)
            if depth <= end - at:
                return at + depth
            depth -= end - at
        at = _end_of(_WITHIN, data, end)
    return None  # A quote begins a string that is cut off.


def _name(text: bytes) -> str:
    try:
        return str(orjson.loads(text))
    except orjson.JSONDecodeError as error:
        raise NotJson("A name is no string") from error
