"""What the content of an EDU has to be."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, TypeVar

import msgspec

from palpo.core.errors import BadJson, Forbidden
from palpo.core.identifiers import ServerName, server_name_of

T = TypeVar("T")


def content_as(content: Mapping[str, Any], kind: type[T]) -> T:
    """The content of an EDU as one of the types of ``palpo.wire``; raises BadJson and InvalidParam."""
    try:
        return msgspec.convert(content, kind)
    except msgspec.ValidationError as error:
        raise BadJson(f"Malformed: {error}") from error


def check_origin(user_id: str, origin: ServerName) -> None:
    """Raises Forbidden where a user is not of the server that speaks of them."""
    if server_name_of(user_id) != origin:
        raise Forbidden("It is about a user of another server")
