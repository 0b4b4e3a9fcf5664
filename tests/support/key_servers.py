"""Other servers and notaries, as far as their signing keys go."""

from __future__ import annotations

import asyncio
import json
from collections import Counter
from collections.abc import Awaitable, Callable, Iterable, Mapping
from dataclasses import dataclass, field
from typing import Any

from palpo.core import canonical_json, signing
from palpo.core.identifiers import ServerName
from palpo.core.server_keys import DAY_MS
from palpo.core.signing import SigningKey

NOW = 1_700_000_000_000
HOUR_MS = 3600 * 1000


def name(text: str) -> ServerName:
    return ServerName(text)


def make_key(version: str, letter: str = "k") -> SigningKey:
    """A key whose seed is a letter."""
    return SigningKey(key_id=f"ed25519:{version}", seed=letter.encode() * 32)


def unsigned(
    server_name: str,
    keys: Iterable[SigningKey],
    *,
    valid_until_ts: Any = NOW + DAY_MS,
    old: Mapping[str, tuple[SigningKey, Any]] | None = None,
) -> dict[str, Any]:
    """What a server would sign."""
    return {
        "server_name": server_name,
        "valid_until_ts": valid_until_ts,
        "verify_keys": {key.key_id: {"key": key.verify_key_base64} for key in keys},
        "old_verify_keys": {
            key_id: {"key": key.verify_key_base64, "expired_ts": expired_ts}
            for key_id, (key, expired_ts) in (old or {}).items()
        },
    }


def signed(server_name: str, keys: Iterable[SigningKey], **more: Any) -> dict[str, Any]:
    """What a server says of its keys."""
    keys = list(keys)
    obj = unsigned(server_name, keys, **more)
    for key in keys:
        obj = signing.sign_json(obj, server_name, key)
    return obj


def encoded(obj: Any) -> bytes:
    return canonical_json.encode_lax(obj)


Answer = Callable[[], Awaitable[bytes]]


@dataclass
class Network:
    """Servers by name: what each says of its keys, or what becomes of asking it."""

    servers: dict[str, dict[str, Any] | bytes | Exception | Answer] = field(default_factory=dict)
    notaries: dict[str, Any] = field(default_factory=dict)
    """What each makes of a query, an exception, or ``never``."""
    fetched: Counter[str] = field(default_factory=Counter)
    queries: list[tuple[str, Mapping[str, Any]]] = field(default_factory=list)
    at_once: int = 0
    most_at_once: int = 0

    async def fetch(self, server_name: ServerName, path: str) -> bytes:
        assert path == "/_matrix/key/v2/server"
        self.fetched[server_name] += 1
        self.at_once += 1
        self.most_at_once = max(self.most_at_once, self.at_once)
        try:
            await asyncio.sleep(0)
            match self.servers.get(server_name, OSError("no such server")):
                case Exception() as error:
                    raise error
                case bytes() as data:
                    return data
                case dict() as obj:
                    return encoded(obj)
                case answer:
                    return await answer()
        finally:
            self.at_once -= 1

    async def query(self, notary: ServerName, body: bytes) -> bytes:
        asked = json.loads(body)["server_keys"]
        self.queries.append((notary, asked))
        await asyncio.sleep(0)
        answer = self.notaries[notary]
        if isinstance(answer, Exception):
            raise answer
        if answer is never:
            await never()
        return encoded(answer(asked))


async def never() -> bytes:
    """A server that accepts connections, and says nothing."""
    await asyncio.Event().wait()
    raise AssertionError


def notary_of(
    notary: str, key: SigningKey, known: Mapping[str, dict[str, Any]]
) -> Callable[[Mapping[str, Any]], dict[str, Any]]:
    """A notary that knows what some servers say."""

    def answer(asked: Mapping[str, Any]) -> dict[str, Any]:
        found = [signing.sign_json(obj, notary, key) for server, obj in known.items() if server in asked]
        return {"server_keys": found}

    return answer
