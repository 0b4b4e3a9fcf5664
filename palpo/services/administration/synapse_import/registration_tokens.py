"""Registration tokens."""

from __future__ import annotations

from collections.abc import AsyncIterator
from functools import partial
from typing import Any

import msgspec

from palpo.db.engine import Database
from palpo.db.transaction import WriteTransaction
from palpo.services.administration.synapse_import.steps import Batch, Source, Step
from palpo.storage import registration_tokens as storage
from palpo.storage.registration_tokens import RegistrationToken
from palpo.storage.synapse import registration_tokens as their_storage
from palpo.storage.synapse.user_rows import Row
from palpo.streams.clock import Clock


class RegistrationTokens(Step):
    """All at once: administrators make them."""

    name = "registration tokens"

    def __init__(self, source: Source, db: Database, clock: Clock) -> None:
        self._source = source
        self._db = db
        self._clock = clock

    async def count(self) -> int:
        """The tokens."""
        return len(await self._tokens())

    async def batches(self, after: Any) -> AsyncIterator[Batch]:
        """One."""
        if after is None:
            tokens = await self._tokens()
            yield Batch(after=True, rows=len(tokens), write=partial(_store, tokens))

    async def differences(self) -> AsyncIterator[str]:
        """Token by token."""
        here = {token.token: token for token in await self._db.read(storage.find_all)}
        for token in await self._tokens():
            found = here.get(token.token)
            if found is None or msgspec.structs.replace(found, created_ts=token.created_ts) != token:
                yield f"{token.token}: not here as it is there"

    async def _tokens(self) -> list[RegistrationToken]:
        now = self._clock.now_ms()
        return [_token(row, now) for row in await self._source.db.read(their_storage.find_all)]


def _token(row: Row, now_ms: int) -> RegistrationToken:
    return RegistrationToken(
        token=row["token"],
        uses_allowed=row["uses_allowed"],
        completed=row["completed"],
        expires_ts=row["expiry_time"],
        created_ts=now_ms,
    )


async def _store(tokens: list[RegistrationToken], tx: WriteTransaction) -> None:
    for token in tokens:
        await storage.insert(tx, token)
