"""This server's published signing keys (spec: server-server API, "Publishing Keys")."""

from __future__ import annotations

import json
from collections.abc import Iterable
from typing import Any

import canonicaljson
import signedjson.key
import signedjson.sign

from palpo.core import unpadded_base64
from palpo.core.signing import SigningKey
from palpo.streams.clock import Clock

VALIDITY_MS = 24 * 3600 * 1000
"""How long others may rely on what they were told; what is left of it is never under half."""


class ServerKeys:
    """Tells others with which key this server signs."""

    def __init__(self, server_name: str, key: SigningKey, clock: Clock) -> None:
        self._server_name = server_name
        algorithm, _, version = key.key_id.partition(":")
        self._key = signedjson.key.decode_signing_key_base64(
            algorithm, version, unpadded_base64.encode(key.seed)
        )
        self._clock = clock
        self._published: dict[str, Any] | None = None

    def sign(self, obj: dict[str, Any]) -> dict[str, Any]:
        """``obj``, which gets the server's signature, in canonical order.

        So a signature can be verified over what is sent as it is, as some do.
        """
        signed = signedjson.sign.sign_json(obj, self._server_name, self._key)
        ordered: dict[str, Any] = json.loads(canonicaljson.encode_canonical_json(signed))
        return ordered

    def published(self) -> dict[str, Any]:
        """The signed Server Keys object."""
        now = self._clock.now_ms()
        if self._published is None or self._published["valid_until_ts"] < now + VALIDITY_MS // 2:
            verify_key = signedjson.key.encode_verify_key_base64(signedjson.key.get_verify_key(self._key))
            self._published = self.sign(
                {
                    "server_name": self._server_name,
                    "verify_keys": {f"{self._key.alg}:{self._key.version}": {"key": verify_key}},
                    "old_verify_keys": {},
                    "valid_until_ts": now + VALIDITY_MS,
                }
            )
        return self._published

    def of_servers(self, server_names: Iterable[str]) -> list[dict[str, Any]]:
        """The keys of those servers that this one can answer for: itself. The others are left out."""
        return [self.published()] if self._server_name in server_names else []
