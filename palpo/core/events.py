"""The event as every layer above the wire sees it: parsed once, never changed.

Two forms: the *PDU* that servers exchange, and the *client form*, bytes of JSON ready to be put into a
response, without ``room_id`` and ``unsigned``, which differ by response. ``SignedEvent`` is around the
first: what is made, checked and stored. ``KeptEvent`` is around the second: what is kept in memory by the
ten thousand, so it has those bytes and hardly more. Whoever only reads takes an ``Event``, either.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from functools import lru_cache
from hashlib import sha256
from typing import Any, TypeVar

import msgspec
import orjson

from palpo.core import unpadded_base64
from palpo.core.canonical_json import decode_object, encode_around, encode_lax, to_json, trimmed
from palpo.core.errors import BadJson
from palpo.core.event_format import (
    MAX_AUTH_EVENTS,
    MAX_PREV_EVENTS,
    check_field_lengths,
    check_format,
    check_size,
    event_ids,
    is_event_id,
    makes_room_id,
)
from palpo.core.event_hashes import (
    encoder_again,
    event_id_from_hash,
    event_id_of,
    signed_event_bytes,
)
from palpo.core.identifiers import RoomId, UserId
from palpo.core.redaction import redact, redact_content
from palpo.core.room_versions import EventIdFormat, RoomVersion
from palpo.core.signing import SigningKey

_Text = TypeVar("_Text", bound=str)
StateKey = tuple[str, str]
"""The ``(type, state_key)`` pair that names a piece of room state."""


class Event(msgspec.Struct, frozen=True, kw_only=True, gc=False):
    """What can be read of any event; nobody may change it, nor what its content holds."""

    event_id: str
    room_id: RoomId
    """Filled in for the create event too where that event's hash is the room's ID."""
    type: str
    sender: UserId
    state_key: str | None
    """``None`` for a message event; state events may have the empty string."""
    origin_server_ts: int
    """Milliseconds since the Unix epoch, as claimed by the sender's server."""
    redacts: str | None = None
    """The redacted event, wherever the room version puts it (top level, or content)."""

    @property
    def content(self) -> dict[str, Any]:
        """Read it once where it is asked for several times: it may have to be decoded."""
        raise NotImplementedError

    @property
    def is_state(self) -> bool:
        """Whether this is a state event."""
        return self.state_key is not None

    @property
    def key(self) -> StateKey:
        """The state this event sets; only for state events."""
        assert self.state_key is not None
        return self.type, self.state_key


class SignedEvent(Event, frozen=True, kw_only=True, gc=False):
    """A persistent event of a room, in any version, with the form that servers exchange.

    ``pdu`` is that form as a JSON object, exactly what was hashed and signed plus ``hashes``,
    ``signatures`` and ``unsigned``; it is shared, so nobody may change it. The other fields are read
    out of it once.
    """

    content: dict[str, Any]
    depth: int
    """As its sender claims: one more than that of the events before it."""
    prev_events: tuple[str, ...]
    auth_events: tuple[str, ...]
    pdu: dict[str, Any]


class KeptEvent(Event, frozen=True, kw_only=True, gc=False):
    """An event as it is kept in memory: its client form, and what is asked for all the time.

    Strings that many events have are the same objects.
    """

    client: bytes
    """The client form (``client_event_bytes``)."""
    decoded: dict[str, Any] | None
    """The content, where it is kept decoded; else it is decoded when it is asked for."""

    @property
    def content(self) -> dict[str, Any]:
        """The content."""
        if self.decoded is not None:
            return self.decoded
        return _content_of(self.client) if len(self.client) <= DECODED_BYTES else _large_content(self.client)


DECODED_BYTES = 4096
"""State events of at most this size, in client form, are kept with their content decoded."""


@lru_cache(maxsize=256)
def _content_of(client: bytes) -> dict[str, Any]:
    content: dict[str, Any] = decode_object(client)["content"]
    return content


