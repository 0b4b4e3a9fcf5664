"""The device lists of other servers' users: kept in step by what these servers tell, or fetched from them.

A list is kept of users whose keys somebody here asks for and who share a room with them: only then does the
user's server tell of changes. It is fetched from there at the first question. An update is put into the list
if it follows the one before; otherwise the list is out of step, is not used, and is fetched again: at the
next question, or after a while, and after growing pauses where that fails, over restarts too.
"""

from __future__ import annotations

from collections.abc import Collection, Iterable, Mapping, Sequence
from dataclasses import replace
from functools import partial
from urllib.parse import quote

import structlog

from palpo.core.identifiers import ServerName, UserId, server_name_of
from palpo.db.engine import Database
from palpo.db.transaction import Transaction, WriteTransaction
from palpo.net.connections import Times
from palpo.net.federation_client import FederationClient
from palpo.net.federation_errors import ServerError
from palpo.services.federation.asking.received_devices import (
    ReceivedDevices,
    of_devices_answer,
    of_keys_answer,
)
from palpo.storage import device_lists, shared_rooms
from palpo.storage import remote_device_lists as storage
from palpo.storage.remote_device_lists import RemoteDevice, RemoteDeviceList
from palpo.streams.clock import Clock
from palpo.streams.task_group import together
from palpo.streams.wakeups import Wakeups

log = structlog.get_logger("palpo.federation")

RESYNC_MS = (10_000, 3600 * 1000)
"""After how long a list that is out of step is fetched if nobody asks for it: at first, and at most."""
MAX_LISTS = 50_000
"""Of one server's users that are kept: keys of others are fetched each time."""
MAX_ASKED = 200
"""Users in one request."""
FEW = 8
"""Lists that are fetched one by one, so that later updates can be put into them."""
ANSWER_BYTES = 8 * 1024 * 1024
DEVICE_LEVELS = 3
"""How deep devices are in an answer: below users."""
DEVICES_BYTES = 2 * 1024 * 1024

Kept = Mapping[str, tuple[RemoteDeviceList, Sequence[RemoteDevice]]]
"""By user: a list, and its devices."""


