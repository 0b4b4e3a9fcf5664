"""Many servers that are told of the same."""

from __future__ import annotations

import asyncio
from collections import Counter
from pathlib import Path

import pytest

from palpo.core.identifiers import RoomId, ServerName
from palpo.db.transaction import WriteTransaction
from palpo.services.federation.destination_queue import DestinationQueue, Outgoing
from palpo.services.federation.outgoing_transactions import OutgoingTransactions
from palpo.storage import room_servers
from palpo.workers.federation_sender import EACH_TURN
from tests.support.federated_rooms import until
from tests.support.homeserver import Homeserver
from tests.support.pairs import Town

SERVERS = [ServerName(f"s{number}.example") for number in range(60)]


class Begun:
    """In which turn of the loop servers were begun with; nothing is sent to any."""

    def __init__(self) -> None:
        self.turns = Counter[int]()
        self.turn = 0

    async def next(self, queue: DestinationQueue) -> Outgoing | None:
        self.turns[self.turn] += 1
        await asyncio.Event().wait()
        return None

    async def count(self) -> None:
        while True:
            await asyncio.sleep(0)
            self.turn += 1


async def put_servers_in(server: Homeserver, room_id: str) -> None:
    async def unit(tx: WriteTransaction) -> None:
        await room_servers.assume(tx, RoomId(room_id), SERVERS, 1, await tx.positions())

    await server.services.server.db.write(unit)


async def test_few_are_begun_with_in_a_turn(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    begun = Begun()
    monkeypatch.setattr(OutgoingTransactions, "next", lambda self, queue: begun.next(queue))
    async with Town.of(tmp_path, "hs1.test").homeserver("hs1.test") as server:
        alice = await server.register("alice")
        room_id = await alice.create_room()
        await put_servers_in(server, room_id)
        counting = asyncio.create_task(begun.count())
        try:
            await alice.send(room_id, "tea")
            await until(lambda: begun.turns.total() == len(SERVERS))
        finally:
            counting.cancel()
    assert max(begun.turns.values()) <= EACH_TURN
