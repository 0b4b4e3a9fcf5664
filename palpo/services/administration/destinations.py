"""Other servers: all that share rooms with users here, and how it is with each."""

from __future__ import annotations

from dataclasses import dataclass

from palpo.core.errors import InvalidParam, NotFound
from palpo.core.identifiers import ServerName
from palpo.db import consumers
from palpo.db.engine import Database
from palpo.db.transaction import Transaction
from palpo.services.federation.sending.destination_queue import pause_after
from palpo.services.federation.servers.destinations import Destinations
from palpo.storage import destinations as storage
from palpo.storage import room_servers
from palpo.storage.destinations import SENDER, Destination


@dataclass(frozen=True, slots=True, kw_only=True)
class KnownServer:
    """A server. Times are milliseconds since the Unix epoch, or of a span."""

    name: ServerName
    failing_since_ts: int | None
    """None where it could be told last."""
    last_try_ts: int
    """When it could not be told last; 0 where it could."""
    pause_ms: int
    """How long it is left alone since; 0 where it is not."""
    told_upto: int
    """Everything up to this position of the stream."""
    error: str


class DestinationAdministration:
    """Looks at other servers, and has them tried."""

    def __init__(self, db: Database, destinations: Destinations) -> None:
        self._db = db
        self._destinations = destinations

    async def all(self) -> list[KnownServer]:
        """Those that share a room with users here, or did, and those that are to be told of something."""

        async def unit(tx: Transaction) -> list[KnownServer]:
            upto = await consumers.position_of(tx, SENDER) or 0
            behind = {item.server_name: item for item in await storage.every(tx)}
            names = {*behind, *await room_servers.all_servers(tx)}
            return [_known(name, behind.get(name), upto) for name in sorted(names)]

        return await self._db.read(unit)

    async def find(self, name: str) -> KnownServer:
        """One of them; raises NotFound."""

        async def unit(tx: Transaction) -> KnownServer | None:
            behind = await storage.find(tx, name)
            if behind is None and not await room_servers.is_known(tx, name):
                return None
            return _known(ServerName(name), behind, await consumers.position_of(tx, SENDER) or 0)

        found = await self._db.read(unit)
        if found is None:
            raise NotFound("That server shares no room with users here")
        return found

    async def rooms(self, name: str) -> list[tuple[str, int]]:
        """The rooms that a server is in, by ID, each with the position of its newest event of ours.

        Raises NotFound.
        """
        await self.find(name)
        return await self._db.read(lambda tx: room_servers.rooms_of(tx, name))

    async def retry(self, name: str) -> None:
        """Try a server now that could not be told; raises NotFound, InvalidParam for one that could."""
        found = await self.find(name)
        if found.failing_since_ts is None:
            raise InvalidParam("That server can be told: there is nothing to reset")
        await self._destinations.retry(found.name)


def _known(name: ServerName, behind: Destination | None, upto: int) -> KnownServer:
    failures = 0 if behind is None else behind.failures
    if behind is None or not failures:
        told = upto if behind is None else behind.sent_upto
        return KnownServer(
            name=name, failing_since_ts=None, last_try_ts=0, pause_ms=0, told_upto=told, error=""
        )
    pause_ms = pause_after(failures)
    return KnownServer(
        name=name,
        failing_since_ts=behind.failing_since_ts,
        last_try_ts=max(behind.failing_since_ts, behind.retry_ts - pause_ms),
        pause_ms=pause_ms,
        told_upto=behind.sent_upto,
        error=behind.error,
    )
