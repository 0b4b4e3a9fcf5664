"""What joining a large room of another server costs: ``python -m bench.joining [--members N] [--chain N]``.

A room of another server's users is made by a process of its own, and told as a file. A server of ours, in
this process, joins it, while a user of it sends messages to another room, one after the other: once as a
whole, and with ``--partial`` without its members first, which are fetched when the user is in it already.
Then a user of the other server joins through ours, and is told of the room without its members.
"""

from __future__ import annotations

import argparse
import asyncio
import logging
import multiprocessing
import resource
import statistics
import tempfile
import time
from collections.abc import Awaitable, Callable
from pathlib import Path
from typing import Any

import orjson
import structlog
from aiohttp import web

from palpo.cli.memory import bound_allocator, settle_collector
from palpo.core.events import SignedEvent
from palpo.core.state_keys import MEMBER
from palpo.streams.loop_watch import Held, LoopWatch
from tests.support.federation import Asked
from tests.support.handshakes import become
from tests.support.homeserver import Client, Homeserver
from tests.support.pairs import Town
from tests.support.remote_rooms import RemoteRoom
from tests.support.remote_server import RemoteServer, remote_server
from tests.support.remote_users import BOB, KEY, SERVER

WHOLE_S, PARTIAL_S, MOST_MB, HELD_MS, SEND_MS = 60, 3, 500, 50, 250
ALICE, DAVE = "@alice:hs1.test", f"@dave:{SERVER}"
V1, V2 = "/_matrix/federation/v1", "/_matrix/federation/v2"
LAZY = orjson.dumps({"room": {"state": {"lazy_load_members": True}}}).decode()


