"""JSON that other servers may send, and of which a value is what nobody should send.

body = spoilt({"pdus": [good, {"content": MARK}]}, UNREADABLE["lone surrogate"])
"""

from __future__ import annotations

from typing import Any

from aiohttp import web

from palpo.core.canonical_json import to_json

MARK = "put something else here"

ODD = {
    "float": b"1.5",
    "huge integer": b"1" * 200,
    "300 levels": b"[" * 300 + b"]" * 300,
    "NUL": b'"m.\\u0000room"',
    "null": b"null",
    "a key twice": b'{"a":1,"a":2}',
}
"""What can be read, and is wrong nearly everywhere."""
UNREADABLE = {
    "lone surrogate": b'"\\ud800"',
    "surrogates the wrong way round": b'"\\udc00\\ud800"',
    "lone surrogate as a name": b'{"\\ud800":1}',
    "no UTF-8": b'"\xff"',
    "5000 levels": b"[" * 5000 + b"]" * 5000,
    "950 levels": b'{"a":' * 950 + b"1" + b"}" * 950,
    "beyond a double": b"1e999",
    "5000 digits": b"1" * 5000,
}
"""What is JSON by its outline, but nothing that could be read."""
ANYTHING = ODD | UNREADABLE


def spoilt(value: Any, by: bytes) -> bytes:
    """JSON with something in the place of each MARK."""
    return to_json(value).replace(to_json(MARK), by)


def answer(value: Any, by: bytes) -> web.Response:
    """The same as an answer."""
    return web.Response(body=spoilt(value, by), content_type="application/json")
