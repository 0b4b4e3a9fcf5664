"""Requests to one endpoint, from its declaration."""

from __future__ import annotations

import re
from dataclasses import dataclass
from typing import Any
from urllib.parse import quote, quote_plus

import msgspec
from palpo_spec import operations, request_schema

from palpo.wire.endpoint import Auth, Endpoint, NoBody, NoParams, Stream
from tests.fuzz.seeds import seed
from tests.fuzz.swollen import swollen
from tests.fuzz.values import Values, written

BIG_BODY = 400_000
"""Bytes; no more, so that a run is not all about these."""
CONTENT_TYPES = (
    b"application/json",
    b"text/plain",
    b"application/x-www-form-urlencoded",
    b"",
    b"\xff",
    b"image/png",
)
_SPEC = {(item.api, item.operation_id): item for item in operations()}
_PLACEHOLDER = re.compile(r"\{([a-z0-9_]+)\}")


@dataclass(frozen=True, slots=True, kw_only=True)
class Request:
    """One request as it goes over the wire."""

    operation_id: str
    method: str
    raw_path: bytes
    query: bytes
    headers: tuple[tuple[bytes, bytes], ...]
    body: bytes

    def __str__(self) -> str:
        target = self.raw_path + (b"?" + self.query if self.query else b"")
        return f"{self.operation_id}: {self.method} {target[:600]!r} {self.body[:900]!r}"


class Maker:
    """Makes requests to one endpoint."""

    def __init__(self, endpoint: Endpoint[Any, Any, Any]) -> None:
        self.endpoint = endpoint
        self._fields: tuple[Any, ...] = ()
        if endpoint.params is not NoParams:
            self._fields = msgspec.inspect.type_info(endpoint.params).fields  # type: ignore[attr-defined]
        takes_json = endpoint.body is not NoBody and endpoint.body is not Stream
        self._body = msgspec.inspect.type_info(endpoint.body) if takes_json else None
        operation = _SPEC.get((endpoint.api, endpoint.operation_id))
        self._schema = request_schema(operation) if operation is not None and takes_json else None

    def make(self, values: Values, token: str) -> Request:
        """A request by whoever has ``token``, usually."""
        template = values.rng.choice(self.endpoint.paths)
        in_path = set(_PLACEHOLDER.findall(template))
        taken: dict[str, str] = {}

        def segment(match: re.Match[str]) -> str:
            taken[match[1]] = values.text(match[1])
            return self._segment(values, taken[match[1]])

        path = _PLACEHOLDER.sub(segment, template)
        method = self.endpoint.method
        if values.wrong(0.02):
            method = values.rng.choice(("HEAD", "OPTIONS", "PATCH", "GET", "POST", "DELETE", "X" * 300))
        return Request(
            operation_id=self.endpoint.operation_id,
            method=method,
            raw_path=path.encode("utf-8", "surrogatepass"),
            query=self._query(values, in_path),
            headers=self._headers(values, token),
            body=self._bytes(values, taken.get("event_type")),
        )

    def _segment(self, values: Values, text: str) -> str:
        draw = values.rng.random()
        if values.wrong(0.01):
            return values.rng.choice(("", "%", "%zz", "%ff%fe", "%00", "%2F%2F", "%ED%A0%80", "a/b", "%C3"))
        encoded = quote(text.encode("utf-8", "surrogatepass"), safe="!@:$#" if draw < 0.3 else "")
        return encoded[:8000]

    def _query(self, values: Values, in_path: set[str]) -> bytes:
        parts = []
        for field in self._fields:
            if field.encode_name in in_path:
                continue
            # Without a timeout some wait for as long as is their default.
            waits = field.encode_name.startswith("timeout")
            if not waits and (values.wrong(0.1) if field.required else values.chance(0.6)):
                continue
            if waits:
                parts.append(f"{field.encode_name}={values.rng.choice((0, 1, 5, 5, 5, 5, 5, -1))}")
                continue
            drawn = values.of_type(field.type, field.encode_name)
            if drawn is None and not values.wrong(0.3):
                continue
            for item in drawn if isinstance(drawn, list) else [drawn]:
                parts.append(f"{quote_plus(field.encode_name)}={_query_text(item)}")
                if values.chance(0.01):
                    parts.append(parts[-1])
        if values.wrong(0.01):
            parts.append(values.rng.choice(("%ff=1", "a=%ff", "=&&=", "x" * 3000, "&" * 2000, "user_id=%00")))
        return "&".join(parts).encode()

    def _headers(self, values: Values, token: str) -> tuple[tuple[bytes, bytes], ...]:
        headers = []
        if self.endpoint.auth is not Auth.NONE or values.chance(0.1):
            if values.wrong(0.01):
                token = values.rng.choice(("", "x", "\xff", "a" * 5000, "Bearer"))
            if not values.wrong(0.01):
                headers.append((b"authorization", b"Bearer " + token.encode("latin-1", "replace")))
        if values.chance(0.9):
            headers.append((b"content-type", b"application/json"))
        else:
            headers.append((b"content-type", values.rng.choice(CONTENT_TYPES)))
        if values.wrong(0.02):
            headers.append((b"content-length", values.rng.choice((b"-1", b"x", b"9" * 30, b"1"))))
        if values.wrong(0.02):
            headers.append((b"x-forwarded-for", values.rng.choice((b"1.2.3.4", b"\xff", b"a" * 2000, b","))))
        return tuple(headers)

    def _bytes(self, values: Values, event_type: str | None) -> bytes:
        if self.endpoint.body is Stream:
            return values.rng.choice(
                (b"", b"x", b"\x89PNG\r\n\x1a\n" + b"\0" * 64, b"<svg/>", b"\xff\xd8\xff", b"GIF89a")
            )
        if self._body is None:
            return b"" if values.chance(0.9) else b"{}"
        seeded = seed(self.endpoint.operation_id, values) if values.chance(0.5) else None
        if seeded is not None:
            drawn = seeded
        elif event_type is not None and values.chance(0.8):
            drawn = values.content(event_type)
        elif self._schema is not None and values.chance(0.5):
            drawn = values.of_schema(self._schema, self._schema, "")
        else:
            drawn = values.of_type(self._body, "")
        if not isinstance(drawn, dict) and not values.wrong(0.2):
            drawn = {}
        if values.chance(values.swelling):
            return written(swollen(values.rng, drawn, self.endpoint.max_body - 1000))
        body = written(drawn)
        return spoiled(values, body, min(self.endpoint.max_body, BIG_BODY)) if values.wrong(0.08) else body


