"""A server that is killed amid what it sends and is sent: ``python -m tests.interop.sigkill --events 10000``.

Half of the events are of its own user, and have to reach another server; half are of that one, and of every
third transaction the first events are left out, and have to be asked for. ``--server`` is where an empty
database is made for it; without that it has a file of SQLite.
"""

# ruff: noqa: T201 - a command
from __future__ import annotations

import argparse
import asyncio
import os
import sys
import tempfile
import time
from collections import Counter
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from pathlib import Path
from random import Random

import httpx
import orjson
from sqlalchemy.engine import make_url

from palpo.core.canonical_json import to_json
from tests.interop.test_sigkill import history
from tests.interop.test_sigkill_inbound import OURS, V1, Sender, now_ms
from tests.support.databases import administer
from tests.support.federated_rooms import transactions
from tests.support.homeserver import Client
from tests.support.pairs import Town
from tests.support.process import LOST, ServerProcess, free_port
from tests.support.remote_server import RemoteServer, remote_server
from tests.support.remote_users import KEY, SERVER

SENDERS = 8
PDUS = 20
"""Of a transaction."""
PATIENCE_S = 240.0
"""A process that was killed has its lease for some time yet, and what waits is tried after a pause."""


@dataclass(slots=True, kw_only=True)
class Outcome:
    """What came of a run; all is well where both ``lost`` and ``doubled`` are empty."""

    events: int
    kills: int
    seconds: float
    lost: list[str] = field(default_factory=list)
    doubled: list[str] = field(default_factory=list)

    def __str__(self) -> str:
        counts = f"{len(self.lost)} lost, {len(self.doubled)} doubled"
        return f"{self.events} events, {self.kills} times killed: {counts}, {self.seconds:.0f} s"


def configuration(town: Town, folder: Path, port: int, database_url: str | None) -> str:
    """That of the process."""
    database = "" if database_url is None else f"[database]\nurl = {to_json(database_url).decode()}"
    return f"""
server_name = "{OURS}"
data = {to_json(str(folder)).decode()}
rate_limits.enabled = false
registration.open = true
[[listeners]]
bind = "127.0.0.1:{port}"
[network]
allow = ["127.0.0.0/8"]
[federation]
ca_file = {to_json(str(town.authority.file)).decode()}
hosts_file = {to_json(str(town.folder / "no-hosts")).decode()}
hosts = {{ "{SERVER}" = "{town.hosts[SERVER]}" }}
{database}
"""


