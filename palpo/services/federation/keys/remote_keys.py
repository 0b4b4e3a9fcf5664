"""Where the keys of other servers come from: the network, as this area needs it."""

from __future__ import annotations

import asyncio
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from typing import Any, Protocol

import structlog

from palpo.core import canonical_json
from palpo.core.errors import Unavailable
from palpo.core.identifiers import ServerName
from palpo.core.server_keys import MAX_ANSWER, KeyAnswer, WantedKey, parse_answer, parse_notary_answer
from palpo.net.federation_client import FederationClient
from palpo.streams.clock import Clock

log = structlog.get_logger("palpo.federation")

KEYS_PATH = "/_matrix/key/v2/server"
QUERY_PATH = "/_matrix/key/v2/query"


class RemoteKeys(Protocol):
    """Asks other servers. What it raises, other than a cancellation, counts as no answer."""

    async def fetch(self, server_name: ServerName, path: str) -> bytes:
        """GET ``path``, with no signature; the body of a 200, of ``server_keys.MAX_ANSWER`` bytes at most."""
        ...

    async def query(self, notary: ServerName, body: bytes) -> bytes:
        """POST JSON to ``QUERY_PATH``; the body of a 200, of ``MAX_NOTARY_ANSWER`` bytes at most."""
        ...


MAX_NOTARY_ANSWER = 2 * 1024 * 1024
"""Bytes of what a notary answers to one query."""


class RemoteKeysClient:
    """Asks them over the network."""

    def __init__(self, client: FederationClient) -> None:
        self._client = client

    async def fetch(self, server_name: ServerName, path: str) -> bytes:
        """See RemoteKeys; raises FederationError."""
        async with self._client.request(server_name, "GET", path, signed=False, limit=MAX_ANSWER) as answer:
            return await answer.read()

    async def query(self, notary: ServerName, body: bytes) -> bytes:
        """See RemoteKeys; raises FederationError."""
        content = canonical_json.decode(body)
        async with self._client.request(
            notary, "POST", QUERY_PATH, content=content, signed=False, limit=MAX_NOTARY_ANSWER
        ) as answer:
            return await answer.read()


@dataclass(frozen=True, slots=True, kw_only=True)
class Notary:
    """A server that is trusted to say what keys others have."""

    name: ServerName
    verify_keys: Mapping[str, str] = field(default_factory=dict)
    """Those that it must sign with, by key ID, in unpadded base64. Empty: those that it publishes."""


def _query(wanted: Iterable[WantedKey]) -> bytes:
    """The body with which a notary is asked."""
    asked: dict[str, dict[str, Any]] = {}
    for item in wanted:
        criteria = asked.setdefault(item.server_name, {})
        if item.key_id is not None:
            criteria[item.key_id] = {"minimum_valid_until_ts": item.valid_until_ts}
    return canonical_json.encode_lax({"server_keys": asked})


@dataclass(frozen=True, slots=True, kw_only=True)
class KeySources:
    """Who is asked for keys."""

    remote: RemoteKeys
    notaries: tuple[Notary, ...] = ()

    async def of_server(self, server_name: ServerName, *, clock: Clock, timeout_s: float) -> KeyAnswer | None:
        """What a server says of itself; None where nothing of it counts."""
        try:
            async with asyncio.timeout(timeout_s):
                data = await self.remote.fetch(server_name, KEYS_PATH)
            return parse_answer(data, server_name, now_ms=clock.now_ms())
        except Exception as error:  # noqa: BLE001 - whatever it is, it costs this server only
            log.info("server_keys_refused", server=server_name, error=repr(error))
            return None

    async def of_notary(
        self, notary: Notary, wanted: Iterable[WantedKey], *, timeout_s: float
    ) -> list[dict[str, Any]] | None:
        """What a notary says of servers, not checked; None where that is not readable."""
        try:
            async with asyncio.timeout(timeout_s):
                data = await self.remote.query(notary.name, _query(wanted))
            if len(data) > MAX_NOTARY_ANSWER:
                raise ValueError("The answer of the notary is too large")
            return parse_notary_answer(data)
        except Exception as error:  # noqa: BLE001 - whatever it is, it costs this notary only
            log.info("notary_refused", notary=notary.name, error=repr(error))
            return None


class _Nobody:
    """Where there is no network."""

    async def fetch(self, server_name: ServerName, path: str) -> bytes:
        raise Unavailable("This server asks no others")

    async def query(self, notary: ServerName, body: bytes) -> bytes:
        raise Unavailable("This server asks no others")


NOBODY = KeySources(remote=_Nobody())
