"""JSON as Matrix hashes and signs it, and the strict reader (spec: appendices, "Canonical JSON").

Encoding is orjson's, with sorted keys, which agrees byte for byte with the specification's encoding
for every value that canonical JSON allows; values it does not allow are found by looking at them.
"""

from __future__ import annotations

import json
from typing import Any

import orjson

from palpo.core.errors import BadJson, NotJson

MAX_INTEGER = 2**53 - 1
"""The largest integer that canonical JSON allows; the smallest is its negative."""

MAX_DEPTH = 200
"""How deep objects and arrays may nest; orjson writes 254, and responses need some of that around."""

_SCALARS = frozenset({str, int, bool, type(None)})
WIDE = 50
"""Of more values that stand side by side, a look at which types there are is quicker than one at each."""
_STRICT = orjson.OPT_SORT_KEYS | orjson.OPT_STRICT_INTEGER
_DIGITS_ALIKE = bytes.maketrans(b"123456789", b"000000000")
_LONG_NUMBER = b"0" * 19
"""2^63 has 19 digits: a shorter run of digits is an integer that orjson reads exactly."""


class Canonical(bytes):
    """Canonical JSON, made of a value before."""


def encode(value: Any) -> bytes:
    """Canonical JSON of ``value``, strictly as room versions 6 and later want it.

    Raises ``BadJson`` for floats, for integers beyond ``MAX_INTEGER`` either way, for keys that are not
    strings, for lone surrogates, for nesting deeper than ``MAX_DEPTH``, and for anything that is not JSON.
    """
    _refuse_foreign(value, floats=False)
    try:
        return orjson.dumps(value, option=_STRICT)
    except TypeError as error:
        raise BadJson(f"Not canonical JSON: {error}") from error


def encode_around(value: dict[str, Any], name: str) -> bytes:
    """As ``encode``, of an object that was made here: only its member ``name`` may hold anything.

    All others are text, integers, and arrays of text.
    """
    _refuse_foreign(value[name], floats=False, around=1)
    try:
        return orjson.dumps(value, option=_STRICT)
    except TypeError as error:
        raise BadJson(f"Not canonical JSON: {error}") from error


def encode_lax(value: Any) -> bytes:
    """Canonical JSON, but with floats and with integers of any size, as the first five versions allow.

    Floats come out as the shortest digits that read back the same, with ``e+`` or ``e-`` exponents.
    Raises ``BadJson`` for the rest of what ``encode`` refuses, and for NaN and infinities.
    """
    if not _refuse_foreign(value, floats=True):
        try:
            return orjson.dumps(value, option=orjson.OPT_SORT_KEYS)
        except TypeError:
            pass  # An integer of more than 64 bits, or a fault that the slow way finds too.
    return _encode_slowly(value)


def encode_read(value: Any) -> bytes:
    """As ``encode_lax``, of a value that ``decode`` has read: as deep as that reads.

    Requests are signed with all that is in them, so what is too deep for an event may not spoil the rest.
    Raises ``BadJson`` where it is too deep even so.
    """
    try:
        return encode_lax(value)
    except BadJson:
        return _encode_slowly(value)


def encode_again(value: Any) -> bytes:
    """Canonical JSON of what ``encode`` has taken, or of what is left of it without some members."""
    return orjson.dumps(value, option=orjson.OPT_SORT_KEYS)


def _encode_slowly(value: Any) -> bytes:
    _refuse_other_keys(value)
    try:
        text = json.dumps(value, ensure_ascii=False, allow_nan=False, separators=(",", ":"), sort_keys=True)
        return text.encode("utf-8")
    except (ValueError, TypeError, RecursionError) as error:
        raise BadJson(f"Not JSON: {error}") from error


def _refuse_foreign(value: Any, *, floats: bool, around: int = 0) -> bool:
    """Look at every value's type; raise ``BadJson`` for one that JSON lacks; say if there is a float.

    There are ``around`` levels of objects and arrays around it.

    orjson would write some of those types (dates, UUIDs, dataclasses) and turns NaN into ``null``.
    """
    found_float = False
    level: list[Any] = [value]
    for _ in range(MAX_DEPTH + 1 - around):
        if len(level) > WIDE and set(map(type, level)) <= _SCALARS:
            return found_float
        inside: list[Any] = []
        goes_on = False
        for item in level:
            kind = type(item)
            if kind is str or kind is int:
                continue
            if kind is dict:
                goes_on = True
                inside.extend(item.values())
            elif kind is list:
                goes_on = True
                inside.extend(item)
            elif kind is float and floats:
                found_float = True
            elif kind not in _SCALARS:
                raise BadJson(f"Not canonical JSON: {kind.__name__}")
        if not goes_on:
            return found_float
        level = inside
    raise BadJson(f"JSON nested deeper than {MAX_DEPTH}")


def is_deeper(value: Any, levels: int) -> bool:
    """Whether objects and arrays in it are nested more than so many levels deep."""
    level: list[Any] = [value]
    for _ in range(levels + 1):
        level = _inside(level)
        if not level:
            return False
    return True


def _refuse_other_keys(value: Any) -> None:
    """Raise ``BadJson`` for keys that are not strings, which ``json`` would turn into strings."""
    level: list[Any] = [value]
    while level:
        for item in level:
            if type(item) is dict and not all(type(key) is str for key in item):
                raise BadJson("Not JSON: a key is not a string")
        level = _inside(level)


def _inside(level: list[Any]) -> list[Any]:
    """The values in the objects and arrays among ``level``, together."""
    inside: list[Any] = []
    for item in level:
        kind = type(item)
        if kind is dict:
            inside.extend(item.values())
        elif kind is list:
            inside.extend(item)
    return inside


def to_json(value: Any) -> bytes:
    """Compact JSON of a value that was decoded, in the order it has; for responses and for storage.

    Unlike orjson alone it writes integers of any size.
    """
    try:
        return orjson.dumps(value)
    except TypeError:
        return json.dumps(value, ensure_ascii=False, allow_nan=False, separators=(",", ":")).encode("utf-8")


def trimmed(data: bytes) -> bytes:
    """The same bytes, to be kept: those that orjson returns hold on to its whole buffer, of 4 KiB or more."""
    return bytes(memoryview(data))


def decode(data: bytes | str) -> Any:
    """The value that ``data`` holds; raises ``NotJson``.

    Refused, beyond what JSON's grammar refuses: lone surrogates, numbers beyond a double's range, and
    nesting deeper than 1,024. Integers are exact at any size. Of duplicate keys the last one counts.
    """
    try:
        value = orjson.loads(data)
    except orjson.JSONDecodeError as error:
        raise NotJson(f"Not JSON: {error}") from error
    raw = data.encode("utf-8") if isinstance(data, str) else data
    if _LONG_NUMBER in raw.translate(_DIGITS_ALIKE):
        return _decode_exactly(raw)
    return value


def decode_canonical(data: bytes | str) -> Any:
    """The value of canonical JSON, checked when it was stored: orjson alone reads its integers rightly."""
    return orjson.loads(data)


def decode_object(data: bytes | str) -> dict[str, Any]:
    """The JSON object that ``data`` holds; raises ``NotJson``, or ``BadJson`` for any other value."""
    value = decode(data)
    if type(value) is not dict:
        raise BadJson("Not a JSON object")
    return value


def _decode_exactly(data: bytes) -> Any:
    """Decode what orjson accepts, with integers of 64 bits and more kept as integers."""
    try:
        return json.loads(data.decode("utf-8"))
    except (ValueError, RecursionError) as error:
        raise NotJson("Numbers or nesting beyond reason") from error
