"""Requests signed by a server: ``Authorization: X-Matrix …`` (spec: server-server API, "Authentication").

Headers are made as the spec has them, and read as others make them: parameters in any order, with or
without quotation marks and spaces around, no ``destination``, others beside. A server with several keys
sends one header for each.
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass, replace
from typing import Any

from palpo.core import signing
from palpo.core.canonical_json import Canonical, encode_lax
from palpo.core.errors import InvalidParam, Unauthorized
from palpo.core.identifiers import ServerName, parse_server_name
from palpo.core.signing import SignatureError, SigningKey

SCHEME = "X-Matrix"
MAX_HEADERS = 8
"""Headers of one request that are looked at: each may cost a signature."""
MAX_HEADER = 4096
"""Characters of one."""

_TOKEN = r"[!#$%&'*+.^_`|~0-9A-Za-z-]+"
_CREDENTIALS = re.compile(rf"({_TOKEN}) +(.*)", re.DOTALL)
_PARAM = re.compile(
    rf"[ \t,]*({_TOKEN})[ \t]*=[ \t]*" r'(?:"((?:[^"\\]|\\.)*)"[ \t]*|([^",]*))(?:,|\Z)',
    re.DOTALL,
)
_REST = re.compile(r"[ \t,]*\Z")
_ESCAPED = re.compile(r"\\(.)", re.DOTALL)
_TO_ESCAPE = re.compile(r'(["\\])')


@dataclass(frozen=True, slots=True, kw_only=True)
class SignedRequest:
    """What a request's signatures cover."""

    method: str
    uri: str
    """Path and query, percent-encoded as they are sent."""
    origin: str
    destination: str
    content: Any = None
    """The body, which may be Canonical already; None where there is none."""

    def canonical(self) -> bytes:
        """What is signed; raises BadJson for content that has no canonical form."""
        if not isinstance(self.content, Canonical):
            return encode_lax(self.json())
        # Of the names it is the first.
        return b"".join(
            (b'{"content":', self.content, b",", encode_lax(replace(self, content=None).json())[1:])
        )

    def json(self) -> dict[str, Any]:
        """The object that is signed; not where the content is Canonical."""
        content = {} if self.content is None else {"content": self.content}
        return {
            "method": self.method,
            "uri": self.uri,
            "origin": self.origin,
            "destination": self.destination,
            **content,
        }


@dataclass(frozen=True, slots=True, kw_only=True)
class Credentials:
    """What the headers of a request say; nothing of it is proved."""

    origin: ServerName
    destination: str | None
    """For whom the request is; None where older software does not say."""
    signatures: Mapping[str, str]
    """By key ID."""


def authorization(request: SignedRequest, key: SigningKey) -> str:
    """The value of the header with ``key``'s signature.

    Raises BadJson for content that has no canonical form.
    """
    values = {
        "origin": request.origin,
        "destination": request.destination,
        "key": key.key_id,
        "sig": key.sign(request.canonical()),
    }
    return f"{SCHEME} " + ",".join(f'{name}="{_escaped(value)}"' for name, value in values.items())


def parse(headers: Iterable[str]) -> Credentials:
    """What the values of a request's ``Authorization`` headers say; raises Unauthorized.

    Other schemes, parameters that are not known and keys of other algorithms are passed over.
    """
    found = [params for header in headers if (params := _params(header)) is not None]
    if not found:
        raise Unauthorized("Missing or invalid Authorization header")
    if len(found) > MAX_HEADERS:
        raise Unauthorized(f"More than {MAX_HEADERS} Authorization headers")
    if len({(params["origin"], params.get("destination")) for params in found}) != 1:
        raise Unauthorized("Authorization headers of several requests")
    signatures = dict(_signatures(found))
    if not signatures:
        raise Unauthorized(f"No signature by an {signing.ALGORITHM} key")
    return Credentials(
        origin=_server_name(found[0]["origin"]),
        destination=found[0].get("destination"),
        signatures=signatures,
    )


def signed_by(
    credentials: Credentials, *, method: str, uri: str, content: Any = None, own_name: str
) -> SignedRequest:
    """What the credentials' signatures have to cover if they are for a request that ``own_name`` received.

    Raises Unauthorized where the request is for another server.
    """
    if credentials.destination not in (None, own_name):
        raise Unauthorized("The request is for another server")
    origin = credentials.origin
    return SignedRequest(method=method, uri=uri, origin=origin, destination=own_name, content=content)


def verify(credentials: Credentials, request: SignedRequest, verify_keys: Mapping[str, str]) -> None:
    """Check that one of the signatures is the origin's, by its ``verify_keys``, which have key IDs.

    Raises Unauthorized.
    """
    obj = {**request.json(), "signatures": {credentials.origin: dict(credentials.signatures)}}
    for key_id in credentials.signatures:
        if key_id not in verify_keys:
            continue
        try:
            signing.verify_json(obj, credentials.origin, key_id, verify_keys[key_id])
        except SignatureError:
            continue
        return
    raise Unauthorized("The request is not signed by the server that it names")


def _params(header: str) -> dict[str, str] | None:
    """The parameters of one header by their names in lower case; None where it is of another scheme."""
    if len(header) > MAX_HEADER:
        raise Unauthorized("The Authorization header is too long")
    credentials = _CREDENTIALS.fullmatch(header.strip(" \t"))
    if credentials is None or credentials[1].lower() != SCHEME.lower():
        return None
    params: dict[str, str] = {}
    for name, value in _pairs(credentials[2]):
        if params.setdefault(name, value) != value:
            raise Unauthorized(f"Two values of {name} in the Authorization header")
    for name in ("origin", "key", "sig"):
        if not params.get(name):
            raise Unauthorized(f"No {name} in the Authorization header")
    return params


def _pairs(text: str) -> Iterator[tuple[str, str]]:
    """Names and values; raises Unauthorized for what is no list of them."""
    at = 0
    while _REST.match(text, at) is None:
        match = _PARAM.match(text, at)
        if match is None:
            raise Unauthorized("The Authorization header is malformed")
        quoted, plain = match[2], match[3]
        yield match[1].lower(), plain.strip(" \t") if quoted is None else _ESCAPED.sub(r"\1", quoted)
        at = match.end()


def _signatures(found: Iterable[Mapping[str, str]]) -> Iterator[tuple[str, str]]:
    """The signatures by their key IDs; raises Unauthorized where a key has two."""
    seen: dict[str, str] = {}
    for params in found:
        key_id, signature = params["key"], params["sig"]
        if not key_id.startswith(f"{signing.ALGORITHM}:"):
            continue
        if seen.setdefault(key_id, signature) != signature:
            raise Unauthorized("Two signatures by one key")
        yield key_id, signature


def _server_name(text: str) -> ServerName:
    try:
        return parse_server_name(text)
    except InvalidParam as error:
        raise Unauthorized("The origin is not a server name") from error


def _escaped(value: str) -> str:
    return _TO_ESCAPE.sub(r"\\\1", value)
