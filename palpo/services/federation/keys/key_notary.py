"""Others' keys, as this server knows them, told to whoever trusts it (spec: server-server API, "Querying
keys through another server")."""

from __future__ import annotations

from collections.abc import AsyncIterator, Iterable, Iterator, Mapping
from itertools import islice
from typing import Any

from palpo.core import canonical_json, signing
from palpo.core.errors import InvalidParam
from palpo.core.identifiers import ServerName, parse_server_name
from palpo.core.server_keys import LONGEST_MS, WantedKey
from palpo.db.engine import Database
from palpo.services.federation.keys.key_fetches import KeyFetches
from palpo.services.server.server_keys import ServerKeys
from palpo.storage import server_signing_keys as storage
from palpo.storage.server_signing_keys import Answer
from palpo.streams.clock import Clock
from palpo.streams.turns import Turns

MAX_SERVERS = 500
"""Servers of one query whose keys are answered; others are left out."""
MAX_FETCHED = 50
"""Servers that are asked because of one query."""
MAX_KEYS = 32
"""Keys of one server that are looked at in a query."""

AskedKeys = Mapping[str | None, int | None]
"""By key ID, None for any, the least that it should be valid until, None for now: milliseconds since the Unix
epoch."""


class KeyNotary:
    """Answers queries for keys."""

    def __init__(
        self, server_name: ServerName, own: ServerKeys, db: Database, clock: Clock, fetches: KeyFetches
    ) -> None:
        self._server_name = server_name
        self._own = own
        self._db = db
        self._clock = clock
        self._fetches = fetches

    async def answers(self, asked: Mapping[str, AskedKeys]) -> list[dict[str, Any]]:
        """The keys of those servers that are known, each signed by its server and by this one.

        What is known is fetched again where it is not what is asked for, or has come to half of its life;
        what was last heard of a server is answered if it does not answer now.
        """
        names = list(_server_names(asked))[:MAX_SERVERS]
        others = [name for name in names if name != self._server_name]
        known = await self._known(others)
        wanted = [
            item for name in others if (item := self._lacking(name, known.get(name), asked[name])) is not None
        ][:MAX_FETCHED]
        if wanted:
            await self._fetches.fetch(wanted)
            known |= await self._known([item.server_name for item in wanted])
        return [signed async for signed in self._signed(names, known)]

    async def _known(self, names: list[ServerName]) -> dict[ServerName, Answer]:
        return await self._db.read(lambda tx: storage.answers_of(tx, names)) if names else {}

    def _lacking(self, name: ServerName, answer: Answer | None, keys: AskedKeys) -> WantedKey | None:
        """A key by which it can be seen that the server has been asked again; None where it need not be."""
        now = self._clock.now_ms()
        if answer is None:
            return WantedKey(server_name=name, key_id=None, valid_until_ts=now)
        current, old = _key_ids(answer)
        for key_id, until in islice(keys.items(), MAX_KEYS):
            least = now if until is None else min(until, now + LONGEST_MS)
            # When an old key expired is not going to change.
            if key_id not in old and (key_id not in {*current, None} or answer.valid_until_ts < least):
                return WantedKey(server_name=name, key_id=key_id, valid_until_ts=least)
        if now < (answer.answered_ts + answer.valid_until_ts) // 2:
            return None
        return WantedKey(server_name=name, key_id=None, valid_until_ts=answer.valid_until_ts + 1)

    async def _signed(
        self, names: Iterable[ServerName], known: Mapping[ServerName, Answer]
    ) -> AsyncIterator[dict[str, Any]]:
        turns = Turns()
        async for name in turns.over(names):
            if name == self._server_name:
                yield self._own.published()
            elif name in known:
                yield self._own.sign(_as_signed_by(name, known[name]))


def _key_ids(answer: Answer) -> tuple[set[str], set[str]]:
    """The IDs of the keys that a server says it signs with, and of its old ones."""
    said = canonical_json.decode_object(answer.answer)
    kinds = (said.get("verify_keys"), said.get("old_verify_keys"))
    current, old = (set(keys) if isinstance(keys, dict) else set() for keys in kinds)
    return current, old


def _as_signed_by(name: ServerName, answer: Answer) -> dict[str, Any]:
    """The answer with no signatures but its server's own: the others may be anything."""
    said = canonical_json.decode_object(answer.answer)
    own = {key_id: said["signatures"][name][key_id] for key_id in signing.signature_key_ids(said, name)}
    return {**said, "signatures": {name: own}}


def _server_names(asked: Iterable[str]) -> Iterator[ServerName]:
    for text in asked:
        try:
            yield parse_server_name(text)
        except InvalidParam:
            continue
