"""JSON of other servers of which a part cannot be read: that part is left out, and the rest counts.

What cannot be read is what ``canonical_json.decode`` refuses: lone surrogates, bytes that are no UTF-8,
numbers beyond reason, or what is no JSON between brackets that match; and what is nested very deep.
"""

from __future__ import annotations

import json
import re
from collections.abc import Callable, Iterator
from typing import Any

from palpo.core import canonical_json
from palpo.core.errors import MatrixError, NotJson
from palpo.core.json_pieces import members

PARTS = 2
"""How deep the parts of most bodies are: the items of what an object has, such as PDUs."""
DEEPEST = 500
"""Levels of a part, of which events may have ``canonical_json.MAX_DEPTH``."""
MAX_UNREADABLE = 256 * 1024
"""Bytes of the parts of one request that cannot be read, but have to be known as they were signed."""

_TOKEN = re.compile(
    rb'\s*+(?:("[^"\\]*+(?:\\.[^"\\]*+)*+")|([{\[])|([}\]])|[,:]|([^\s"{}\[\],:]++))', re.DOTALL
)
_LONE = re.compile("[\ud800-\udfff]")
_Encode = Callable[[str], bytes]
_Tree = bytes | list[Any] | dict[str, Any]
"""Objects and arrays of trees; of all else the canonical JSON."""


def decode_parts(data: bytes, *, levels: int = PARTS) -> Any:
    """The value, without members and items that cannot be read, ``levels`` objects or arrays deep.

    Raises NotJson where nothing is left.
    """
    value = _parts(data, levels)
    if not value:
        _decode(data)
    return value


def _parts(data: bytes, levels: int) -> Any:
    try:
        return _decode(data)
    except NotJson:
        if not levels or data.lstrip()[:1] not in (b"{", b"["):
            raise
    found = list(_readable(data, levels - 1))
    return [value for _, value in found] if data.lstrip()[:1] == b"[" else dict(found)


def _decode(data: bytes) -> Any:
    value = canonical_json.decode(data)
    if data.count(b"[") + data.count(b"{") > DEEPEST and canonical_json.is_deeper(value, DEEPEST):
        raise NotJson("The JSON is nested too deep")
    return value


def _readable(data: bytes, levels: int) -> Iterator[tuple[Any, Any]]:
    for name, part in members(data):
        try:
            yield name and canonical_json.decode(name), _parts(part, levels)
        except NotJson:
            continue


def signed_forms(data: bytes) -> list[bytes]:
    """What may have been signed, as canonical JSON, where ``data`` has parts that cannot be read.

    JSON does not say what a lone surrogate is in UTF-8, and canonical JSON has none. Some servers take U+FFFD
    for it, others leave the escape as it is. Raises NotJson where it cannot be told what is signed.
    """
    return list(dict.fromkeys(_Forms(encode).of(data, PARTS) for encode in (_replaced, _escaped)))


class _Forms:
    """Makes canonical JSON of what cannot be read."""

    def __init__(self, encode: _Encode) -> None:
        self._encode = encode
        self._left = MAX_UNREADABLE

    def of(self, data: bytes, levels: int) -> bytes:
        try:
            return canonical_json.encode_lax(canonical_json.decode(data))
        except MatrixError:
            pass
        if levels and data.lstrip()[:1] in (b"{", b"["):
            return self._outline(data, levels - 1)
        self._left -= len(data)
        if self._left < 0:
            raise NotJson("Too much of the JSON cannot be read")
        return b"".join(_written(self._tree(data), self._encode))

    def _outline(self, data: bytes, levels: int) -> bytes:
        parts = [(name, self.of(part, levels)) for name, part in members(data)]
        if data.lstrip()[:1] == b"[":
            return b"[%b]" % b",".join(part for _, part in parts)
        named = sorted({_text(name or b""): part for name, part in parts}.items())
        return b"{%b}" % b",".join(b"%b:%b" % (self._encode(name), part) for name, part in named)

    def _tree(self, data: bytes) -> _Tree:
        """Read without recursion, so however deep it is."""
        root: list[_Tree] = []
        around: list[list[_Tree] | dict[str, _Tree]] = [root]
        names: list[str | None] = [None]
        """The member that is due, of each of them."""

        def put(tree: _Tree) -> None:
            inside = around[-1]
            if isinstance(inside, list):
                inside.append(tree)
                return
            if names[-1] is None:
                raise NotJson("A name is due")
            inside[names[-1]], names[-1] = tree, None

        at = 0
        while (token := _TOKEN.match(data, at)) is not None:
            at = token.end()
            text, opening, closing, literal = token.groups()
            if opening:
                tree: _Tree = {} if opening == b"{" else []
                put(tree)
                around.append(tree)  # type: ignore[arg-type]
                names.append(None)
            elif closing:
                if len(around) == 1 or isinstance(around.pop(), dict) != (closing == b"}"):
                    raise NotJson("The brackets do not match")
                names.pop()
            elif text is not None and isinstance(around[-1], dict) and names[-1] is None:
                names[-1] = _text(text)
            elif text is not None:
                put(self._encode(_text(text)))
            elif literal is not None:
                put(_literal(literal))
        if len(around) != 1 or len(root) != 1 or data[at:].strip():
            raise NotJson("Not JSON")
        return root[0]


def _written(root: _Tree, encode: _Encode) -> Iterator[bytes]:
    """A tree as canonical JSON."""
    waiting: list[_Tree] = [root]
    while waiting:
        tree = waiting.pop()
        if isinstance(tree, bytes):
            yield tree
            continue
        if isinstance(tree, list):
            opening, closing = b"[", b"]"
            parts = [(b"", item) for item in tree]
        else:
            opening, closing = b"{", b"}"
            parts = [(encode(name) + b":", item) for name, item in sorted(tree.items())]
        yield opening
        waiting.append(closing)
        for number, (name, item) in reversed(list(enumerate(parts))):
            waiting += [item, b"," * (number > 0) + name]


def _text(data: bytes) -> str:
    """What a JSON string says, with the lone surrogates in it; U+FFFD for what is no UTF-8."""
    try:
        return str(json.loads(data.decode("utf-8", "replace"), strict=False))
    except ValueError as error:
        raise NotJson("A string cannot be read") from error


def _literal(data: bytes) -> bytes:
    """A number as canonical JSON; what is beyond reason is left as it is."""
    try:
        return canonical_json.encode_lax(canonical_json.decode(data))
    except MatrixError:
        return data


def _replaced(text: str) -> bytes:
    return json.dumps(_LONE.sub("\ufffd", text), ensure_ascii=False).encode()


def _escaped(text: str) -> bytes:
    return json.dumps(text, ensure_ascii=False).encode("utf-8", "backslashreplace")
