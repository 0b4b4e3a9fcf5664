"""Bodies of several parts, read as they come (RFC 2046, 5.1): what servers answer media with.

    parser = Multipart(boundary_of(content_type))
    for piece in parser.feed(data): …      # Part: one begins; bytes: of the part that began last

Only as many parts are read as are asked for, and their headers are bounded.
"""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from email.message import Message

from palpo.core.errors import BadRequest

MAX_HEADERS = 8 * 1024
"""Bytes of the headers of one part."""
MAX_PREAMBLE = 8 * 1024
"""Bytes before the first part."""
MAX_PARTS = 8
_BOUNDARY = re.compile(r"[0-9A-Za-z'()+_,\-./:=? ]{0,69}[0-9A-Za-z'()+_,\-./:=?]")
_END_OF_HEADERS = b"\r\n\r\n"


class MalformedMultipart(BadRequest):
    """The body is not of parts as its type says."""


@dataclass(frozen=True, slots=True)
class Part:
    """A part begins; names of headers are in lower case."""

    headers: Mapping[str, str] = field(default_factory=dict)


Piece = Part | bytes


def boundary_of(content_type: str) -> str:
    """What separates the parts of a body of this type; raises MalformedMultipart."""
    message = Message()
    message["Content-Type"] = content_type
    boundary = message.get_boundary()
    if message.get_content_maintype() != "multipart" or boundary is None:
        raise MalformedMultipart("Not multipart")
    if _BOUNDARY.fullmatch(boundary) is None:
        raise MalformedMultipart("The boundary is malformed")
    return boundary


class Multipart:
    """Takes the parts apart."""

    def __init__(self, boundary: str) -> None:
        self._delimiter = b"\r\n--" + boundary.encode("ascii")
        # The first delimiter may stand at the very beginning, without a line's end before it.
        self._data = bytearray(b"\r\n")
        self._parts = 0
        self._state = self._preamble
        self.done = False
        """Whether the last part has ended."""

    def feed(self, data: bytes) -> Iterator[Piece]:
        """What ``data``, the next bytes, bring; raises MalformedMultipart."""
        self._data += data
        while not self.done:
            before = self._state
            piece = self._state()
            if piece is not None:
                yield piece
            elif self._state == before:
                return

    def _preamble(self) -> Piece | None:
        at = self._data.find(self._delimiter)
        if at >= 0:
            del self._data[: at + len(self._delimiter)]
            self._state = self._after_delimiter
        elif len(self._data) > MAX_PREAMBLE:
            raise MalformedMultipart("No part begins")
        return None

    def _after_delimiter(self) -> Piece | None:
        if len(self._data) < 2:
            return None
        if self._data.startswith(b"--"):
            self.done = True
            return None
        at = self._data.find(b"\r\n")
        if at >= 0:
            if self._data[:at].strip(b" \t"):
                raise MalformedMultipart("Something follows the boundary")
            # The line's end is left, for a part without headers.
            del self._data[:at]
            self._parts += 1
            if self._parts > MAX_PARTS:
                raise MalformedMultipart(f"Over {MAX_PARTS} parts")
            self._state = self._headers
        elif len(self._data) > MAX_HEADERS:
            raise MalformedMultipart("The boundary's line does not end")
        return None

    def _headers(self) -> Piece | None:
        at = self._data.find(_END_OF_HEADERS)
        if at < 0:
            if len(self._data) > MAX_HEADERS:
                raise MalformedMultipart(f"Headers of over {MAX_HEADERS} bytes")
            return None
        lines = bytes(self._data[:at]).decode("utf-8", "replace").split("\r\n")
        del self._data[: at + len(_END_OF_HEADERS)]
        self._state = self._content
        pairs = (line.partition(":") for line in lines if ":" in line)
        return Part({name.strip().lower(): value.strip() for name, _, value in pairs})

    def _content(self) -> Piece | None:
        at = self._data.find(self._delimiter)
        if at >= 0:
            piece = bytes(self._data[:at])
            del self._data[: at + len(self._delimiter)]
            self._state = self._after_delimiter
            return piece or None
        # The last bytes may be the beginning of a delimiter.
        safe = len(self._data) - len(self._delimiter) + 1
        if safe <= 0:
            return None
        piece = bytes(self._data[:safe])
        del self._data[:safe]
        return piece
