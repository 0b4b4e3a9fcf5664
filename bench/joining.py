"""What joining a large room of another server costs: ``python -m bench.joining [--members N] [--chain N]``.

A room of another server's users is made by a process of its own, and told as a file. A server of ours, in
this process, joins it, while a user of it sends messages to another room, one after the other.
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
from pathlib import Path
from typing import Any

import orjson
import structlog
from aiohttp import web

from palpo.core.state_keys import MEMBER
from palpo.streams.loop_watch import Held, LoopWatch
from tests.support.federation import Asked
from tests.support.homeserver import Client
from tests.support.pairs import Town
from tests.support.remote_rooms import RemoteRoom
from tests.support.remote_server import remote_server
from tests.support.remote_users import KEY, SERVER

WHOLE_S, MOST_MB, HELD_MS, SEND_MS = 60, 500, 50, 250
ALICE = "@alice:hs1.test"


def make_room(folder: Path, members: int, chain: int) -> None:
    """Write ``template.json`` and ``answer.json`` of a room with so many members, and so many events beside
    its state on which that rests."""
    room = RemoteRoom("11")
    more = max(chain - members, 0) // members
    for number in range(members):
        user = f"@user{number}:{SERVER}"
        for change in range(1 + more):
            room.add(user, (MEMBER, user), {"membership": "join", "displayname": f"User {number} {change}"})
    template = room.event(ALICE, (MEMBER, ALICE), {"membership": "join"})
    state = list(room.state.values())
    told = {
        "state": [event.pdu for event in state],
        "auth_chain": [event.pdu for event in room.auth_chain(state)],
    }
    print(f"{len(told['state'])} events of state, {len(told['auth_chain'])} of the auth chain")
    (folder / "template.json").write_bytes(orjson.dumps({"room_version": "11", "event": template.pdu}))
    (folder / "answer.json").write_bytes(orjson.dumps(told))


class Meanwhile:
    """What others see of it."""

    def __init__(self, client: Client, room_id: str) -> None:
        self.client, self.room_id = client, room_id
        self.times: list[float] = []
        self.held, self.where = 0.0, ""

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


async def run(folder: Path, options: dict[str, Any]) -> None:
    """Join, and print what it took."""
    town = Town.of(folder, "hs1.test", SERVER)
    template = orjson.loads((folder / "template.json").read_bytes())
    room_id = template["event"]["room_id"]
    async with (
        town.homeserver("hs1.test", **options) as ours,
        remote_server(town, SERVER, key=KEY, now_ms=ours.clock.now_ms) as remote,
    ):
        alice = await ours.register("alice")
        meanwhile = Meanwhile(alice, await alice.create_room())

        async def answer(asked: Asked) -> web.Response:
            return web.Response(body=(folder / "answer.json").open("rb"), content_type="application/json")

        remote.answers["GET", "/_matrix/federation/v1/make_join/"] = template
        remote.answers["PUT", "/_matrix/federation/v2/send_join/"] = answer
        task = asyncio.create_task(meanwhile.send())
        await asyncio.sleep(1)
        before, begun, cpu = _peak_mb(), time.perf_counter(), time.process_time()
        with LoopWatch(meanwhile.found, limit_s=HELD_MS / 5000):
            await alice.post(f"/join/{room_id}", params={"via": SERVER})
        taken, cpu = time.perf_counter() - begun, time.process_time() - cpu
        task.cancel()
        p99 = statistics.quantiles(meanwhile.times, n=100)[98]
        print(f"joined in {taken:.1f} s, {cpu:.1f} s of the processor (bar: {WHOLE_S})")
        print(f"{_peak_mb() - before:.0f} MB more memory (bar: {MOST_MB})")
        print(f"loop held for {1000 * meanwhile.held:.0f} ms (bar: {HELD_MS}) {meanwhile.where[-300:]}")
        print(f"sends elsewhere: p99 {p99:.0f} ms of {len(meanwhile.times)} (bar: {SEND_MS})")


def _peak_mb() -> float:
    return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--database", help="URL; none: SQLite in a folder of its own")
    parser.add_argument("--members", type=int, default=60_000)
    parser.add_argument("--chain", type=int, default=200_000)
    arguments = parser.parse_args()
    options = {"database": {"url": arguments.database}} if arguments.database else {}
    structlog.configure(wrapper_class=structlog.make_filtering_bound_logger(logging.WARNING))
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        making = multiprocessing.get_context("spawn").Process(
            target=make_room, args=(folder, arguments.members, arguments.chain)
        )
        making.start()
        making.join()
        asyncio.run(run(folder, options))


if __name__ == "__main__":
    main()
