"""Servers that could not be told of what happens here, and when they are tried again.

Who tells them (``palpo.workers.federation_sender``) is one process; this is what any other knows of it.
"""

from __future__ import annotations

from collections.abc import Set

from palpo.core.errors import NotFound
from palpo.core.identifiers import ServerName
from palpo.db.engine import Database
from palpo.db.transaction import WriteTransaction
from palpo.storage import destinations as storage
from palpo.storage.destinations import Destination
from palpo.streams import topics
from palpo.streams.wakeups import Wakeups


class Destinations:
    """Says which there are, and has them tried."""

    def __init__(self, db: Database, wakeups: Wakeups) -> None:
        self._db = db
        self._failing: set[ServerName] | None = None
        """Those that the database has; None where they are to be read."""
        self._changes = 0
        wakeups.listen(topics.DESTINATIONS, self._changed)

    async def all(self) -> list[Destination]:
        """Those that have not been told of everything, by name."""
        return await self._db.read(storage.every)

    async def heard_from(self, server_name: ServerName) -> None:
        """A server has asked something: if it could not be told lately, it is tried now."""
        failing = await self._read() if self._failing is None else self._failing
        if server_name in failing:
            failing.discard(server_name)
            await self._retry(server_name)

    async def retry(self, server_name: ServerName) -> None:
        """Try a server now; raises NotFound where it has been told of everything."""
        if all(item.server_name != server_name for item in await self.all()):
            raise NotFound("That server has been told of everything")
        await self._retry(server_name)

    async def _read(self) -> set[ServerName]:
        changes = self._changes
        found = await self._db.read(storage.failing)
        if changes == self._changes:
            self._failing = found
        return found

    async def _retry(self, server_name: ServerName) -> None:
        async def unit(tx: WriteTransaction) -> None:
            storage.retry(tx, [server_name])

        await self._db.write(unit)

    def _changed(self, server_names: Set[str] | None, position: int) -> None:
        self._failing = None
        self._changes += 1
