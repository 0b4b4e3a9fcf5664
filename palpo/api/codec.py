"""Requests to typed values, by decoders that are built once per endpoint."""

from __future__ import annotations

from collections.abc import Callable
from functools import cache
from typing import Any, TypeVar, get_origin, get_type_hints
from urllib.parse import parse_qsl

import msgspec

from palpo.core.errors import BadJson, InvalidParam, MissingParam, NotJson
from palpo.wire.endpoint import Endpoint, NoBody, NoParams, Stream

T = TypeVar("T")

MAX_QUERY_FIELDS = 1000
MAY_BE_EMPTY = frozenset({"state_key"})
"""Path parameters of which nothing is a value too."""
_ENCODER = msgspec.json.Encoder()


def encode(value: Any) -> bytes:
    """``value`` as JSON."""
    return _ENCODER.encode(value)


def encode_response(response: Any) -> bytes:
    """``response`` as JSON: of a handler that has nothing to say, the empty object."""
    return b"{}" if response is None else encode(response)


class Codec:
    """Decodes one endpoint's parameters and body."""

    def __init__(self, endpoint: Endpoint[Any, Any, Any]) -> None:
        self._params: Any = endpoint.params
        self._lists = _list_fields(self._params)  # type: ignore[arg-type]
        self._no_params: Any = NoParams() if endpoint.params is NoParams else None
        self.takes_json = endpoint.body is not NoBody and endpoint.body is not Stream
        self.body: Callable[[bytes], Any] = self._json if self.takes_json else _no_body
        self._decoder = msgspec.json.Decoder(endpoint.body if self.takes_json else Any)

    def params(self, path: dict[str, str], query: str) -> Any:
        """Path and query parameters together.

        Raises MissingParam and InvalidParam.
        """
        if self._no_params is not None:
            return self._no_params
        for name, value in path.items():
            if not value and name not in MAY_BE_EMPTY:
                raise InvalidParam(f"{name} is empty in the path")
            if "\0" in value:
                raise InvalidParam(f"{name} has U+0000 in it")
        values: dict[str, Any] = self._query(query) if query else {}
        values.update(path)
        try:
            return msgspec.convert(values, self._params, strict=False)
        except msgspec.ValidationError as error:
            if "missing required" in str(error):
                raise MissingParam(str(error)) from None
            raise InvalidParam(str(error)) from None

    def _query(self, query: str) -> dict[str, Any]:
        try:
            pairs = parse_qsl(query, keep_blank_values=True, max_num_fields=MAX_QUERY_FIELDS, errors="strict")
        except ValueError:
            raise InvalidParam("The query string cannot be read") from None
        if "%00" in query:
            raise InvalidParam("The query string has U+0000 in it")
        values: dict[str, Any] = {}
        for name, value in pairs:
            if name in self._lists:
                values.setdefault(name, []).append(value)
            else:
                values[name] = value
        return values

    def _json(self, body: bytes) -> Any:
        return decode(self._decoder, body or b"{}")


def decode(decoder: msgspec.json.Decoder[T], data: bytes | msgspec.Raw) -> T:
    """What JSON from a client says; raises MissingParam, BadJson and NotJson."""
    try:
        if isinstance(data, bytes) and not data.isascii():
            # The decoder does not look into the values that it skips.
            data.decode()
        return decoder.decode(data)
    except msgspec.ValidationError as error:
        if "missing required" in str(error):
            raise MissingParam(str(error)) from None
        raise BadJson(str(error)) from None
    except (msgspec.DecodeError, UnicodeDecodeError, RecursionError) as error:
        raise NotJson(f"The body is not JSON: {error}") from None


def _no_body(body: bytes) -> Any:
    return NoBody()


@cache
def _list_fields(params: Any) -> frozenset[str]:
    hints = get_type_hints(params)
    return frozenset(
        field.encode_name
        for field in msgspec.structs.fields(params)
        if get_origin(hints[field.name]) in (list, tuple)
    )