class Run:
    """One of them."""

    def __init__(self, events: int, kills: int, seed: int) -> None:
        self.events, self.kills = events, kills
        self.rng = Random(seed)
        self.acknowledged: dict[str, str] = {}
        """Of our own events, by their bodies, the IDs that were told."""

    async def go(self, folder: Path, database_url: str | None) -> Outcome:
        town, port, begun = Town.of(folder, SERVER), free_port(), time.monotonic()
        data = folder / OURS
        data.mkdir()
        (data / "palpo.toml").write_text(configuration(town, data, port, database_url))
        process = ServerProcess(data, port=port)
        await asyncio.to_thread(process.start)
        try:
            async with (
                remote_server(town, SERVER, key=KEY, now_ms=now_ms) as remote,
                httpx.AsyncClient(base_url=process.url, timeout=30) as http,
            ):
                remote.answers["PUT", f"{V1}/send/"] = {"pdus": {}}
                alice = await registered(http)
                room_id = await alice.create_room(preset="public_chat", room_version="11")
                sender = Sender(http, remote, room_id)
                await sender.join()
                await asyncio.gather(self._all(alice, room_id, sender), self._killing(process, sender))
                await self._until_told(remote)
                outcome = Outcome(events=self.events, kills=self.kills, seconds=0)
                await self._compare(outcome, alice, room_id, sender, remote)
        finally:
            await asyncio.to_thread(process.kill)
        outcome.seconds = time.monotonic() - begun
        return outcome

    async def _all(self, alice: Client, room_id: str, sender: Sender) -> None:
        bodies = iter([f"ours {number}" for number in range(self.events // 2)])

        async def send_own() -> None:
            for body in bodies:
                await self._send(alice, room_id, body)

        async def send_theirs() -> None:
            for number in range(self.events // 2 // PDUS):
                events = [sender.message(f"theirs {number}-{item}") for item in range(PDUS)]
                await sender.send(number, events[5:] if number % 3 == 0 else events)

        await asyncio.gather(send_theirs(), *(send_own() for _ in range(SENDERS)))

    async def _send(self, alice: Client, room_id: str, body: str) -> None:
        path = f"/_matrix/client/v3/rooms/{room_id}/send/m.room.message/{body}"
        headers = {"Authorization": f"Bearer {alice.token}"}
        while True:
            try:
                told = await alice.http.put(path, json={"msgtype": "m.text", "body": body}, headers=headers)
            except LOST:
                await asyncio.sleep(0.02)
                continue
            assert told.status_code == 200, told.text
            self.acknowledged[body] = told.json()["event_id"]
            return

    async def _killing(self, process: ServerProcess, sender: Sender) -> None:
        """At any point: somewhere within each part of the run."""
        part = self.events / (self.kills + 1)
        for number in range(self.kills):
            at = part * (number + 0.5 + self.rng.random())
            while len(self.acknowledged) + len(sender.events) < min(at, self.events - 1):  # noqa: ASYNC110
                await asyncio.sleep(0.002)
            await asyncio.sleep(self.rng.random() / 20)
            await asyncio.to_thread(process.kill)
            await asyncio.to_thread(process.start)

    async def _until_told(self, remote: RemoteServer) -> None:
        """Wait until the other server was told of everything, or it takes too long."""
        deadline = time.monotonic() + PATIENCE_S
        while self.acknowledged.keys() - told_bodies(remote) and time.monotonic() < deadline:  # noqa: ASYNC110
            await asyncio.sleep(0.5)

    async def _compare(
        self, outcome: Outcome, alice: Client, room_id: str, sender: Sender, remote: RemoteServer
    ) -> None:
        deadline = time.monotonic() + PATIENCE_S
        wanted = {**dict.fromkeys(self.acknowledged.values()), **dict.fromkeys(sender.events)}
        while True:
            stored = await history(alice, room_id)
            found = Counter(event["event_id"] for event in stored)
            if not wanted.keys() - found.keys() or time.monotonic() > deadline:
                break
            await asyncio.sleep(1)
        outcome.lost += wanted.keys() - found.keys()
        outcome.lost += [f"not told: {body}" for body in self.acknowledged.keys() - told_bodies(remote)]
        outcome.doubled += [name for name, number in found.items() if number > 1]
        bodies = Counter(event["content"]["body"] for event in stored)
        outcome.doubled += [body for body, number in bodies.items() if number > 1]
        outcome.doubled += _told_as_two(remote)


async def registered(http: httpx.AsyncClient) -> Client:
    auth = {"auth": {"type": "m.login.dummy"}}
    told = await Client(http).post("/register", {"username": "alice", "password": "correct horse", **auth})
    return Client(http, told["user_id"], told["access_token"], told["device_id"])


def told_bodies(remote: RemoteServer) -> set[str]:
    return {pdu["content"].get("body", "") for _, content in transactions(remote) for pdu in content["pdus"]}


def _told_as_two(remote: RemoteServer) -> list[str]:
    """What the other server was told as two events: the same one may be told again after a kill."""
    signed: dict[str, bytes] = {}
    twice = []
    for _, content in transactions(remote):
        for pdu in content["pdus"]:
            body = pdu["content"].get("body", "")
            if body and signed.setdefault(body, orjson.dumps(pdu["hashes"])) != orjson.dumps(pdu["hashes"]):
                twice.append(f"two events: {body}")
    return twice


@asynccontextmanager
async def database(base: str | None) -> AsyncIterator[str | None]:
    """The URL of an empty database on a server of databases, which is dropped afterwards."""
    if base is None:
        yield None
        return
    name = f"palpo_test_{os.getpid()}_sigkill"
    await administer(base, f"DROP DATABASE IF EXISTS {name}", f"CREATE DATABASE {name}")
    yield make_url(base).set(database=name).render_as_string(hide_password=False)
    force = " WITH (FORCE)" if base.startswith("postgres") else ""
    await administer(base, f"DROP DATABASE IF EXISTS {name}{force}")


async def run(folder: Path, *, events: int, kills: int, seed: int, database_url: str | None) -> Outcome:
    """Send so many events, and kill the server so often meanwhile."""
    return await Run(events, kills, seed).go(folder, database_url)


async def _run(folder: Path, options: argparse.Namespace) -> Outcome:
    counts = {"events": options.events, "kills": options.kills, "seed": options.seed}
    async with database(options.server) as url:
        return await run(folder, database_url=url, **counts)


def main() -> int:
    """Run as the command line says."""
    parser = argparse.ArgumentParser(prog="python -m tests.interop.sigkill", description=__doc__)
    parser.add_argument("--events", type=int, default=10_000)
    parser.add_argument("--kills", type=int, default=10)
    parser.add_argument("--seed", type=int, default=int(time.time()))
    parser.add_argument("--server", default=None, help="the URL of a PostgreSQL or MariaDB; default: SQLite")
    options = parser.parse_args()
    print(f"seed {options.seed}", flush=True)
    with tempfile.TemporaryDirectory(prefix="palpo-sigkill-") as folder:
        outcome = asyncio.run(_run(Path(folder), options))
    print(outcome)
    for name in [*outcome.lost, *outcome.doubled][:20]:
        print(name)
    return 1 if outcome.lost or outcome.doubled else 0


if __name__ == "__main__":
    sys.exit(main())
