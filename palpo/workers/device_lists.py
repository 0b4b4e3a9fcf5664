"""Fetches the device lists of other servers' users that are out of step, and forgets those of strangers."""

from __future__ import annotations

import asyncio
from collections.abc import Sequence

import structlog

from palpo.core.errors import MatrixError
from palpo.db.errors import DatabaseError
from palpo.db.leases import Lease
from palpo.net.federation_errors import FederationError
from palpo.services.federation.asking.remote_device_lists import RemoteDeviceLists
from palpo.storage.remote_device_lists import RemoteDeviceList
from palpo.streams.task_group import together

log = structlog.get_logger("palpo.federation")

PERIOD_S = 5.0
ROUNDS_OF_STRANGERS = 720
"""After how many periods all lists are gone through once."""
BATCH = 500
AT_ONCE = 50
"""Servers."""
REQUEST_S = 20.0


class DeviceListWorker:
    """One process at a time is enough."""

    def __init__(self, lists: RemoteDeviceLists, *, period_s: float = PERIOD_S) -> None:
        self._lists = lists
        self._period_s = period_s

    async def run(self, _lease: Lease) -> None:
        """Go on until cancelled."""
        number = 0
        while True:
            await asyncio.sleep(self._period_s)
            number += 1
            try:
                await self.resync()
                if number % ROUNDS_OF_STRANGERS == 0:
                    await self.forget_strangers()
            except (DatabaseError, OSError) as error:
                log.warning("device_lists_failed", error=str(error))

    async def resync(self) -> None:
        """Fetch what is to be fetched by now, of some servers at a time."""
        by_server: dict[str, list[RemoteDeviceList]] = {}
        for item in await self._lists.due(BATCH):
            by_server.setdefault(item.server_name, []).append(item)
        places = asyncio.Semaphore(AT_ONCE)

        async def of_server(lists: Sequence[RemoteDeviceList]) -> None:
            async with places:
                try:
                    await self._lists.resync(lists, within_s=REQUEST_S)
                except (FederationError, MatrixError) as error:
                    log.info("device_list_out_of_step", users=len(lists), error=str(error)[:200])

        await together([of_server(lists) for lists in by_server.values()])

    async def forget_strangers(self) -> None:
        """Forget the lists of those who are in no room with a user of this server any more."""
        after = ""
        while users := await self._lists.some_users(after, BATCH):
            await self._lists.forget_strangers(users)
            after = users[-1]
