"""What it costs to tell many servers: ``python -m bench.fan_out [--servers N] [--holes N]``.

A server of ours, in this process, has a room with a user of each of so many servers, all of which one other
process is, over TLS. Of ``--holes`` more, nothing is heard once they are connected to: there messages go on
for half a minute, in which these fail and are tried again.

- *acknowledged*: the processor's time, of all that this process does, from a request to send a message until
  it is answered;
- *told*: the time from then until a server that answers has the message, the 50th and the 99th of a hundred:
  of the first message, for which there are no connections yet, and of the others;
- *a delivery*: the processor's time of this process until all have been told, for each that has, likewise;
- *quiet*: a message to a room in which no other server is.
"""

from __future__ import annotations

import argparse
import asyncio
import logging
import multiprocessing
import socket
import statistics
import tempfile
import time
from collections.abc import AsyncIterator, Iterable
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from itertools import chain
from multiprocessing.connection import Connection
from pathlib import Path

import orjson
import structlog
from aiohttp import web

from bench import serving
from palpo.core.signing import SigningKey
from tests.support.homeserver import Client, Homeserver
from tests.support.pairs import Town, loopback
from tests.support.remote_users import Remote

MOST_MS, MOST_TOLD_S = 20, 1.0
KEY = SigningKey(key_id="ed25519:1", seed=bytes(32))
MESSAGES = 10
BESIDE_HOLES, PAUSE_S = 30, 1.0
WAIT_S = 120
SETTLE_S = 0.3
"""For the last answers."""


def peers(address: str, port: int, certificate: Path, key: Path, arrivals: Connection) -> None:
    """Be every other server: say who was told of what, and when."""
    import ssl

    async def answer(request: web.Request) -> web.Response:
        content = orjson.loads(await request.read())
        now = time.time()
        for pdu in content["pdus"]:
            arrivals.send((request.host, pdu["content"].get("body"), now))
        return web.json_response({"pdus": {}})

    async def serve() -> None:
        context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
        context.load_cert_chain(certificate, key)
        app = web.Application(client_max_size=64 * 1024 * 1024)
        app.router.add_route("*", "/{rest:.*}", answer)
        runner = web.AppRunner(app)
        await runner.setup()
        await web.TCPSite(runner, address, port, ssl_context=context, backlog=4096).start()
        arrivals.send(("", None, time.time()))
        await asyncio.Event().wait()

    asyncio.run(serve())


class Arrivals:
    """What the other process says."""

    def __init__(self, connection: Connection) -> None:
        self._connection = connection

    async def of(self, body: str, number: int) -> list[float]:
        """When each of so many servers was told of a message; as many as there are in time."""
        found: dict[str, float] = {}
        until = time.time() + WAIT_S
        while len(found) < number and time.time() < until:
            while self._connection.poll():
                host, told, when = self._connection.recv()
                if told == body:
                    found.setdefault(host, when)
            await asyncio.sleep(0.01)
        return sorted(found.values())


@asynccontextmanager
async def world(folder: Path, servers: int, holes: int) -> AsyncIterator[tuple[Homeserver, Arrivals]]:
    """Our server, which knows where all the others are."""
    town = Town.of(folder, "hs1.test", "*.fan.test")
    address, _, port = town.hosts.pop("*.fan.test").rpartition(":")
    hole = socket.socket()
    hole.bind((loopback(), 8448))
    hole.listen(65535)
    town.hosts |= dict.fromkeys(names(servers), f"{address}:{port}")
    town.hosts |= {name: f"{hole.getsockname()[0]}:8448" for name in names(holes, "h")}
    files = town.authority.files("*.fan.test")
    mine, theirs = multiprocessing.Pipe(duplex=False)
    process = multiprocessing.get_context("spawn").Process(
        target=peers, args=(address, int(port), *files, theirs), daemon=True
    )
    process.start()
    try:
        await asyncio.to_thread(mine.recv)
        async with town.homeserver("hs1.test") as ours:
            yield ours, Arrivals(mine)
    finally:
        process.terminate()
        hole.close()


