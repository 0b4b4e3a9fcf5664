"""Clients that register themselves (spec: client-server API, "Client registration")."""

from __future__ import annotations

import hashlib
from collections.abc import Mapping
from typing import Any

import msgspec

from palpo.core.oauth.clients import read_metadata
from palpo.core.oauth.errors import INVALID_CLIENT, OAuthError
from palpo.core.records.oauth import Client
from palpo.core.unpadded_base64 import encode_urlsafe
from palpo.db.engine import Database
from palpo.db.transaction import WriteTransaction
from palpo.storage import oauth as storage
from palpo.streams.clock import Clock

MAX_CLIENT_ID = 64
"""Characters of an ID that is looked up at all."""
MAX_CLIENTS = 20_000
"""Those beyond go, if they have no grant and no code that is under way."""
COUNTED_EACH = 100
"""How many register before they are counted again."""
BATCH = 500


class OAuthClients:
    """Registers clients, and knows them again.

    A client's ID is made of what it says of itself. So all installations of one application have the same,
    and registering it a thousand times makes one row.
    """

    def __init__(self, db: Database, clock: Clock) -> None:
        self._db = db
        self._clock = clock
        self._registered = 0

    async def register(self, said: Mapping[str, Any]) -> Client:
        """The client that says this of itself; raises OAuthError."""
        metadata = read_metadata(said)
        hash_ = hashlib.blake2b(msgspec.json.encode(metadata), digest_size=32).digest()
        client = Client(client_id=encode_urlsafe(hash_[:18]), metadata=metadata)
        now = self._clock.now_ms()
        self._registered += 1
        counts = self._registered % COUNTED_EACH == 0

        async def unit(tx: WriteTransaction) -> None:
            await storage.put_client(tx, client, hash_, now_ms=now)
            if counts and (last := await storage.age_of_surplus(tx, keep=MAX_CLIENTS)) is not None:
                await storage.forget_clients(tx, before_ts=last + 1, limit=BATCH)

        await self._db.write(unit)
        return client

    async def find(self, client_id: str) -> Client:
        """A client; raises OAuthError, ``invalid_client`` (401), where none is called so."""
        found = None
        if 0 < len(client_id) <= MAX_CLIENT_ID and "\0" not in client_id:
            found = await self._db.read(lambda tx: storage.client(tx, client_id))
        if found is None:
            raise OAuthError(INVALID_CLIENT, "The client is not registered here", status=401)
        return found
