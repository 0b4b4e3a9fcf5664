"""``python -m bench.admin_pages``: fills a server, and times what administrators look at on it."""

from __future__ import annotations

import argparse
import asyncio
import json
import shutil
import sys
import tempfile
import time
from dataclasses import dataclass
from pathlib import Path

import httpx

from bench.admin_pages.asking import Asker, Timed, paths
from bench.admin_pages.filling import Filling, Names, Size
from bench.admin_pages.sinks import open_sink
from bench.side_by_side.postgres import Postgres
from bench.side_by_side.servers import SERVER_NAME, Palpo

MOST_MS = 200.0
"""No answer takes longer."""
PASSWORD = "correct horse battery staple"
REST_S = 3.0
"""What a server that has just started is given before it is asked."""


class Server(Palpo):
    """One with an administrator."""

    def command(self) -> list[str | Path]:
        command = super().command()
        config = self.folder / "palpo.toml"
        if "admins" not in (text := config.read_text()):
            config.write_text(f'admins = ["@admin:{SERVER_NAME}"]\n' + text)
        return command


@dataclass(frozen=True, slots=True, kw_only=True)
class Made:
    """A server that is filled: where it is, and how to be its administrator."""

    server: Server
    token: str


async def make(folder: Path, url: str, size: Size) -> Made:
    """A server with all of it, stopped; one that an earlier run has made is taken as it is."""
    server, kept = Server(folder, url), folder / "token"
    if not kept.exists():
        await server.start()
        body = {"username": "admin", "password": PASSWORD, "auth": {"type": "m.login.dummy"}}
        async with httpx.AsyncClient(base_url=f"http://127.0.0.1:{server.port}", timeout=60) as http:
            answer = await http.post("/_matrix/client/v3/register", json=body)
        token = answer.json()["access_token"]
        server.stop()
        began = time.monotonic()
        await Filling(await open_sink(url, folder / "data" / "palpo.db"), SERVER_NAME, size).fill()
        print(f"filled in {time.monotonic() - began:.0f} s", flush=True)
        kept.write_text(token)
    return Made(server=server, token=kept.read_text())


async def _database(postgres: Postgres) -> str:
    """The one that an earlier run has made, or a new one."""
    if await postgres.has_database("palpo"):
        return postgres.url("palpo")
    return await postgres.create_database("palpo")


async def measure(made: Made, size: Size, only: str, rounds: int) -> list[Timed]:
    """Start it, and ask for everything with ``only`` in its path."""
    await made.server.start()
    try:
        await asyncio.sleep(REST_S)
        asker = Asker(made.server.port, made.token)
        asker.sign_in("admin", PASSWORD)
        asker.bring_up_to_date()
        asked = [path for path in paths(Names(SERVER_NAME, size), size, SERVER_NAME) if only in path]
        return [asker.time(path, rounds) for path in asked]
    finally:
        made.server.stop()


def show(name: str, found: list[Timed]) -> int:
    """Print a table; how many took too long."""
    slow = [item for item in found if item.worst > MOST_MS]
    for item in sorted(found, key=lambda item: -item.worst):
        mark = "  over" if item in slow else ""
        print(f"{item.median:9.1f} {item.worst:9.1f} {item.size:9} {item.path}{mark}")
    print(f"{name}: {len(found)} paths, {len(slow)} over {MOST_MS:.0f} ms", flush=True)
    return len(slow)


async def run(options: argparse.Namespace, folder: Path) -> int:
    """All databases that are asked for; how many answers took too long."""
    size = Size()
    if options.scale != 1:
        size = Size(**{name: max(100, int(getattr(size, name) * options.scale)) for name in Size.__slots__})
    slow = 0
    figures: dict[str, dict[str, list[float]]] = {}
    for name in options.databases.split(","):
        postgres = Postgres(folder / "postgresql") if name == "postgresql" else None
        url = ""
        if postgres is not None:
            await postgres.start()
            url = await _database(postgres)
        try:
            made = await make(folder / f"palpo-{name}", url, size)
            if not options.fill_only:
                found = await measure(made, size, options.only, options.rounds)
                slow += show(name, found)
                figures[name] = {item.path: item.times for item in found}
        finally:
            if postgres is not None:
                postgres.stop()
    _keep(options.json, figures)
    return slow


def _keep(path: str | None, figures: dict[str, dict[str, list[float]]]) -> None:
    if path:
        Path(path).write_text(json.dumps(figures, indent=1))


def main() -> int:
    """0 where nothing took too long."""
    parser = argparse.ArgumentParser(prog="python -m bench.admin_pages", description=__doc__)
    parser.add_argument("--databases", default="sqlite,postgresql")
    parser.add_argument("--folder", help="keep the databases here, and take those that are here already")
    parser.add_argument("--fill-only", action="store_true")
    parser.add_argument("--scale", type=float, default=1.0, help="a part of the usual size")
    parser.add_argument("--only", default="", help="paths with this in them")
    parser.add_argument("--rounds", type=int, default=5)
    parser.add_argument("--json")
    options = parser.parse_args()
    folder = Path(options.folder or tempfile.mkdtemp(prefix="admin-pages-"))
    folder.mkdir(parents=True, exist_ok=True)
    folder.chmod(0o755)
    try:
        return 1 if asyncio.run(run(options, folder)) else 0
    finally:
        if not options.folder:
            shutil.rmtree(folder, ignore_errors=True)


if __name__ == "__main__":
    sys.exit(main())