def names(number: int, sigil: str = "s") -> list[str]:
    return [f"{sigil}{index}.fan.test" for index in range(number)]


async def fill(ours: Homeserver, room_id: str, servers: list[str]) -> None:
    """Have a user of each server join."""
    for name in servers:
        view = Remote(ours, room_id, name=name, key=KEY)
        user = f"@user:{name}"
        await view.send(await view.event(user, ("m.room.member", user), {"membership": "join"}))


async def send(alice: Client, room_id: str, body: str) -> tuple[float, float]:
    """Milliseconds of the processor until it is acknowledged, and when that was."""
    begun = time.process_time()
    await alice.send(room_id, body)
    return 1000 * (time.process_time() - begun), time.time()


@dataclass(slots=True)
class Measured:
    """Of each message: milliseconds of the processor, but ``waits`` in seconds."""

    acknowledged: list[float] = field(default_factory=list)
    deliveries: list[float] = field(default_factory=list)
    waits: list[list[float]] = field(default_factory=list)

    def __str__(self) -> str:
        first, *others = self.deliveries
        return (
            f"acknowledged after {statistics.median(self.acknowledged):.2f} ms (bar: {MOST_MS});"
            f" told at first {_shown(self.waits[0])}, then {_shown(chain.from_iterable(self.waits[1:]))};"
            f" a delivery {first:.2f} ms at first, then {statistics.median(others):.2f} ms"
        )


def _shown(waits: Iterable[float]) -> str:
    cuts = statistics.quantiles(waits, n=100)
    return f"p50 {cuts[49]:.2f} s, p99 {cuts[98]:.2f} s"


async def measure(
    alice: Client,
    room_id: str,
    arrivals: Arrivals,
    servers: int,
    *,
    messages: int = MESSAGES,
    pause_s: float = SETTLE_S,
) -> Measured:
    """Tell so many servers of some messages, one after the other, with a pause after each."""
    found = Measured()
    for number in range(messages):
        body = f"{room_id} {number}"
        begun = time.process_time()
        cost, acknowledged = await send(alice, room_id, body)
        times = await arrivals.of(body, servers)
        await asyncio.sleep(pause_s)
        if len(times) < servers:
            print(f"only {len(times)} of {servers} have been told of message {number}")
        found.acknowledged.append(cost)
        found.deliveries.append(1000 * (time.process_time() - begun) / servers)
        found.waits.append([when - acknowledged for when in times])
    return found


async def run(folder: Path, servers: int, holes: int) -> None:
    """Run and print it all."""
    async with world(folder, servers, holes) as (ours, arrivals):
        alice = await ours.register("alice")
        quiet = await alice.create_room()
        costs = [(await send(alice, quiet, str(number)))[0] for number in range(MESSAGES)]
        print(f"quiet: {statistics.median(costs):.2f} ms until it is acknowledged")
        room_id = await alice.create_room(preset="public_chat")
        await fill(ours, room_id, names(servers))
        serving.settle_collector()
        print(f"{servers} servers: {await measure(alice, room_id, arrivals, servers)}")
        few = await alice.create_room(preset="public_chat")
        await fill(ours, few, [*names(50), *names(holes, "h")])
        found = await measure(alice, few, arrivals, 50, messages=BESIDE_HOLES, pause_s=PAUSE_S)
        print(f"50 servers beside {holes} that are silent, told in at most {MOST_TOLD_S} s: {found}")


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--servers", type=int, default=2000)
    parser.add_argument("--holes", type=int, default=500)
    arguments = parser.parse_args()
    structlog.configure(wrapper_class=structlog.make_filtering_bound_logger(logging.WARNING))
    with tempfile.TemporaryDirectory() as folder:
        serving.run(run(Path(folder), arguments.servers, arguments.holes))


if __name__ == "__main__":
    main()
