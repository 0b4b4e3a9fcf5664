"""Whether the server is well, at a glance."""

from __future__ import annotations

import asyncio
import shutil
from collections.abc import Sequence
from dataclasses import dataclass

from palpo.core.records.jobs import Job
from palpo.db.table_sizes import TableSize, table_sizes
from palpo.db.transaction import Transaction
from palpo.services.server import Server
from palpo.storage import admin_counts
from palpo.storage import destinations as destinations_storage
from palpo.storage.destinations import Destination


@dataclass(frozen=True, slots=True, kw_only=True)
class Overview:
    """What there is to see of a server."""

    failing: dict[str, str]
    """The parts that do not work, with why."""
    users: int
    """Accounts that are not deactivated."""
    rooms: int
    reports: int
    tables: Sequence[TableSize]
    """The largest first; of SQLite, the file."""
    away: Sequence[Destination]
    """Other servers that could not be told."""
    jobs: Sequence[Job]
    """The newest."""
    disk_free: int
    """Bytes, where the data folder is."""
    disk_total: int


class ServerOverviews:
    """Looks when it is asked."""

    def __init__(self, server: Server) -> None:
        self._db = server.db
        self._health = server.health
        self._jobs = server.jobs
        self._folder = server.config.data

    async def now(self) -> Overview:
        """How it is now; raises DatabaseError where that cannot be said."""

        async def unit(tx: Transaction) -> tuple[admin_counts.Counts, list[TableSize], list[Destination]]:
            away = [item for item in await destinations_storage.every(tx) if item.failures]
            return await admin_counts.count(tx), await table_sizes(tx), away

        counts, tables, away = await self._db.read(unit)
        disk = await asyncio.to_thread(shutil.disk_usage, self._folder)
        return Overview(
            failing=await self._health.failing(),
            users=counts.users,
            rooms=counts.rooms,
            reports=counts.reports,
            tables=tables,
            away=away,
            jobs=await self._jobs.find(limit=5),
            disk_free=disk.free,
            disk_total=disk.total,
        )
