"""What events of another server cost as they come in: ``python -m bench.inbound``.

A server of ours, in this process, is sent transactions over ASGI, signed, by a server whose keys it knows:

- *one room*: 50 events of one room, one after the other, in a transaction;
- *many rooms*: 50 events of 50 rooms in a transaction, of 200 rooms in turn, by 4 servers at once.

What the other servers send is made and signed before. ``PALPO_TEST_DATABASE`` says what it runs on.
"""

from __future__ import annotations

import argparse
import asyncio
import logging
import statistics
import tempfile
import time
from collections.abc import Sequence
from contextlib import AsyncExitStack
from dataclasses import dataclass
from itertools import cycle, islice
from pathlib import Path

import structlog

from bench import serving
from palpo.core.canonical_json import to_json
from palpo.core.events import SignedEvent, build_event
from palpo.core.room_versions import room_version
from tests.support import databases
from tests.support.homeserver import Homeserver
from tests.support.pairs import Town
from tests.support.remote_server import RemoteServer, remote_server
from tests.support.remote_users import Remote

PDUS = 50
ROOMS = 200
SERVERS = [f"remote{number}.example" for number in range(4)]
MOST_MS = 150
LEAST = 1000


@dataclass(frozen=True, slots=True)
class Request:
    """A transaction that was made and signed ahead."""

    path: str
    body: bytes
    headers: dict[str, str]
    events: Sequence[SignedEvent]


class Origin:
    """One server with a user, Bob, in rooms of ours."""

    def __init__(self, ours: Homeserver, server: RemoteServer) -> None:
        self.ours, self.server = ours, server
        self.bob = f"@bob:{server.name}"
        self.rooms: dict[str, _Room] = {}
        self._number = 0

    async def join(self, room_id: str) -> None:
        """Have Bob join a room."""
        view = Remote(self.ours, room_id, name=self.server.name, key=self.server.key)
        join = await view.event(self.bob, ("m.room.member", self.bob), {"membership": "join"})
        await self.send(self.request([join]))
        self.rooms[room_id] = _Room(self, view, join)
        await self.rooms[room_id].read_state()

    def request(self, events: Sequence[SignedEvent]) -> Request:
        """A transaction with some events."""
        self._number += 1
        path = f"/_matrix/federation/v1/send/{self._number}"
        content = {"origin": self.server.name, "origin_server_ts": 1, "pdus": [event.pdu for event in events]}
        return Request(path, to_json(content), self.server.headers(self.ours, "PUT", path, content), events)

    async def send(self, request: Request) -> float:
        """Send a transaction; the seconds that it took."""
        begun = time.perf_counter()
        answer = await self.ours.http.put(request.path, content=request.body, headers=request.headers)
        taken = time.perf_counter() - begun
        assert answer.json() == {"pdus": {event.event_id: {} for event in request.events}}
        return taken


class _Room:
    def __init__(self, origin: Origin, view: Remote, join: SignedEvent) -> None:
        self.origin, self.view, self.last = origin, view, join
        self.auth: list[str] = []

    async def read_state(self) -> None:
        head = await self.view.head()
        keys = [("m.room.create", ""), ("m.room.power_levels", ""), ("m.room.member", self.origin.bob)]
        state = await self.view.history.room_heads.state(head, keys)
        skipped = {"m.room.create"} if head.rules.create_event_is_room_id else set()
        self.auth = [event.event_id for key, event in state.items() if key[0] not in skipped]
        self.version, self.depth = head.rules.id, head.row.depth

    def message(self) -> SignedEvent:
        """The next one."""
        self.depth += 1
        self.last = build_event(
            room_version(self.version),
            server_name=self.origin.server.name,
            key=self.origin.server.key,
            room_id=self.view.room_id,
            type="m.room.message",
            sender=self.origin.bob,
            content={"msgtype": "m.text", "body": f"message {self.depth}"},
            origin_server_ts=1_700_000_000_000 + self.depth,
            depth=self.depth,
            prev_events=[self.last.event_id],
            auth_events=self.auth,
        )
        return self.last


async def one_room(origin: Origin, transactions: int) -> list[float]:
    """Milliseconds for each."""
    room = next(iter(origin.rooms.values()))
    requests = [origin.request([room.message() for _ in range(PDUS)]) for _ in range(transactions)]
    return [1000 * await origin.send(request) for request in requests]


async def many_rooms(origins: Sequence[Origin], transactions: int) -> tuple[float, float]:
    """Events a second, by the clock and of the processor's time."""
    work = [_of_many_rooms(origin, transactions) for origin in origins]

    async def send_all(origin: Origin, requests: Sequence[Request]) -> None:
        for request in requests:
            await origin.send(request)

    begun, busy = time.perf_counter(), time.process_time()
    await asyncio.gather(*(send_all(origin, part) for origin, part in zip(origins, work, strict=True)))
    count = len(origins) * transactions * PDUS
    return count / (time.perf_counter() - begun), count / (time.process_time() - busy)


def _of_many_rooms(origin: Origin, transactions: int) -> list[Request]:
    rooms = cycle(origin.rooms.values())
    return [origin.request([room.message() for room in islice(rooms, PDUS)]) for _ in range(transactions)]


async def run(folder: Path, transactions: int) -> None:
    """Run and print both."""
    town = Town.of(folder, "hs1.test", *SERVERS)
    async with AsyncExitStack() as stack:
        ours = await stack.enter_async_context(town.homeserver("hs1.test"))
        alice = await ours.register("alice")
        servers = [
            await stack.enter_async_context(remote_server(town, name, now_ms=ours.clock.now_ms))
            for name in SERVERS
        ]
        origins = [Origin(ours, server) for server in servers]
        for number in range(ROOMS):
            room_id = await alice.create_room(preset="public_chat")
            await origins[number % len(origins)].join(room_id)
        serving.settle_collector()
        times = await one_room(origins[0], transactions)
        print(f"one room: {PDUS} events in {statistics.median(times):.1f} ms (bar: {MOST_MS})")
        rate, of_processor = await many_rooms(origins, transactions)
        print(f"many rooms: {rate:.0f} events/s, {of_processor:.0f} a processor's second (bar: {LEAST})")


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--transactions", type=int, default=20, help="of each server")
    arguments = parser.parse_args()
    structlog.configure(wrapper_class=structlog.make_filtering_bound_logger(logging.WARNING))
    with tempfile.TemporaryDirectory() as folder:
        serving.run(run(Path(folder), arguments.transactions))
    databases.drop()


if __name__ == "__main__":
    main()