@lru_cache(maxsize=4)
def _large_content(client: bytes) -> dict[str, Any]:
    content: dict[str, Any] = decode_object(client)["content"]
    return content


@lru_cache(maxsize=8192)
def _shared(text: _Text) -> _Text:
    """The same object for equal strings, as long as they are in use."""
    return text


def kept_event(event: SignedEvent) -> KeptEvent:
    """``event`` as it is kept in memory."""
    client = trimmed(client_event_bytes(event))
    # A redaction's client form has more in its content than the event itself.
    decoded = event.redacts is not None or (event.state_key is not None and len(client) <= DECODED_BYTES)
    return KeptEvent(
        event_id=event.event_id,
        room_id=_shared(event.room_id),
        type=_shared(event.type),
        sender=_shared(event.sender),
        state_key=None if event.state_key is None else _shared(event.state_key),
        origin_server_ts=event.origin_server_ts,
        redacts=event.redacts,
        client=client,
        decoded=event.content if decoded else None,
    )


def parse_pdu(rules: RoomVersion, pdu: dict[str, Any], *, room_id: str | None = None) -> SignedEvent:
    """The event that ``pdu`` is, its form checked for the room version; its hashes and signatures are not.

    Raises ``BadJson`` for a wrong form, or a room other than ``room_id`` where that is given, and
    ``TooLarge``.
    """
    return parse_with_signed(rules, pdu, room_id=room_id)[0]


def parse_with_signed(
    rules: RoomVersion, pdu: dict[str, Any], *, room_id: str | None = None
) -> tuple[SignedEvent, bytes]:
    """The same, and what its signatures have to be of (``event_hashes.signed_event_bytes``)."""
    check_format(rules, pdu)
    signed = signed_event_bytes(rules, pdu, encode=encoder_again(rules))
    prev_events = event_ids(rules, pdu, "prev_events", MAX_PREV_EVENTS)
    auth_events = event_ids(rules, pdu, "auth_events", MAX_AUTH_EVENTS)
    event = _event_of(rules, pdu, _id_of(rules, pdu, signed), prev_events, auth_events)
    if room_id is not None and event.room_id != room_id:
        raise BadJson("The event is of another room")
    return event, signed


def _id_of(rules: RoomVersion, pdu: dict[str, Any], signed: bytes) -> str:
    if rules.event_id_format is EventIdFormat.CHOSEN:
        return event_id_of(rules, pdu)
    return event_id_from_hash(rules, sha256(signed).digest())


def parse_stored(rules: RoomVersion, pdu: dict[str, Any], event_id: str) -> SignedEvent:
    """The event that ``pdu`` is, where its form has been checked before and its ID is known."""
    prev_events, auth_events = pdu["prev_events"], pdu["auth_events"]
    if rules.event_id_format is EventIdFormat.CHOSEN:
        prev_events, auth_events = ([pair[0] for pair in pairs] for pairs in (prev_events, auth_events))
    return _event_of(rules, pdu, event_id, tuple(prev_events), tuple(auth_events))


def build_event(
    rules: RoomVersion,
    *,
    server_name: str,
    key: SigningKey,
    room_id: str | None,
    type: str,
    sender: str,
    content: dict[str, Any],
    origin_server_ts: int,
    depth: int,
    prev_events: Sequence[str],
    auth_events: Sequence[str],
    state_key: str | None = None,
    redacts: str | None = None,
    event_id: str | None = None,
    hashes_of: Mapping[str, str] | None = None,
    with_origin: bool = False,
) -> SignedEvent:
    """A new event, hashed and signed by ``server_name``, whose name it has as its ``origin`` if so wanted.

    ``room_id`` is ``None`` just for the create event of versions where that makes the room's ID.
    Versions 1 and 2 need ``event_id``, and in ``hashes_of`` the reference hash (unpadded base64) of
    each event in ``prev_events`` and ``auth_events``. Raises ``TooLarge``, or ``BadJson`` for content
    without canonical JSON and for a create event inside of a room that has one.
    """
    pdu = _new_fields(
        rules, type=type, state_key=state_key, room_id=room_id, redacts=redacts, content=content
    )
    pdu["sender"] = sender
    pdu["origin_server_ts"] = origin_server_ts
    pdu["depth"] = depth
    pdu["prev_events"] = list(prev_events)
    pdu["auth_events"] = list(auth_events)
    if with_origin:
        pdu["origin"] = server_name
    if rules.event_id_format is EventIdFormat.CHOSEN:
        _add_chosen_id(pdu, event_id, hashes_of or {})
    reference = _hash_and_sign(rules, pdu, server_name, key)
    new_id: str = pdu["event_id"] if "event_id" in pdu else event_id_from_hash(rules, reference)
    return _event_of(rules, pdu, new_id, tuple(prev_events), tuple(auth_events))


