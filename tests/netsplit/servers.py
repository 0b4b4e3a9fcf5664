"""The three servers: what each runs on, and how it is told that the others are at the ends of links."""

from __future__ import annotations

import asyncio
import ssl
import subprocess
import sys
from collections.abc import AsyncIterator
from contextlib import AsyncExitStack, asynccontextmanager
from dataclasses import dataclass
from pathlib import Path

import httpx
from sqlalchemy.engine import make_url

from palpo.core.canonical_json import to_json
from palpo.db.connect import create_engine
from palpo.db.engine import Database
from palpo.db.migrations.upgrade import upgrade
from tests.netsplit.weather import Sky
from tests.support.databases import administer, service_url
from tests.support.pairs import Town, loopback
from tests.support.process import free_port

ROOT = Path(__file__).parents[2]
FILE = "palpo.toml"
HOUR_MS = 3600 * 1000
START_S = 90.0


@dataclass(frozen=True, slots=True)
class Kind:
    """What a server runs on, and by how much its clock is wrong."""

    name: str
    database: str
    engine: str
    offset_ms: int


KINDS = (
    Kind("hs1.test", "sqlite", "uvicorn", 0),
    Kind("hs2.test", "postgresql", "hypercorn", HOUR_MS),
    Kind("hs3.test", "mysql", "uvicorn", -HOUR_MS),
)


@dataclass(slots=True)
class Server:
    """One that runs."""

    kind: Kind
    url: str
    """For its clients."""
    folder: Path
    database: Database
    process: subprocess.Popen[bytes]

    @property
    def name(self) -> str:
        return self.kind.name

    async def kill(self) -> None:
        """End it without warning, and run it again."""
        self.process.kill()
        await asyncio.to_thread(self.process.wait)
        self.process = _started(self.kind, self.folder)
        await _until_it_answers(self)

    def stop(self) -> None:
        """End it."""
        self.process.terminate()
        self.process.wait(30)

    @property
    def log(self) -> str:
        """Everything that it has printed."""
        return (self.folder / "server.log").read_text()


@asynccontextmanager
async def three_servers(folder: Path, seed: int) -> AsyncIterator[tuple[list[Server], Sky]]:
    """Run them, in fair weather; skips, or fails, the test where there is no PostgreSQL or MariaDB."""
    names = [kind.name for kind in KINDS]
    town = Town.of(folder, *names)
    trusted = ssl.create_default_context(cafile=str(town.authority.file))
    sky = Sky(seed, trusted)
    for origin in names:
        for destination in names:
            if origin != destination:
                sky.link(origin, destination, f"{loopback()}:8448", town.hosts[destination])
    async with AsyncExitStack() as stack:
        await stack.enter_async_context(sky.open({name: town.authority.serving(name) for name in names}))
        servers = [await stack.enter_async_context(_running(town, sky, kind)) for kind in KINDS]
        await asyncio.gather(*map(_until_it_answers, servers))
        yield servers, sky


@asynccontextmanager
async def _running(town: Town, sky: Sky, kind: Kind) -> AsyncIterator[Server]:
    folder = town.folder / kind.name
    folder.mkdir()
    async with _made(folder, kind.database) as database_url, AsyncExitStack() as stack:
        port = free_port()
        hosts = {link.destination: link.address for link in sky.links if link.origin == kind.name}
        (folder / FILE).write_text(_configuration(town, kind, folder, port, database_url, hosts))
        database = Database(create_engine(database_url))
        server = Server(kind, f"http://127.0.0.1:{port}", folder, database, _started(kind, folder))
        stack.callback(server.stop)
        await database.open()
        stack.push_async_callback(database.close)
        yield server


def _started(kind: Kind, folder: Path) -> subprocess.Popen[bytes]:
    command = [sys.executable, "-m", "tests.netsplit.clocked", str(kind.offset_ms)]
    with (folder / "server.log").open("ab") as log:
        return subprocess.Popen(
            [*command, "serve", "--config", str(folder / FILE)], stdout=log, stderr=log, cwd=ROOT
        )


async def _until_it_answers(server: Server) -> None:
    async with asyncio.timeout(START_S), httpx.AsyncClient(base_url=server.url) as http:
        while True:
            assert server.process.poll() is None, server.log
            try:
                if (await http.get("/_palpo/health")).status_code == 200:
                    return
            except httpx.TransportError:
                await asyncio.sleep(0.1)


@asynccontextmanager
async def _made(folder: Path, kind: str) -> AsyncIterator[str]:
    """The URL of a database that is dropped in the end."""
    if kind == "sqlite":
        url = f"sqlite:///{folder / 'palpo.db'}"
        await asyncio.to_thread(upgrade, url)
        yield url
        return
    base = service_url(kind.upper())
    # The folder of a run is nobody else's.
    name = f"palpo_netsplit_{abs(hash(folder)) % 10**9}"
    await administer(base, f"DROP DATABASE IF EXISTS {name}", f"CREATE DATABASE {name}")
    url = make_url(base).set(database=name).render_as_string(hide_password=False)
    try:
        await asyncio.to_thread(upgrade, url)
        yield url
    finally:
        await administer(base, f"DROP DATABASE IF EXISTS {name}")


def _configuration(
    town: Town, kind: Kind, folder: Path, port: int, database_url: str, hosts: dict[str, str]
) -> str:
    certificate, key = town.authority.files(kind.name)
    at = "\n".join(f"{_quoted(name)} = {_quoted(where)}" for name, where in hosts.items())
    return f"""
server_name = {_quoted(kind.name)}
data = {_quoted(folder / "data")}
rate_limits.enabled = false
registration.open = true
password.time_cost = 1
password.memory_kib = 8
log.requests = false
network.allow = ["127.0.0.0/8"]
http.engine = {_quoted(kind.engine)}
database.url = {_quoted(database_url)}
[[listeners]]
bind = "127.0.0.1:{port}"
[[listeners]]
bind = {_quoted(town.hosts[kind.name])}
tls_certificate = {_quoted(certificate)}
tls_key = {_quoted(key)}
engine = {_quoted(kind.engine)}
[federation]
ca_file = {_quoted(town.authority.file)}
hosts_file = {_quoted(town.folder / "no-hosts")}
[federation.hosts]
{at}
"""


def _quoted(value: object) -> str:
    return to_json(str(value)).decode()
