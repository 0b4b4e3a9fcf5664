"""What servers have signed, and how it is checked once their keys are there."""

from __future__ import annotations

from collections.abc import Mapping, Set
from itertools import islice
from typing import Any

import msgspec

from palpo.core import event_hashes, signing
from palpo.core.identifiers import ServerName
from palpo.core.room_versions import RoomVersion
from palpo.core.server_keys import ServerKey, WantedKey, is_key_id
from palpo.core.signing import SignatureError
from palpo.core.x_matrix import Credentials, SignedRequest

MAX_SIGNATURES = 8
"""Signatures of one server that are looked at."""


class KeyUnavailable(SignatureError):
    """No key to check a signature with can be had now: whether it is right is not known."""


class SignedObject(msgspec.Struct, frozen=True, kw_only=True, gc=False):
    """What one server must have signed, and its signatures, which are not checked."""

    server_name: ServerName
    signatures: Mapping[str, str]
    """By key ID; any of them will do."""
    message: bytes
    valid_until_ts: int
    """The least that their keys may be valid until, in milliseconds since the Unix epoch."""
    for_events: bool = False
    """Whether keys that are not in use any more will do."""

    def wanted(self) -> list[WantedKey]:
        """The keys that can check it."""
        return [
            WantedKey(
                server_name=self.server_name,
                key_id=key_id,
                valid_until_ts=self.valid_until_ts,
                for_events=self.for_events,
            )
            for key_id in self.signatures
        ]

    def check(self, keys: Mapping[WantedKey, ServerKey], *, refused: Set[WantedKey] = frozenset()) -> None:
        """Check it with those keys that were found; raises KeyUnavailable, or another SignatureError.

        ``refused`` are keys that were not in use any more when it was signed.
        """
        found = [keys[wanted] for wanted in self.wanted() if wanted in keys]
        if not found and refused >= set(self.wanted()):
            raise SignatureError(f"Signed with keys that {self.server_name} did not use any more")
        if not found:
            raise KeyUnavailable(f"No key of {self.server_name} that it is signed with can be had")
        for key in found:
            try:
                signing.verify(self.message, self.signatures[key.key_id], key.verify_key)
            except SignatureError:
                continue
            return
        raise SignatureError(f"The signature of {self.server_name} does not match")


def signed_json(obj: dict[str, Any], server_name: ServerName, *, now_ms: int) -> SignedObject:
    """JSON that is signed in these days; raises SignatureError where it is not signed at all, or BadJson."""
    return SignedObject(
        server_name=server_name,
        signatures=_signatures(obj, server_name),
        message=signing.signed_bytes(obj),
        valid_until_ts=now_ms,
    )


def signed_event(
    rules: RoomVersion, pdu: dict[str, Any], server_name: ServerName, *, signed: bytes | None = None
) -> SignedObject:
    """An event whose format has been checked; raises as ``signed_json`` does.

    Its key has to be valid when the event says that it was sent, unless the room's version is too old.
    ``signed`` is what is to be signed of it, where that is at hand.
    """
    return SignedObject(
        server_name=server_name,
        signatures=_signatures(pdu, server_name),
        message=event_hashes.signed_event_bytes(rules, pdu) if signed is None else signed,
        valid_until_ts=pdu["origin_server_ts"] if rules.enforce_key_validity else 0,
        for_events=True,
    )


def signed_request(
    credentials: Credentials, request: SignedRequest, *, now_ms: int, form: bytes | None = None
) -> SignedObject:
    """A request that is made now; raises BadJson.

    ``form`` is its content as canonical JSON, where that cannot be made of the content.
    """
    message = signing.signed_bytes(request.json())
    if form is not None:
        # It has no content, which would come first.
        message = b'{"content":%b,%b' % (form, message[1:])
    return SignedObject(
        server_name=credentials.origin,
        signatures={key_id: sig for key_id, sig in credentials.signatures.items() if is_key_id(key_id)},
        message=message,
        valid_until_ts=now_ms,
    )


def _signatures(obj: dict[str, Any], server_name: ServerName) -> dict[str, str]:
    key_ids = islice(filter(is_key_id, signing.signature_key_ids(obj, server_name)), MAX_SIGNATURES)
    found = {key_id: obj["signatures"][server_name][key_id] for key_id in key_ids}
    if not found:
        raise SignatureError(f"Not signed by {server_name}")
    return found