def _new_fields(
    rules: RoomVersion,
    *,
    type: str,
    state_key: str | None,
    room_id: str | None,
    redacts: str | None,
    content: dict[str, Any],
) -> dict[str, Any]:
    """The fields of a new event whose place or presence depends on the room version."""
    pdu: dict[str, Any] = {"type": type, "content": content}
    if state_key is not None:
        pdu["state_key"] = state_key
    check_field_lengths(rules, pdu)
    if makes_room_id(rules, type) != (room_id is None):
        raise BadJson(f"{type[:64]} does not fit a room of version {rules.id} here")
    if room_id is not None:
        pdu["room_id"] = room_id
    if redacts is not None:
        if rules.updated_redaction_rules:
            pdu["content"] = {**content, "redacts": redacts}
        else:
            pdu["redacts"] = redacts
    return pdu


def _add_chosen_id(pdu: dict[str, Any], event_id: str | None, hashes_of: Mapping[str, str]) -> None:
    """Make ``pdu`` one of room version 1 or 2; a missing ID or hash is the caller's fault."""
    assert event_id is not None
    pdu["event_id"] = event_id
    for name in ("prev_events", "auth_events"):
        pdu[name] = [[event, {"sha256": hashes_of[event]}] for event in pdu[name]]


def _hash_and_sign(rules: RoomVersion, pdu: dict[str, Any], server_name: str, key: SigningKey) -> bytes:
    """Add ``hashes`` and ``signatures`` to ``pdu``, in place; return the reference hash.

    Two encodings do for the content hash, the size, the signature and the reference hash. What the second
    encodes is part of what the first has looked at.
    """
    hashed = encode_around(pdu, "content") if rules.strict_canonical_json else encode_lax(pdu)
    hashes = {"sha256": unpadded_base64.encode(sha256(hashed).digest())}
    pdu["hashes"] = hashes
    signed = encoder_again(rules)(redact(rules, pdu))
    signatures = {server_name: {key.key_id: key.sign(signed)}}
    pdu["signatures"] = signatures
    # Of the two objects' braces, one pair is left over and one stands for the comma between them.
    check_size(len(hashed) + len(orjson.dumps({"hashes": hashes, "signatures": signatures})) - 1)
    return sha256(signed).digest()


def _event_of(
    rules: RoomVersion,
    pdu: dict[str, Any],
    event_id: str,
    prev_events: tuple[str, ...],
    auth_events: tuple[str, ...],
) -> SignedEvent:
    return SignedEvent(
        event_id=event_id,
        room_id=RoomId("!" + event_id[1:]) if makes_room_id(rules, pdu["type"]) else pdu["room_id"],
        type=pdu["type"],
        sender=pdu["sender"],
        state_key=pdu.get("state_key"),
        content=pdu["content"],
        depth=pdu["depth"],
        origin_server_ts=pdu["origin_server_ts"],
        prev_events=prev_events,
        auth_events=auth_events,
        redacts=_redacts_of(rules, pdu),
        pdu=pdu,
    )


