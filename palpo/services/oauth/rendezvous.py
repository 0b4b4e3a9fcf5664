"""Where a device that is signed in and one that is not meet, to sign that in by a QR code (MSC4108, MSC4388).

What they leave there is encrypted, and nothing to this server but bytes. They are few, and gone soon: this is
no place to keep anything.
"""

from __future__ import annotations

import secrets

from palpo.core.errors import Conflict, MatrixError, NotFound, TooLarge
from palpo.core.records.rendezvous import Rendezvous
from palpo.db.engine import Database
from palpo.db.transaction import WriteTransaction
from palpo.storage import rendezvous as storage
from palpo.streams.clock import Clock

LIFETIME_MS = 300_000
MAX_DATA = 4096
"""Bytes."""
MAX_ID = 64
MAX_AT_ONCE = 2000
"""The oldest make room."""
COUNTED_EACH = 50
"""How many begin before they are counted again."""


class Meetings:
    """Begins them, and hands on what is left there."""

    def __init__(self, db: Database, clock: Clock) -> None:
        self._db = db
        self._clock = clock
        self._begun = 0

    async def begin(self, data: bytes) -> Rendezvous:
        """A new one, with what is left there first; raises TooLarge."""
        _check(data)
        now = self._clock.now_ms()
        new = Rendezvous(
            rendezvous_id=secrets.token_urlsafe(18),
            sequence=secrets.token_urlsafe(12),
            data=data,
            modified_ts=now,
            expires_ts=now + LIFETIME_MS,
        )
        self._begun += 1
        counts = self._begun % COUNTED_EACH == 0

        async def unit(tx: WriteTransaction) -> None:
            await storage.insert(tx, new)
            if counts:
                await storage.forget_oldest(tx, keep=MAX_AT_ONCE)

        await self._db.write(unit)
        return new

    async def get(self, rendezvous_id: str) -> Rendezvous:
        """What is there now; raises NotFound."""
        now = self._clock.now_ms()
        found = None
        if len(rendezvous_id) <= MAX_ID:
            found = await self._db.read(lambda tx: storage.find(tx, rendezvous_id, now_ms=now))
        if found is None:
            raise _gone()
        return found

    async def put(self, rendezvous_id: str, sequence: str, data: bytes) -> Rendezvous:
        """Leave other data, by who has seen those that are there.

        The same data again are what is there already: an answer may have been lost. Raises TooLarge,
        NotFound, and Conflict, M_CONCURRENT_WRITE, for who has not seen them.
        """
        _check(data)
        now, new = self._clock.now_ms(), secrets.token_urlsafe(12)

        async def unit(tx: WriteTransaction) -> Rendezvous | MatrixError:
            found = await storage.find(tx, rendezvous_id, now_ms=now)
            if found is None:
                return _gone()
            if found.sequence != sequence:
                return found if found.data == data else concurrent()
            if not await storage.replace(tx, rendezvous_id, old=sequence, new=new, data=data, now_ms=now):
                return concurrent()
            return Rendezvous(
                rendezvous_id=rendezvous_id,
                sequence=new,
                data=data,
                modified_ts=now,
                expires_ts=found.expires_ts,
            )

        outcome = await self._db.write(unit) if len(rendezvous_id) <= MAX_ID else _gone()
        if isinstance(outcome, MatrixError):
            raise outcome
        return outcome

    async def end(self, rendezvous_id: str) -> None:
        """End one; raises NotFound."""
        await self.get(rendezvous_id)
        await self._db.write(lambda tx: storage.remove(tx, rendezvous_id))


def _check(data: bytes) -> None:
    if len(data) > MAX_DATA:
        raise TooLarge(f"At most {MAX_DATA} bytes")


def _gone() -> NotFound:
    return NotFound("There is no such rendezvous, or none any more")


def concurrent() -> Conflict:
    """The other device was first."""
    return Conflict("Something else is there by now", errcode="M_CONCURRENT_WRITE")
