"""Ed25519 keys and signed JSON (spec: appendices, "Signing JSON")."""

from __future__ import annotations

import re
from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Any

from nacl.bindings import crypto_sign, crypto_sign_open, crypto_sign_seed_keypair
from nacl.exceptions import BadSignatureError

from palpo.core import canonical_json, unpadded_base64
from palpo.core.errors import BadJson, Forbidden, InvalidParam

ALGORITHM = "ed25519"
SEED_BYTES = 32
PUBLIC_KEY_BYTES = 32
SIGNATURE_BYTES = 64

_KEY_ID = re.compile(r"ed25519:[A-Za-z0-9_]+")


class SignatureError(Forbidden):
    """A signature is missing, malformed, or not by the key that it names."""


@dataclass(frozen=True, slots=True, kw_only=True)
class SigningKey:
    """A server's private key.

    ``key_id`` is ``ed25519:version``, ``seed`` the 32 secret bytes; raises ``InvalidParam`` for others.
    """

    key_id: str
    seed: bytes = field(repr=False)
    _public: bytes = field(init=False, repr=False, compare=False)
    _secret: bytes = field(init=False, repr=False, compare=False)

    def __post_init__(self) -> None:
        if _KEY_ID.fullmatch(self.key_id) is None or len(self.seed) != SEED_BYTES:
            raise InvalidParam("Not an ed25519 key ID with a seed of 32 bytes")
        public, secret = crypto_sign_seed_keypair(self.seed)
        object.__setattr__(self, "_public", public)
        object.__setattr__(self, "_secret", secret)

    @property
    def verify_key_base64(self) -> str:
        """The public key, in unpadded base64."""
        return unpadded_base64.encode(self._public)

    def sign(self, message: bytes) -> str:
        """The signature of ``message``, in unpadded base64."""
        return unpadded_base64.encode(crypto_sign(message, self._secret)[:SIGNATURE_BYTES])


def verify(message: bytes, signature_base64: str, verify_key_base64: str) -> None:
    """Check one signature; raises ``SignatureError``."""
    try:
        signature = unpadded_base64.decode(signature_base64)
        public_key = unpadded_base64.decode(verify_key_base64)
    except ValueError as error:
        raise SignatureError("A signature or key is not base64") from error
    if len(signature) != SIGNATURE_BYTES or len(public_key) != PUBLIC_KEY_BYTES:
        raise SignatureError("A signature or key has the wrong length")
    try:
        crypto_sign_open(signature + message, public_key)
    except BadSignatureError as error:
        raise SignatureError("The signature does not match") from error


def signed_bytes(obj: dict[str, Any], *, encode: Callable[[Any], bytes] = canonical_json.encode_lax) -> bytes:
    """What a signature of ``obj`` covers: all but ``signatures`` and ``unsigned``."""
    return encode({key: value for key, value in obj.items() if key not in ("signatures", "unsigned")})


def sign_json(
    obj: dict[str, Any],
    server_name: str,
    key: SigningKey,
    *,
    encode: Callable[[Any], bytes] = canonical_json.encode_lax,
) -> dict[str, Any]:
    """A copy of ``obj`` with ``key``'s signature added under ``server_name`` (a server, or a user).

    Signatures that are there stay. Raises ``BadJson`` if they are not objects, or as ``encode`` does.
    """
    return with_signature(obj, server_name, key.key_id, key.sign(signed_bytes(obj, encode=encode)))


def with_signature(obj: dict[str, Any], server_name: str, key_id: str, signature: str) -> dict[str, Any]:
    """A copy of ``obj`` with one more signature in ``signatures``."""
    signatures = obj.get("signatures", {})
    if type(signatures) is not dict or type(signatures.get(server_name, {})) is not dict:
        raise BadJson("signatures is not an object of objects")
    by_server = {**signatures.get(server_name, {}), key_id: signature}
    return {**obj, "signatures": {**signatures, server_name: by_server}}


def signature_key_ids(obj: dict[str, Any], server_name: str) -> list[str]:
    """The ``ed25519`` key IDs with which ``server_name`` signed ``obj``, checked or not."""
    signatures = obj.get("signatures")
    by_server = signatures.get(server_name) if type(signatures) is dict else None
    if type(by_server) is not dict:
        return []
    return [
        key_id
        for key_id, signature in by_server.items()
        if key_id.startswith(f"{ALGORITHM}:") and type(signature) is str
    ]


def verify_json(
    obj: dict[str, Any],
    server_name: str,
    key_id: str,
    verify_key_base64: str,
    *,
    encode: Callable[[Any], bytes] = canonical_json.encode_lax,
) -> None:
    """Check ``server_name``'s signature of ``obj`` by ``key_id``; raises ``SignatureError``."""
    if key_id not in signature_key_ids(obj, server_name):
        raise SignatureError(f"No signature of {server_name[:255]} with {key_id[:255]}")
    try:
        message = signed_bytes(obj, encode=encode)
    except BadJson as error:
        raise SignatureError("Signed JSON that has no canonical form") from error
    verify(message, obj["signatures"][server_name][key_id], verify_key_base64)