class RemoteDeviceLists:
    """Keeps them, and fetches them."""

    def __init__(self, db: Database, wakeups: Wakeups, clock: Clock, client: FederationClient) -> None:
        self._db = db
        self._wakeups = wakeups
        self._clock = clock
        self._client = client

    async def in_step(self, observer: UserId, user_ids: Collection[str]) -> Kept:
        """The lists that are as the users' servers have them."""

        async def unit(tx: Transaction) -> Kept:
            lists = await storage.in_step(tx, user_ids, observer=observer)
            devices: dict[str, list[RemoteDevice]] = {user_id: [] for user_id in lists}
            for item in await storage.devices_of(tx, lists):
                devices[item.user_id].append(item)
            return {user_id: (item, devices[user_id]) for user_id, item in lists.items()}

        return await self._db.read(unit)

    async def fetch(
        self, server: ServerName, user_ids: Sequence[UserId], *, observer: UserId, within_s: float
    ) -> list[ReceivedDevices]:
        """What a server has of its users; kept of those who share a room with ``observer``.

        Raises FederationError and Malformed, which is remembered of those.
        """
        parts = (user_ids[start : start + MAX_ASKED] for start in range(0, len(user_ids), MAX_ASKED))
        found = await together([self._fetch_some(server, part, observer, within_s) for part in parts])
        return [item for some in found for item in some]

    async def _fetch_some(
        self, server: ServerName, user_ids: Sequence[UserId], observer: UserId, within_s: float
    ) -> list[ReceivedDevices]:
        position = self._wakeups.position
        known = await self._db.write(partial(self._begin, server, user_ids, observer))
        again = [user_id for user_id in user_ids if user_id in known and known[user_id].changes][:FEW]
        others = [user_id for user_id in user_ids if user_id not in again]
        asking = [self._all_devices(server, user_id, within_s) for user_id in again]
        try:
            answers = await together([self._query(server, others, within_s), *asking])
        except Exception:
            await self.failed(known.values())
            raise
        found = [item for answer in answers for item in answer]
        await self._db.write(partial(self._store, found, known, position))
        return found

    async def resync(self, lists: Sequence[RemoteDeviceList], *, within_s: float) -> None:
        """Fetch lists of one server that are out of step, as long as it answers.

        Raises FederationError and Malformed, which is remembered.
        """
        for number, item in enumerate(lists):
            position = self._wakeups.position
            try:
                found = await self._all_devices(item.server_name, item.user_id, within_s)
            except Exception:
                await self.failed(lists[number:])
                raise
            await self._db.write(partial(self._store, found, {item.user_id: item}, position))

    async def failed(self, lists: Iterable[RemoteDeviceList]) -> None:
        """Note that lists could not be fetched."""
        now_ms, before = self._clock.now_ms(), {item.user_id: item for item in lists}

        async def unit(tx: WriteTransaction) -> None:
            found = (await storage.find(tx, before)).values()
            await storage.put(
                tx,
                [
                    replace(item, failures=item.failures + 1, resync_ts=now_ms + _pause_ms(item.failures))
                    for item in found
                    if item.changes == before[item.user_id].changes
                ],
            )

        if before:
            await self._db.write(unit)

    async def due(self, limit: int) -> list[RemoteDeviceList]:
        """Lists that are to be fetched by now; those of users who are in no room here are forgotten."""
        now_ms = self._clock.now_ms()
        found = await self._db.read(lambda tx: storage.due(tx, now_ms=now_ms, limit=limit))
        here = await self.forget_strangers([item.user_id for item in found])
        return [item for item in found if item.user_id in here]

    async def some_users(self, after: str, limit: int) -> list[str]:
        """The next users, in order, of whom there are lists."""
        return await self._db.read(lambda tx: storage.users_after(tx, after, limit))

    async def forget_strangers(self, user_ids: Sequence[str]) -> set[str]:
        """Forget the lists of those who are in no room with a user of this server; the others."""
        here = await self._db.read(lambda tx: shared_rooms.with_anybody_here(tx, user_ids))
        strangers = [user_id for user_id in user_ids if user_id not in here]
        if strangers:
            await self._db.write(lambda tx: storage.delete_all(tx, strangers))
        return here

    async def _begin(
        self, server: ServerName, user_ids: Sequence[UserId], observer: UserId, tx: WriteTransaction
    ) -> Mapping[str, RemoteDeviceList]:
        """The lists of those whose lists are kept; there from now on, so that updates are noted in them."""
        sharing = await shared_rooms.sharing(tx, observer, user_ids)
        known = await storage.find(tx, sharing)
        room = MAX_LISTS - await storage.count(tx, server) if len(known) < len(sharing) else 0
        resync_ts = self._clock.now_ms() + RESYNC_MS[0]
        new = [
            RemoteDeviceList(user_id=user_id, server_name=server, resync_ts=resync_ts)
            for user_id in user_ids
            if user_id in sharing and user_id not in known
        ][: max(room, 0)]
        await storage.put(tx, new)
        return known | {item.user_id: item for item in new}

    async def _store(
        self,
        found: Sequence[ReceivedDevices],
        known: Mapping[str, RemoteDeviceList],
        position: int,
        tx: WriteTransaction,
    ) -> None:
        """Store what was fetched at a position of lists of which nothing was heard since."""
        await tx.positions()
        lists = await storage.find(tx, known)
        fresh = [
            item
            for item in found
            if item.user_id in lists and lists[item.user_id].changes == known[item.user_id].changes
        ]
        await storage.delete_devices(tx, [item.user_id for item in fresh])
        await storage.put_devices(tx, [device for item in fresh for device in item.devices])
        await storage.put(tx, [_in_step(lists[item.user_id], item, position) for item in fresh])
        for item in fresh:
            # Who asked in vain meanwhile is told to ask again.
            if lists[item.user_id].failures:
                await device_lists.record(tx, item.user_id)

    async def _query(
        self, server: ServerName, user_ids: Sequence[UserId], within_s: float
    ) -> list[ReceivedDevices]:
        if not user_ids:
            return []
        answer = await self._client.json(
            server,
            "POST",
            "/_matrix/federation/v1/user/keys/query",
            content={"device_keys": {user_id: [] for user_id in user_ids}},
            limit=ANSWER_BYTES,
            levels=DEVICE_LEVELS,
            times=_times(within_s),
        )
        return await of_keys_answer(user_ids, answer)

    async def _all_devices(
        self, server: ServerName, user_id: UserId, within_s: float
    ) -> list[ReceivedDevices]:
        try:
            answer = await self._client.json(
                server,
                "GET",
                f"/_matrix/federation/v1/user/devices/{quote(user_id, safe='')}",
                limit=DEVICES_BYTES,
                times=_times(within_s),
            )
        except ServerError as error:
            if not 400 <= error.status < 500:
                raise
            # There is no such user any more, or no such request on an old server.
            return await self._query(server, [user_id], within_s)
        return [of_devices_answer(user_id, answer)]


def by_server(user_ids: Iterable[str]) -> dict[ServerName, list[UserId]]:
    """Users by their servers."""
    found: dict[ServerName, list[UserId]] = {}
    for user_id in user_ids:
        found.setdefault(server_name_of(user_id), []).append(UserId(user_id))
    return found


def _in_step(item: RemoteDeviceList, found: ReceivedDevices, position: int) -> RemoteDeviceList:
    return replace(
        item,
        position=position,
        stream_id=found.stream_id,
        resync_ts=None,
        failures=0,
        master_key=found.master_key,
        self_signing_key=found.self_signing_key,
    )


def _pause_ms(failures: int) -> int:
    first, longest = RESYNC_MS
    return int(min(first * 2 ** min(failures, 16), longest))


def _times(within_s: float) -> Times:
    return Times(whole_s=within_s, connect_s=within_s, idle_s=within_s)
