"""An invite by way of a third-party identifier (spec: client-server API, "Third-party invites")."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from itertools import islice, product
from typing import Any, Final

from palpo.core.auth_rules.selection import third_party_token
from palpo.core.errors import AuthError, BadJson
from palpo.core.events import Event, StateKey
from palpo.core.power_levels import malformed
from palpo.core.signing import SignatureError, signed_bytes, verify

MAX_VERIFICATIONS: Final = 256
"""Pairs of signature and key that are tried: an event has room for hundreds of each, and every
verification costs some 60 µs."""


def check_third_party_invite(event: Event, state: Mapping[StateKey, Event], *, banned: bool) -> None:
    """Check an invite that carries ``third_party_invite``; raises ``AuthError``.

    ``banned`` says whether the invited user is.
    """
    if banned:
        raise AuthError(f"{event.state_key} is banned from the room")
    invite = event.content["third_party_invite"]
    signed = invite.get("signed") if isinstance(invite, dict) else None
    token = third_party_token(event.content)
    if not isinstance(signed, dict) or token is None or "mxid" not in signed:
        raise malformed("third_party_invite has no signed mxid and token")
    if signed["mxid"] != event.state_key:
        raise AuthError("The third-party invite is for somebody else")
    pending = state.get(("m.room.third_party_invite", token))
    if pending is None:
        raise AuthError("There is no such third-party invite in the room")
    if pending.sender != event.sender:
        raise AuthError("The third-party invite is by somebody else")
    if not _signed_by_any(signed, list(_public_keys(pending.content))):
        raise AuthError("The third-party invite is not signed by a key that the room knows")


def signing_keys(signed: dict[str, Any], content: dict[str, Any]) -> list[dict[str, Any]]:
    """The keys of an ``m.room.third_party_invite`` event's content by which ``signed`` is signed.

    Each is the object with ``public_key``, and ``key_validity_url`` where it has one.
    """
    return [entry for entry in _entries(content) if _signed_by_any(signed, list(_keys_of([entry])))]


def _signed_by_any(signed: dict[str, Any], keys: list[str]) -> bool:
    """Whether a signature in ``signed``, whosever it is said to be, is by one of the keys."""
    try:
        message = signed_bytes(signed)
    except BadJson:
        return False
    pairs = islice(product(_signatures(signed), keys), MAX_VERIFICATIONS)
    return any(_verifies(message, signature, key) for signature, key in pairs)


def _verifies(message: bytes, signature: str, key: str) -> bool:
    try:
        verify(message, signature, key)
    except SignatureError:
        return False
    return True


def _signatures(signed: dict[str, Any]) -> Iterator[str]:
    """Every ed25519 signature in ``signatures``, in unpadded base64."""
    servers = signed.get("signatures")
    for by_key in servers.values() if isinstance(servers, dict) else ():
        for key_id, signature in by_key.items() if isinstance(by_key, dict) else ():
            if key_id.startswith("ed25519:") and isinstance(signature, str):
                yield signature


def _public_keys(content: dict[str, Any]) -> Iterator[str]:
    """The keys of an ``m.room.third_party_invite`` event, in base64: ``public_key``, ``public_keys``."""
    return _keys_of(_entries(content))


def _entries(content: dict[str, Any]) -> list[dict[str, Any]]:
    listed = content.get("public_keys")
    entries = [content, *(listed if isinstance(listed, list) else ())]
    return [entry for entry in entries if isinstance(entry, dict)]


def _keys_of(entries: list[dict[str, Any]]) -> Iterator[str]:
    for entry in entries:
        key = entry.get("public_key")
        if isinstance(key, str):
            yield key