def _query_text(item: Any) -> str:
    if isinstance(item, bool):
        return "true" if item else "false"
    text = item if isinstance(item, str) else written(item).decode()
    return quote(text.encode("utf-8", "surrogatepass"), safe="")[:6000]


def spoiled(values: Values, body: bytes, size: int) -> bytes:
    """A body with something done to it."""
    rng = values.rng
    at = rng.randrange(len(body) + 1)
    match rng.randrange(12):
        case 0:
            return body[:at]
        case 1:
            return (
                body[:at] + rng.choice((b"\xff", b"\xed\xa0\x80", b"\0", b"\\ud800", b"\\u0000")) + body[at:]
            )
        case 2:
            return b"[" * rng.choice((100, 1000, 100_000)) + body
        case 3:
            depth = rng.choice((50, 500, 5000, 30_000))
            return b'{"a":' * depth + (body or b"{}") + b"}" * depth
        case 4:
            return b"\xef\xbb\xbf" + body
        case 5:
            return body.decode("utf-8", "replace").encode("utf-16")
        case 6 if body.startswith(b'{"'):
            return b"{" + body[1:-1] + b"," + body[1:]
        case 7:
            return body + rng.choice((b"x", b"{}", b" \n", b"\0"))
        case 8 if body.startswith(b'{"'):
            name = body[1 : body.index(b'"', 2) + 1]
            return b"{" + name + b":[" + b"0," * ((size - 100) // 4) + b"0]}"
        case 9 if body.startswith(b'{"'):
            name = body[1 : body.index(b'"', 2) + 1]
            return b"{" + name + b':"' + b"x" * (size - 400) + b'"}'
        case 10 if body.startswith(b'{"'):
            name = body[1 : body.index(b'"', 2) + 1]
            entries = b",".join(b'"@u%d:x":{"a":[]}' % number for number in range(size // 30))
            return b"{" + name + b":{" + entries + b"}}"
    return rng.choice(
        (b"", b"null", b"[]", b"0", b'""', b"NaN", b"1e999", b"{}", b"\r\n", b"9" * 5000, b"-", b"'a'")
    )