def make_room(folder: Path, members: int, chain: int) -> None:
    """Write what is told of a room with so many members, and so many events that its state rests on."""
    room = RemoteRoom("11")
    for number in range(members):
        user = f"@user{number}:{SERVER}"
        # All but the last of a user's are what the state rests on.
        for change in range(1 + (chain + number) // members):
            room.add(user, (MEMBER, user), {"membership": "join", "displayname": f"User {number} {change}"})
    last = room.add(BOB, ("m.room.name", ""), {"name": "Large"})
    template = room.event(ALICE, (MEMBER, ALICE), {"membership": "join"})
    state = list(room.state.values())
    auth_chain = room.auth_chain(state)
    few = [event for event in state if event.type != MEMBER]
    print(f"{len(state)} events of state, {len(auth_chain)} of the auth chain")
    files = {
        "make_join": {"room_version": "11", "event": template.pdu},
        "whole": {"state": _pdus(state), "auth_chain": _pdus(auth_chain)},
        "partial": {
            "state": _pdus(few),
            "auth_chain": _pdus(room.auth_chain([*few, template])),
            "members_omitted": True,
            "servers_in_room": [SERVER],
        },
        "event": {"origin": SERVER, "origin_server_ts": 1, "pdus": [last.pdu]},
        "state_ids": {"pdu_ids": _names(state), "auth_chain_ids": _names(auth_chain)},
        "state": {"pdus": _pdus(state), "auth_chain": _pdus(auth_chain)},
    }
    for name, told in files.items():
        (folder / name).write_bytes(orjson.dumps(told))


def _pdus(events: list[SignedEvent]) -> list[Any]:
    return [event.pdu for event in events]


def _names(events: list[SignedEvent]) -> list[str]:
    return [event.event_id for event in events]


def tell(remote: RemoteServer, folder: Path, *, partial: bool) -> None:
    """Have the room's server tell what is in the files."""

    def file(name: str) -> Callable[[Asked], Awaitable[web.Response]]:
        async def answer(asked: Asked) -> web.Response:
            return web.Response(body=(folder / name).open("rb"), content_type="application/json")

        return answer

    for name in ("make_join", "event", "state_ids", "state"):
        remote.answers["GET", f"{V1}/{name}/"] = file(name)
    remote.answers["PUT", f"{V2}/send_join/"] = file("partial" if partial else "whole")


class Meanwhile:
    """What others see of it, and what it costs, but for their own sends."""

    def __init__(self, client: Client, room_id: str) -> None:
        self.client, self.room_id = client, room_id
        self.times: list[float] = []
        self.held, self.where = 0.0, ""
        self.begun = self.cpu = self.each = 0.0

    async def send(self) -> None:
        """Send messages until cancelled."""
        while True:
            begun = time.perf_counter()
            await self.client.send(self.room_id, "hello")
            self.times.append(1000 * (time.perf_counter() - begun))
            await asyncio.sleep(0.02)

    def found(self, held: Held) -> None:
        """Note what holds the loop."""
        if held.seconds > self.held:
            self.held, self.where = held.seconds, held.where

    async def rest(self) -> None:
        """See what one send costs."""
        self.start()
        await asyncio.sleep(2)
        self.each = (time.process_time() - self.cpu) / max(len(self.times), 1)

    def start(self) -> None:
        """Begin to count."""
        self.times = []
        self.held, self.where = 0.0, ""
        self.begun, self.cpu = time.perf_counter(), time.process_time()

    def report(self, what: str) -> None:
        """Print what it was since ``start``."""
        taken, cpu = time.perf_counter() - self.begun, time.process_time() - self.cpu
        own = cpu - self.each * len(self.times)
        p99 = statistics.quantiles(self.times, n=100)[98] if len(self.times) > 1 else 0.0
        print(f"{what} in {taken:.1f} s, {own:.1f} s of the processor (bar: {WHOLE_S}), with sends {cpu:.1f}")
        print(f"loop held for {1000 * self.held:.0f} ms (bar: {HELD_MS}) {self.where[-200:]}")
        print(f"{len(self.times)} sends elsewhere: p99 {p99:.0f} ms (bar: {SEND_MS})")


async def run(folder: Path, options: dict[str, Any], *, partial: bool) -> None:
    """Join, and print what it took."""
    town = Town.of(folder, "hs1.test", SERVER)
    room_id = orjson.loads((folder / "make_join").read_bytes())["event"]["room_id"]
    async with (
        town.homeserver("hs1.test", **options) as ours,
        remote_server(town, SERVER, key=KEY, now_ms=ours.clock.now_ms) as remote,
    ):
        tell(remote, folder, partial=partial)
        alice = await ours.register("alice")
        meanwhile = Meanwhile(alice, await alice.create_room())
        settle_collector()
        task = asyncio.create_task(meanwhile.send())
        await asyncio.sleep(1)
        await meanwhile.rest()
        before = _peak_mb()
        meanwhile.start()
        with LoopWatch(meanwhile.found, limit_s=HELD_MS / 5000):
            await alice.post(f"/join/{room_id}", params={"via": SERVER})
            if partial:
                await use(alice, room_id)
                usable = time.perf_counter() - meanwhile.begun
                print(f"in it, a message sent, and synced after {usable:.2f} s (bar: {PARTIAL_S})")
                await whole(ours, room_id)
            meanwhile.report("whole")
        memory = _peak_mb() - before
        meanwhile.start()
        with LoopWatch(meanwhile.found, limit_s=HELD_MS / 5000):
            await let_in(ours, remote, room_id)
        task.cancel()
        print(f"loop held for {1000 * meanwhile.held:.0f} ms (bar: {HELD_MS}) {meanwhile.where[-200:]}")
        print(f"{memory:.0f} MB more memory (bar: {MOST_MB})")


async def let_in(server: Homeserver, remote: RemoteServer, room_id: str) -> None:
    """Have a user of another server join through ours, without being told of members."""
    begun, cpu = time.perf_counter(), time.process_time()
    told = await become(remote, server, "join", room_id, DAVE, query="?omit_members=true")
    taken, cpu = time.perf_counter() - begun, time.process_time() - cpu
    assert told["members_omitted"]
    print(f"another server told of it by {cpu:.2f} s of the processor, in {taken:.2f} s (bar: {PARTIAL_S})")


async def use(client: Client, room_id: str) -> None:
    """Send something, and see it in a sync that loads members lazily."""
    sent = await client.send(room_id, "hello")
    told = (await client.get("/sync", params={"filter": LAZY}))["rooms"]["join"][room_id]
    assert sent in [event["event_id"] for event in told["timeline"]["events"]]


async def whole(server: Homeserver, room_id: str) -> None:
    """Return when all members are known."""
    rooms, completions = server.services.federation.partial_rooms, server.services.history.completions
    while await completions.is_partial(room_id):
        await rooms.look()
        await rooms.settled()
        await asyncio.sleep(0.1)


def _peak_mb() -> float:
    return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--database", help="URL; none: SQLite in a folder of its own")
    parser.add_argument("--members", type=int, default=60_000)
    parser.add_argument("--chain", type=int, default=200_000)
    parser.add_argument("--partial", action="store_true")
    arguments = parser.parse_args()
    options = {"database": {"url": arguments.database}} if arguments.database else {}
    structlog.configure(wrapper_class=structlog.make_filtering_bound_logger(logging.WARNING))
    bound_allocator()
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        making = multiprocessing.get_context("spawn").Process(
            target=make_room, args=(folder, arguments.members, arguments.chain)
        )
        making.start()
        making.join()
        asyncio.run(run(folder, options, partial=arguments.partial))


if __name__ == "__main__":
    main()
