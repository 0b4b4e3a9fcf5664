"""Hashes, event IDs and signatures of events (spec: server-server API, "Signing Events")."""

from __future__ import annotations

from collections.abc import Callable
from hashlib import sha256
from typing import Any

from palpo.core import canonical_json, signing, unpadded_base64
from palpo.core.errors import BadJson
from palpo.core.identifiers import server_name_of
from palpo.core.redaction import redact
from palpo.core.room_versions import EventIdFormat, RoomVersion
from palpo.core.signing import SignatureError, SigningKey

_NOT_IN_CONTENT_HASH = frozenset({"unsigned", "signatures", "hashes"})


def encoder(rules: RoomVersion) -> Callable[[Any], bytes]:
    """The canonical JSON encoding that the room version wants: the strict one, or the lax one."""
    return canonical_json.encode if rules.strict_canonical_json else canonical_json.encode_lax


def encoder_again(rules: RoomVersion) -> Callable[[Any], bytes]:
    """The same for an event, or a part of one, that ``encoder`` has taken already."""
    return canonical_json.encode_again if rules.strict_canonical_json else canonical_json.encode_lax


def content_hash(pdu: dict[str, Any], *, encode: Callable[[Any], bytes] = canonical_json.encode_lax) -> bytes:
    """SHA-256 of the whole event but ``unsigned``, ``signatures`` and ``hashes``."""
    hashed = {key: value for key, value in pdu.items() if key not in _NOT_IN_CONTENT_HASH}
    return sha256(encode(hashed)).digest()


def verify_content_hash(
    pdu: dict[str, Any], *, encode: Callable[[Any], bytes] = canonical_json.encode_lax
) -> bool:
    """Whether ``hashes.sha256`` is the content hash; if not, only the redacted event may be used."""
    hashes = pdu.get("hashes")
    claimed = hashes.get("sha256") if type(hashes) is dict else None
    if type(claimed) is not str:
        return False
    try:
        return unpadded_base64.decode(claimed) == content_hash(pdu, encode=encode)
    except (ValueError, BadJson):
        return False


def signed_event_bytes(
    rules: RoomVersion, pdu: dict[str, Any], *, encode: Callable[[Any], bytes] | None = None
) -> bytes:
    """What the event's signatures and its reference hash cover: the redacted event, unsigned.

    ``encode`` is ``encoder_again``'s where the event's form has been checked.
    """
    redacted = redact(rules, pdu)
    redacted.pop("signatures", None)
    return (encode or encoder(rules))(redacted)


def reference_hash(
    rules: RoomVersion, pdu: dict[str, Any], *, encode: Callable[[Any], bytes] | None = None
) -> bytes:
    """SHA-256 of the redacted event without its signatures; ``encode`` as for ``signed_event_bytes``."""
    return sha256(signed_event_bytes(rules, pdu, encode=encode)).digest()


def event_id_of(
    rules: RoomVersion, pdu: dict[str, Any], *, encode: Callable[[Any], bytes] | None = None
) -> str:
    """The event's ID: made of the reference hash, or, in room versions 1 and 2, its ``event_id``.

    Raises ``BadJson`` where that is not a string. ``encode`` as for ``signed_event_bytes``.
    """
    if rules.event_id_format is EventIdFormat.CHOSEN:
        chosen = pdu.get("event_id")
        if type(chosen) is not str:
            raise BadJson("event_id is not a string")
        return chosen
    return event_id_from_hash(rules, reference_hash(rules, pdu, encode=encode))


def event_id_from_hash(rules: RoomVersion, digest: bytes) -> str:
    """The event ID that a reference hash makes (room versions 3 and later)."""
    if rules.event_id_format is EventIdFormat.HASH_BASE64:
        return "$" + unpadded_base64.encode(digest)
    return "$" + unpadded_base64.encode_urlsafe(digest)


def sign_event(rules: RoomVersion, pdu: dict[str, Any], server_name: str, key: SigningKey) -> dict[str, Any]:
    """A copy of ``pdu`` with its content hash and ``server_name``'s signature."""
    hashed = {**pdu, "hashes": {"sha256": unpadded_base64.encode(content_hash(pdu))}}
    return add_signature(rules, hashed, server_name, key)


def add_signature(
    rules: RoomVersion, pdu: dict[str, Any], server_name: str, key: SigningKey
) -> dict[str, Any]:
    """A copy of ``pdu``, which has its hash already, with one more server's signature."""
    signature = key.sign(signed_event_bytes(rules, pdu))
    return signing.with_signature(pdu, server_name, key.key_id, signature)


def verify_event_signature(
    rules: RoomVersion, pdu: dict[str, Any], server_name: str, key_id: str, verify_key_base64: str
) -> None:
    """Check one server's signature of ``pdu``; raises ``SignatureError``."""
    if key_id not in signing.signature_key_ids(pdu, server_name):
        raise SignatureError(f"No signature of {server_name[:255]} with {key_id[:255]}")
    signature = pdu["signatures"][server_name][key_id]
    signing.verify(signed_event_bytes(rules, pdu), signature, verify_key_base64)


def required_signatures(rules: RoomVersion, pdu: dict[str, Any]) -> frozenset[str]:
    """The servers that must have signed an event, whose format has been checked.

    The sender's, unless the event turns a third-party invite into an invite; the event ID's in room
    versions 1 and 2; and that of the user who vouches for a restricted join.
    """
    content = pdu["content"]
    is_member = pdu["type"] == "m.room.member"
    servers = set()
    if not (is_member and _is_third_party_invite(content)):
        servers.add(server_name_of(pdu["sender"]))
    if rules.event_id_format is EventIdFormat.CHOSEN:
        servers.add(server_name_of(pdu["event_id"]))
    if rules.restricted_joins and is_member:
        authoriser = content.get("join_authorised_via_users_server")
        if type(authoriser) is str and ":" in authoriser:
            servers.add(server_name_of(authoriser))
    return frozenset(servers)


def _is_third_party_invite(content: dict[str, Any]) -> bool:
    return content.get("membership") == "invite" and "third_party_invite" in content