def _redacts_of(rules: RoomVersion, pdu: dict[str, Any]) -> str | None:
    """What a redaction event redacts; ``None`` where that is not an event ID."""
    if pdu["type"] != "m.room.redaction":
        return None
    redacts = (pdu["content"] if rules.updated_redaction_rules else pdu).get("redacts")
    return redacts if is_event_id(redacts) else None


def redacted_event(rules: RoomVersion, event: SignedEvent) -> SignedEvent:
    """The event without what its room version does not protect; its ID is the same."""
    return _event_of(rules, redact(rules, event.pdu), event.event_id, event.prev_events, event.auth_events)


def redacted_kept(rules: RoomVersion, event: Event) -> KeptEvent:
    """The same of an event of which there is no PDU at hand, as it is kept in memory."""
    redacts = event.redacts
    if redacts is not None and not rules.updated_redaction_rules:
        redacts = None
    content = redact_content(rules, event.type, event.content)
    fields = _client_fields(event, content, redacts)
    return KeptEvent(
        event_id=event.event_id,
        room_id=event.room_id,
        type=event.type,
        sender=event.sender,
        state_key=event.state_key,
        origin_server_ts=event.origin_server_ts,
        redacts=redacts,
        client=trimmed(to_json(fields)),
        decoded=content,
    )


def client_event_bytes(event: Event) -> bytes:
    """The client form: compact JSON without ``room_id`` and ``unsigned``, which ``with_unsigned`` adds.

    A redaction has ``redacts`` both at the top level and in its content (spec: rooms/v11).
    """
    return to_json(_client_fields(event, event.content, event.redacts))


def _client_fields(event: Event, content: dict[str, Any], redacts: str | None) -> dict[str, Any]:
    fields: dict[str, Any] = {
        "type": event.type,
        "sender": event.sender,
        "content": content,
        "event_id": event.event_id,
        "origin_server_ts": event.origin_server_ts,
    }
    if event.state_key is not None:
        fields["state_key"] = event.state_key
    if redacts is not None:
        fields["redacts"] = redacts
        fields["content"] = {**content, "redacts": redacts}
    return fields


def with_unsigned(client_bytes: bytes, room_id: str | None, unsigned: Mapping[str, Any] | None) -> bytes:
    """The client form with ``room_id`` and ``unsigned`` put in, where they are not ``None``.

    Values in ``unsigned`` that are ``bytes`` are JSON already.
    """
    added = []
    if room_id is not None:
        added.append(b',"room_id":' + to_json(room_id))
    if unsigned is not None:
        added.append(b',"unsigned":{' + b",".join(map(_member, unsigned.items())) + b"}")
    return b"".join((client_bytes[:-1], *added, b"}")) if added else client_bytes


def _member(item: tuple[str, Any]) -> bytes:
    name, value = item
    return to_json(name) + b":" + (value if type(value) is bytes else to_json(value))


def redact_for_client(
    rules: RoomVersion,
    event: SignedEvent,
    redaction: bytes,
    *,
    room_id: RoomId | None = None,
    unsigned: Mapping[str, Any] | None = None,
) -> bytes:
    """The redacted event in client form, with the ``redaction`` (in client form) that did it.

    That goes into ``unsigned.redacted_because``, next to what ``unsigned`` has.
    """
    pruned = client_event_bytes(redacted_event(rules, event))
    return with_unsigned(pruned, room_id, {**(unsigned or {}), "redacted_because": redaction})


def stripped(event: Event) -> dict[str, Any]:
    """The stripped state that invites and knocks show (spec: client-server API, "Stripped state").

    A create event keeps its ID and time, as in the client form (MSC4311).
    """
    fields: dict[str, Any] = {
        "type": event.type,
        "state_key": event.state_key,
        "sender": event.sender,
        "content": event.content,
    }
    if event.type == "m.room.create":
        fields |= {"event_id": event.event_id, "origin_server_ts": event.origin_server_ts}
    return fields
