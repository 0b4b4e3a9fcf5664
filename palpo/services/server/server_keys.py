"""This server's published signing keys (spec: server-server API, "Publishing Keys")."""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any

from palpo.core import canonical_json
from palpo.core.signing import SigningKey, sign_json
from palpo.streams.clock import Clock

VALIDITY_MS = 24 * 3600 * 1000
"""How long others may rely on what they were told; what is left of it is never under half."""


class ServerKeys:
    """Tells others with which key this server signs."""

    def __init__(self, server_name: str, key: SigningKey, clock: Clock) -> None:
        self._server_name = server_name
        self._key = key
        self._clock = clock
        self._published: dict[str, Any] | None = None

    def published(self) -> dict[str, Any]:
        """The signed Server Keys object."""
        now = self._clock.now_ms()
        if self._published is None or self._published["valid_until_ts"] < now + VALIDITY_MS // 2:
            keys = {
                "server_name": self._server_name,
                "verify_keys": {self._key.key_id: {"key": self._key.verify_key_base64}},
                "old_verify_keys": {},
                "valid_until_ts": now + VALIDITY_MS,
            }
            signed = sign_json(keys, self._server_name, self._key)
            # In canonical order: some verify the signature over the response as it came.
            self._published = canonical_json.decode_object(canonical_json.encode(signed))
        return self._published

    def of_servers(self, server_names: Iterable[str]) -> list[dict[str, Any]]:
        """The keys of those servers that this one can answer for: itself. The others are left out."""
        return [self.published()] if self._server_name in server_names else []
