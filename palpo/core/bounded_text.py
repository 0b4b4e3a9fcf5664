"""Text from outside that is about to be stored: bounded, and of characters that every database takes."""

from __future__ import annotations

from palpo.core.errors import InvalidParam

MAX_KEY = 255
"""Bytes of UTF-8 in a key."""


def check_text(text: str, what: str, *, max_bytes: int = MAX_KEY, errcode: str | None = None) -> str:
    """``text``; raises InvalidParam (or its ``errcode``) where it is too long, has U+0000 or is no UTF-8."""
    try:
        size = len(text.encode("utf-8"))
    except UnicodeEncodeError:
        raise InvalidParam(f"{what} has characters that do not exist") from None
    if size > max_bytes:
        raise InvalidParam(f"{what} is over {max_bytes} bytes", errcode=errcode)
    if "\0" in text:
        raise InvalidParam(f"{what} has U+0000 in it")
    return text
