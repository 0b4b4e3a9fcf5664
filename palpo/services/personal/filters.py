"""Filters that clients upload (spec: client-server API, "Filtering")."""

from __future__ import annotations

from functools import partial
from hashlib import blake2b

from palpo.core.canonical_json import trimmed
from palpo.core.errors import NotFound, TooLarge
from palpo.core.identifiers import UserId
from palpo.core.records.quotas import Kind
from palpo.core.unpadded_base64 import encode_urlsafe
from palpo.db.engine import Database
from palpo.db.transaction import WriteTransaction
from palpo.services.server.quotas import Quotas
from palpo.storage import filters as storage
from palpo.streams.caches import Cache, CacheBudget

MAX_FILTER = 64 * 1024
"""Bytes of a filter as JSON."""


class Filters:
    """Keeps filters. A filter's ID is a digest of it, so it never changes and may be kept in memory.

    No client can delete one, and some cannot start without, so nobody is refused: of a user who has as many
    as they may have, the oldest makes room. A client whose filter is gone is told so, and uploads it again.
    """

    def __init__(self, db: Database, caches: CacheBudget, quotas: Quotas) -> None:
        self._db = db
        self._quotas = quotas
        self._cache: Cache[tuple[str, str], bytes] = caches.cache("filters")

    async def define(self, user_id: UserId, filter_: bytes) -> str:
        """Store a filter, a JSON object that has been checked; its ID. Raises TooLarge."""
        if len(filter_) > MAX_FILTER:
            raise TooLarge(f"A filter is at most {MAX_FILTER} bytes")
        filter_id = encode_urlsafe(blake2b(filter_, digest_size=12).digest())
        if self._cache.touch((user_id, filter_id)) is None:
            await self._db.write(partial(self._put, user_id, filter_id, filter_))
            self._cache.keep({(user_id, filter_id): trimmed(filter_)})
        return filter_id

    async def _put(self, user_id: UserId, filter_id: str, filter_: bytes, tx: WriteTransaction) -> None:
        await storage.put(tx, user_id, filter_id, filter_, await tx.positions())
        count = await storage.count(tx, user_id)
        limit = self._quotas.limit(Kind.FILTERS, user_id)
        if limit is not None and count > limit:
            oldest = await storage.oldest(tx, user_id, count - limit)
            await storage.delete_some(tx, user_id, oldest)
            tx.on_commit(lambda _position: self._forget(user_id, oldest))
            count -= len(oldest)
        await self._quotas.settle(tx, user_id, {Kind.FILTERS: count})

    def _forget(self, user_id: UserId, filter_ids: list[str]) -> None:
        self._cache.forget([(user_id, filter_id) for filter_id in filter_ids])

    async def get(self, user_id: UserId, filter_id: str) -> bytes:
        """A filter's JSON; raises NotFound."""
        return await self._cache.get_or_read((user_id, filter_id), lambda: self._read(user_id, filter_id))

    async def _read(self, user_id: UserId, filter_id: str) -> bytes:
        found = None
        if len(filter_id) <= 32:
            found = await self._db.read(lambda tx: storage.get(tx, user_id, filter_id))
        if found is None:
            raise NotFound("No such filter")
        return found
