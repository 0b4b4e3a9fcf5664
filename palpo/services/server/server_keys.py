"""This server's published signing keys (spec: server-server API, "Publishing Keys")."""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any

from palpo.core import canonical_json, signing
from palpo.core.identifiers import ServerName
from palpo.core.server_keys import DAY_MS, LONGEST_MS, ServerKey
from palpo.core.signing import SigningKey
from palpo.streams.clock import Clock

VALIDITY_MS = DAY_MS
"""How long others may rely on what they were told; what is left of it is never under half."""


class ServerKeys:
    """Tells others with which key this server signs, and with which it did."""

    def __init__(
        self, server_name: ServerName, key: SigningKey, clock: Clock, old: Iterable[ServerKey] = ()
    ) -> None:
        """``old`` are the keys that it signed with before."""
        self._server_name = server_name
        self._key = key
        self._clock = clock
        self._old = tuple(old)
        self._published: dict[str, Any] | None = None

    def sign(self, obj: dict[str, Any]) -> dict[str, Any]:
        """``obj`` with the server's signature, in canonical order; raises BadJson.

        So a signature can be verified over what is sent as it is, as some do.
        """
        signed = signing.sign_json(obj, self._server_name, self._key)
        return canonical_json.decode_object(canonical_json.encode_lax(signed))

    def published(self) -> dict[str, Any]:
        """The signed Server Keys object."""
        now = self._clock.now_ms()
        if self._published is None or self._published["valid_until_ts"] < now + VALIDITY_MS // 2:
            self._published = self.sign(
                {
                    "server_name": self._server_name,
                    "verify_keys": {self._key.key_id: {"key": self._key.verify_key_base64}},
                    "old_verify_keys": {
                        key.key_id: {"key": key.verify_key, "expired_ts": key.valid_until_ts}
                        for key in self._old
                    },
                    "valid_until_ts": now + VALIDITY_MS,
                }
            )
        return self._published

    def keys(self) -> tuple[ServerKey, ...]:
        """All of them, as others have them."""
        current = ServerKey(
            server_name=self._server_name,
            key_id=self._key.key_id,
            verify_key=self._key.verify_key_base64,
            valid_until_ts=self._clock.now_ms() + LONGEST_MS,
            retired=False,
        )
        return (current, *self._old)
