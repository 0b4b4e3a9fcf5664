"""The image's entry point: one homeserver by its recipe, with `/` as its folder, behind a gate that records.

`python -m palpo_complement.container RECIPE` serves; with a second argument, `prepare`, it makes the image
ready. The server listens on the loopback address, and the gate on the container's own. `CONFORMANCE_DATABASE`
is `sqlite` or `postgresql`; the latter's server runs in the container, and keeps its data in `POSTGRESQL`.
"""

from __future__ import annotations

import asyncio
import os
import signal
import socket
import sys
from collections.abc import Callable
from concurrent.futures import Executor, Future
from pathlib import Path
from typing import ParamSpec, TypeVar

import uvloop

from .process.databases import Databases, databases_for
from .process.launch import Launch, Launcher, launcher_of
from .process.model import Process
from .recipe import UNNAMED, Place, load
from .recording.gate import FEDERATION_PORT, HTTP_PORT, Gate, Records
from .records import IN_IMAGE

LOOPBACK = "127.0.0.1"
LOG = Path("/dev/stdout")
DATABASE = "homeserver"
POSTGRESQL = Path("/var/lib/palpo-postgresql")

P = ParamSpec("P")
T = TypeVar("T")


class AtOnce(Executor):
    """Does its work before it answers: where all is killed at once, nothing may be left to do."""

    def submit(self, work: Callable[P, T], /, *args: P.args, **kwargs: P.kwargs) -> Future[T]:
        done: Future[T] = Future()
        done.set_result(work(*args, **kwargs))
        return done


async def prepare(launcher: Launcher, databases: Databases, root: Path) -> int:
    """Make the database and run the recipe's preparation; gives its exit code."""
    await databases.open()
    await launcher.open()
    try:
        name = await databases.create(DATABASE)
        process = await launcher.prepare(_launch(root, databases.url(name, root)))
        return await process.exited if process is not None else 0
    finally:
        await launcher.close()
        await databases.close()


async def serve(launcher: Launcher, databases: Databases, root: Path, outside: str) -> int:
    """Run the server until it ends; SIGTERM is passed on. Gives the server's exit code.

    `outside` is the address at which the gate listens.
    """
    records = root / IN_IMAGE.relative_to("/")
    records.mkdir(parents=True, exist_ok=True)
    gate = Gate(
        LOOPBACK,
        (outside, HTTP_PORT),
        (outside, FEDERATION_PORT),
        Records.below(records),
        AtOnce() if os.environ.get("CONFORMANCE_CHECK") else None,
    )
    try:
        await databases.open()
        await launcher.open()
        process = await launcher.spawn(_launch(root, databases.url(DATABASE, root)))
        asyncio.get_running_loop().add_signal_handler(signal.SIGTERM, _end, process)
        await gate.open()
        return await process.exited
    finally:
        await gate.close()
        await launcher.close()
        await databases.close()


def _end(process: Process) -> None:
    os.killpg(process.pid, signal.SIGTERM)


def _launch(root: Path, database_url: str) -> Launch:
    place = Place(
        root=root,
        name=os.environ.get("SERVER_NAME", UNNAMED),
        address=LOOPBACK,
        database_url=database_url,
    )
    return Launch(place=place, log=LOG, env=dict(os.environ))


def main(arguments: list[str]) -> int:
    """Serve, or prepare; gives the exit code."""
    launcher = launcher_of(load(arguments[0]))
    root = Path("/")
    databases = databases_for(os.environ.get("CONFORMANCE_DATABASE", "sqlite"), None, POSTGRESQL)
    if arguments[1:] == ["prepare"]:
        return uvloop.run(prepare(launcher, databases, root))
    # Who wrote it ran in another container, or in this one before it was stopped: its number says nothing.
    (POSTGRESQL / "postmaster.pid").unlink(missing_ok=True)
    return uvloop.run(serve(launcher, databases, root, socket.gethostbyname(socket.gethostname())))


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
