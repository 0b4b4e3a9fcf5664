"""Checks of an event's form, before anything is known about its room (spec: rooms/vN, "Event format").

Each raises ``BadJson`` for a wrong form and ``TooLarge`` for one of the size limits.
"""

from __future__ import annotations

from typing import Any

from palpo.core.canonical_json import MAX_INTEGER
from palpo.core.errors import BadJson, InvalidParam, TooLarge
from palpo.core.event_hashes import encoder
from palpo.core.identifiers import (
    parse_event_id,
    parse_room_id,
    parse_server_name,
    parse_user_id,
    server_name_of,
)
from palpo.core.room_versions import EventIdFormat, RoomVersion

MAX_EVENT_BYTES = 65536
"""The size of the whole event with its signatures, as canonical JSON."""
MAX_FIELD_LENGTH = 255
"""Of ``type``, ``state_key``, ``sender``, ``room_id`` and ``event_id``."""
MAX_OWNED_STATE_KEY = 511
"""Of a ``state_key`` that begins with its owner's user ID (MSC3757)."""
MAX_PREV_EVENTS = 20
MAX_AUTH_EVENTS = 10
MAX_INT64 = 2**63 - 1

_MISSING = object()


def check_format(rules: RoomVersion, pdu: dict[str, Any]) -> None:
    """Check every field of a remote event but its two lists of events, and the event's whole size."""
    check_size(len(encoder(rules)(pdu)))
    for name in ("type", "sender"):
        _check_type(pdu, name, str)
    for name in ("content", "hashes", "signatures"):
        _check_type(pdu, name, dict)
    _check_type(pdu, "state_key", str, optional=True)
    _check_type(pdu, "unsigned", dict, optional=True)
    check_field_lengths(rules, pdu, in_bytes=rules.updated_redaction_rules)
    for name in ("type", "state_key"):
        if "\0" in pdu.get(name, ""):
            # The spec says nothing of it; but there are databases that cannot store it.
            raise BadJson(f"{name} has U+0000 in it")
    _check_identifiers(rules, pdu)
    _check_numbers(rules, pdu)
    _check_type(pdu["hashes"], "sha256", str)
    _check_signatures(pdu["signatures"])


def check_size(size: int) -> None:
    """Check the length of a whole event's canonical JSON."""
    if size > MAX_EVENT_BYTES:
        raise TooLarge(f"The event has {size} bytes; {MAX_EVENT_BYTES} are allowed")


def check_field_lengths(rules: RoomVersion, fields: dict[str, Any], *, in_bytes: bool = True) -> None:
    """Check the lengths of ``type`` and ``state_key``; of identifiers their grammar checks it.

    The limit counts bytes. But before version 11 servers counted code points, and rooms have such
    events, which ``in_bytes=False`` admits.
    """
    for name in ("type", "state_key"):
        text = fields.get(name) or ""
        owned = rules.owned_state and name == "state_key" and text.startswith("@")
        limit = MAX_OWNED_STATE_KEY if owned else MAX_FIELD_LENGTH
        if len(text) > limit or (in_bytes and len(text.encode("utf-8", "surrogatepass")) > limit):
            raise TooLarge(f"{name} is longer than {limit} bytes")


def makes_room_id(rules: RoomVersion, event_type: str) -> bool:
    """Whether such an event has no room ID, because the room's ID is made of it (MSC4291)."""
    return rules.create_event_is_room_id and event_type == "m.room.create"


def event_ids(rules: RoomVersion, pdu: dict[str, Any], name: str, limit: int) -> tuple[str, ...]:
    """The IDs in ``prev_events`` or ``auth_events``: strings, or in versions 1 and 2 pairs with hashes."""
    entries = pdu.get(name)
    if type(entries) is not list or len(entries) > limit:
        raise BadJson(f"{name} is not an array of at most {limit}")
    if rules.event_id_format is EventIdFormat.CHOSEN:
        entries = [_id_of_pair(entry, name) for entry in entries]
    for entry in entries:
        _check_identifier(name, entry, "$")
    return tuple(entries)


def is_event_id(value: Any) -> bool:
    """Whether ``value``, of any type, could be an event's ID in some room version."""
    try:
        _check_identifier("event_id", value, "$")
    except BadJson:
        return False
    return True


def _id_of_pair(entry: Any, name: str) -> Any:
    if type(entry) is not list or len(entry) != 2 or type(entry[1]) is not dict:
        raise BadJson(f"{name} has an entry that is not an event ID with hashes")
    return entry[0]


def _check_type(fields: dict[str, Any], name: str, kind: type, *, optional: bool = False) -> None:
    value = fields.get(name, _MISSING)
    if type(value) is not kind and not (optional and value is _MISSING):
        raise BadJson(f"{name} is missing, or not of the right type")


def _check_identifiers(rules: RoomVersion, pdu: dict[str, Any]) -> None:
    """Check the sender and, where the version has them in the event, room ID and event ID."""
    _check_identifier("sender", pdu["sender"], "@")
    if makes_room_id(rules, pdu["type"]):
        if "room_id" in pdu:
            raise BadJson("A create event of this room version has no room_id")
    else:
        _check_identifier("room_id", pdu.get("room_id"), "!")
    if rules.event_id_format is EventIdFormat.CHOSEN:
        _check_identifier("event_id", pdu.get("event_id"), "$", with_server=True)


def _check_identifier(name: str, value: Any, sigil: str, *, with_server: bool = False) -> None:
    if type(value) is not str:
        raise BadJson(f"{name} is missing, or not a string")
    try:
        _PARSERS[sigil](value)
        if with_server:
            parse_server_name(server_name_of(value))
    except InvalidParam as error:
        raise BadJson(f"{name}: {error.message}") from error


_PARSERS = {"@": parse_user_id, "!": parse_room_id, "$": parse_event_id}


def _check_numbers(rules: RoomVersion, pdu: dict[str, Any]) -> None:
    """``depth`` and ``origin_server_ts`` are integers of 64 bits, or in canonical JSON's range."""
    limit = MAX_INTEGER if rules.strict_canonical_json else MAX_INT64
    for name, lowest in (("depth", 0), ("origin_server_ts", -limit)):
        value = pdu.get(name)
        if type(value) is not int or not lowest <= value <= limit:
            raise BadJson(f"{name} is missing, or not an integer from {lowest} to {limit}")


def _check_signatures(signatures: dict[str, Any]) -> None:
    for by_server in signatures.values():
        if type(by_server) is not dict or any(type(value) is not str for value in by_server.values()):
            raise BadJson("signatures is not an object of objects of strings")
