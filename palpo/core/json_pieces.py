"""A large JSON object, cut into pieces as it comes: its members, and of members that are arrays the items.

    pieces = JsonPieces()
    for chunk in chunks:
        for name, value in pieces.feed(chunk):   # the value is JSON, not decoded
            ...
    pieces.finish()

Only the outline is read; what a piece holds is for whoever decodes it, so what is wrong with one costs only
that one, and one that is too large is passed over. An object that is the last item of an array,
``[200, {…}]``, is read likewise.
"""

from __future__ import annotations

import re
from collections.abc import Iterator
from enum import Enum, auto

import orjson

from palpo.core.errors import NotJson

MAX_PIECE = 256 * 1024
"""Bytes of one piece: an event has 64 kB at most, however it is written."""
MAX_PASSED_OVER = 4 * 1024 * 1024
"""Bytes of all the pieces that are larger."""
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
_BETWEEN, _COLON = re.compile(rb"[ \t\r\n,]*+"), re.compile(rb"[ \t\r\n:]*+")
_REST_OF_STRING = re.compile(rb'[^"\\]*+(?:\\.[^"\\]*+)*+', re.DOTALL)
_PLAIN = re.compile(rb'[^"{}\[\]]*+')
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
        self._too_large: _TooLarge | None = None
        """The piece that is passed over."""
        self._passed_over = 0

    def feed(self, chunk: bytes) -> Iterator[tuple[str, bytes]]:
        """The pieces that ``chunk`` completes: the name of the member, and its value or an item of it.

        Raises NotJson.
        """
        data, at = self._rest + chunk, 0
        if self._too_large is not None:
            at = self._pass_over(self._too_large, data, at)
        while (at := _end_of(_SPACE, data, at)) < len(data):
            piece, end = self._next(data, at)
            if end is None:
                break
            at = end
            if piece is not None:
                yield self._name, piece
        self._rest = data[at:]
        if len(self._rest) > MAX_PIECE:
            if self._place not in (_Place.VALUE, _Place.ITEMS):
                raise NotJson("A piece of the JSON is too large")
            self._pass_over(_TooLarge(self._rest[0]), self._rest, 0)

    def finish(self) -> None:
        """Raises NotJson where the object has not ended."""
        if self._place is not _Place.AFTER:
            raise NotJson("The JSON ends too early")

    def _pass_over(self, piece: _TooLarge, data: bytes, at: int) -> int:
        """Where a piece ends that is too large to be kept, or the data."""
        end = piece.end(data, at)
        self._passed_over += len(data) if end is None else end
        if self._passed_over > MAX_PASSED_OVER:
            raise NotJson("Pieces of the JSON are too large")
        self._too_large, self._rest = piece if end is None else None, b""
        if end is not None and self._place is _Place.VALUE:
            self._place = _Place.NAMES
        return len(data) if end is None else end

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


class _TooLarge:
    """Finds the end of a value of which nothing is kept."""

    def __init__(self, first: int) -> None:
        """``first`` is the byte that it begins with."""
        self._is_literal = first != _QUOTE and first not in _OPEN
        self._depth = 0
        self._in_string = False
        self._escaped = False

    def end(self, data: bytes, at: int) -> int | None:
        """Where it ends, from ``at`` on; None where that has not come yet."""
        if self._is_literal:
            found = _LITERAL_END.search(data, at)
            return None if found is None else found.start()
        if self._escaped:
            self._escaped, at = False, at + 1
        while at < len(data):
            at = _end_of(_REST_OF_STRING if self._in_string else _PLAIN, data, at)
            if at == len(data):
                break
            if data[at] == ord("\\"):
                self._escaped = True
                break
            self._cross(data[at])
            at += 1
            if self._depth == 0 and not self._in_string:
                return at
        return None

    def _cross(self, sign: int) -> None:
        if sign == _QUOTE:
            self._in_string = not self._in_string
        else:
            self._depth += 1 if sign in _OPEN else -1


def members(data: bytes) -> Iterator[tuple[bytes | None, bytes]]:
    """The parts of an object or an array, as JSON that is not decoded: names, if they have any, and values.

    Raises NotJson where it has not ended, or something follows.
    """
    at = _end_of(_SPACE, data, 0)
    named = data[at : at + 1] == b"{"
    closing = b"}" if named else b"]"
    at = _end_of(_BETWEEN, data, at + 1)
    while data[at : at + 1] != closing:
        name = None
        if named:
            name, at = _part(data, at)
            at = _end_of(_COLON, data, at)
        value, at = _part(data, at)
        yield name, value
        at = _end_of(_BETWEEN, data, at)
    if data[at + 1 :].strip():
        raise NotJson("Something follows the JSON")


def _part(data: bytes, at: int) -> tuple[bytes, int]:
    """The value that begins at ``at``, and where it ends."""
    end = _end(data, at) if at < len(data) else None
    if end is None:
        raise NotJson("The JSON ends too early")
    return data[at:end], end


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
    """A member's name; one that cannot be read stays as it is written, quotes and all: it is nobody's."""
    try:
        return str(orjson.loads(text))
    except orjson.JSONDecodeError:
        return text.decode("utf-8", "replace")
