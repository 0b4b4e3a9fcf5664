"""The identifiers: users, rooms, events, aliases, servers, media (spec: appendices, "Identifier Grammar").

A parser returns its argument under a type of its own, or raises ``InvalidParam``. Lengths are in bytes
of UTF-8.
"""

from __future__ import annotations

import re
from collections.abc import Callable
from functools import lru_cache
from ipaddress import AddressValueError, IPv6Address
from typing import NamedTuple, NewType, TypeGuard

from palpo.core.errors import InvalidParam

UserId = NewType("UserId", str)
"""``@localpart:server``"""
RoomId = NewType("RoomId", str)
"""``!opaque:server``, or ``!hash`` in room versions 12 and later."""
EventId = NewType("EventId", str)
"""``$opaque:server`` in room versions 1 and 2, ``$hash`` in later ones."""
RoomAlias = NewType("RoomAlias", str)
"""``#localpart:server``"""
ServerName = NewType("ServerName", str)
"""A host name or address, with an optional port; case matters."""

MAX_LENGTH = 255
"""Bytes in an identifier, sigil and server name included."""

_SERVER_NAME = re.compile(
    r"(?:(?P<ipv6>\[[0-9A-Fa-f:.]{2,45}\])|[0-9A-Za-z.-]{1,255})(?::(?P<port>[0-9]{1,5}))?"
)
_NEW_LOCALPART = re.compile(r"[a-z0-9._=/+-]+")
_MEDIA_ID = re.compile(r"[A-Za-z0-9_-]{1,255}")
_MXC_SCHEME = "mxc://"
_MAX_PORT = 65535


class MxcUri(NamedTuple):
    """The address of a piece of media, ``mxc://server/media_id``."""

    server: ServerName
    media_id: str

    def __str__(self) -> str:
        return f"{_MXC_SCHEME}{self.server}/{self.media_id}"


@lru_cache(maxsize=4096)
def parse_server_name(text: str) -> ServerName:
    """``text`` as a server name."""
    match = _SERVER_NAME.fullmatch(text) if len(text) <= MAX_LENGTH else None
    if match is None or int(match["port"] or 0) > _MAX_PORT:
        raise InvalidParam(f"Not a server name: {_excerpt(text)}")
    if match["ipv6"] is not None:
        _check_ipv6(match["ipv6"][1:-1])
    return ServerName(text)


def parse_user_id(text: str) -> UserId:
    """``text`` as anybody's user ID, by the historical grammar: any localpart, even an empty one.

    New users' localparts are held to ``valid_new_localpart``.
    """
    _split_with_server(text, "@", "a user ID")
    return UserId(text)


def is_server_name(value: object) -> bool:
    """Whether something is a server name."""
    return isinstance(value, str) and _is(parse_server_name, value)


def is_user_id(value: object) -> bool:
    """Whether a value, of JSON say, is a user ID by the grammar that ``sender`` is held to."""
    return isinstance(value, str) and _is(parse_user_id, value)


def is_room_id(value: object) -> TypeGuard[RoomId]:
    """Whether a value, of JSON say, is a room ID."""
    return isinstance(value, str) and _is(parse_room_id, value)


def _is(parse: Callable[[str], object], text: str) -> bool:
    try:
        parse(text)
    except InvalidParam:
        return False
    return True


def parse_room_alias(text: str) -> RoomAlias:
    """``text`` as a room alias."""
    _split_with_server(text, "#", "a room alias")
    return RoomAlias(text)


def parse_room_id(text: str) -> RoomId:
    """``text`` as a room ID of any room version: with a server name that is valid, or with none."""
    _check_opaque(text, "!", "a room ID")
    if ":" in text:
        _split_with_server(text, "!", "a room ID")
    return RoomId(text)


def as_room_id(value: object) -> RoomId | None:
    """``value``, which the content of an event has as a room's ID, where it can be one."""
    return value if is_room_id(value) else None


def parse_room_id_or_alias(text: str) -> RoomId | RoomAlias:
    """``text`` as what its sigil says."""
    return parse_room_alias(text) if text.startswith("#") else parse_room_id(text)


def parse_event_id(text: str) -> EventId:
    """``text`` as an event ID of any room version."""
    _check_opaque(text, "$", "an event ID")
    return EventId(text)


def parse_mxc_uri(text: str) -> MxcUri:
    """``text`` as a media address; its media ID is safe as a file name."""
    server, slash, media_id = text.removeprefix(_MXC_SCHEME).partition("/")
    if not text.startswith(_MXC_SCHEME) or not slash or _MEDIA_ID.fullmatch(media_id) is None:
        raise InvalidParam(f"Not an mxc:// URI: {_excerpt(text)}")
    return MxcUri(parse_server_name(server), media_id)


def server_name_of(identifier: str) -> ServerName:
    """The server part of an identifier that has one."""
    _, colon, server = identifier.partition(":")
    if not colon:
        raise InvalidParam(f"No server name in {_excerpt(identifier)}")
    return ServerName(server)


def localpart_of(identifier: str) -> str:
    """What stands between the sigil and the server name (or the end)."""
    return identifier[1:].partition(":")[0]


def valid_new_localpart(text: str) -> bool:
    """Whether a new user may have this localpart: ``a-z``, ``0-9`` and ``._=-/+``, not empty."""
    return _NEW_LOCALPART.fullmatch(text) is not None


def make_user_id(localpart: str, server: str) -> UserId:
    """The user ID of ``localpart`` on ``server``; raises ``InvalidParam`` if it would be too long."""
    return parse_user_id(f"@{localpart}:{server}")


def _check_opaque(text: str, sigil: str, what: str) -> None:
    """Check sigil, length, and that something follows; NUL is never allowed."""
    if len(text) < 2 or text[0] != sigil or "\0" in text or _too_long(text):
        raise InvalidParam(f"Not {what}: {_excerpt(text)}")


def _split_with_server(text: str, sigil: str, what: str) -> None:
    """Check an identifier with a localpart (that may be empty) and a server name."""
    _check_opaque(text, sigil, what)
    parse_server_name(server_name_of(text))


def _too_long(text: str) -> bool:
    """Whether ``text`` is over the limit, or cannot be UTF-8 at all."""
    if text.isascii():
        return len(text) > MAX_LENGTH
    try:
        return len(text.encode("utf-8")) > MAX_LENGTH
    except UnicodeEncodeError:
        return True


def _check_ipv6(address: str) -> None:
    try:
        IPv6Address(address)
    except AddressValueError as error:
        raise InvalidParam(f"Not an IPv6 address: {_excerpt(address)}") from error


def _excerpt(text: str) -> str:
    """Enough of ``text`` for an error message, in ASCII."""
    return ascii(text[:64])
