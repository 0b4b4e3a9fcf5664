"""The image's entry point: one homeserver by its recipe, with `/` as its folder, behind a gate that records.

`python -m palpo_complement.container RECIPE` serves; with a second argument, `prepare`, it makes the image
ready. The server listens on the loopback address, and the gate on the container's own.
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

from .process.databases import Databases
from .process.launch import Launch, Launcher, launcher_of
from .process.model import Process
from .recipe import UNNAMED, Place, load
from .recording.gate import FEDERATION_PORT, HTTP_PORT, Gate, Records
from .records import IN_IMAGE

LOOPBACK = "127.0.0.1"
LOG = Path("/dev/stdout")

P = ParamSpec("P")
T = TypeVar("T")


class AtOnce(Executor):
    """Does its work before it answers: where all is killed at once, nothing may be left to do."""

    def submit(self, work: Callable[P, T], /, *args: P.args, **kwargs: P.kwargs) -> Future[T]:
        done: Future[T] = Future()
        done.set_result(work(*args, **kwargs))
        return done


async def prepare(launcher: Launcher, root: Path) -> int:
    """Run the recipe's preparation; gives its exit code."""
    await launcher.open()
    process = await launcher.prepare(_launch(root))
    code = await process.exited if process is not None else 0
    await launcher.close()
    return code


async def serve(launcher: Launcher, root: Path, outside: str) -> int:
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
        await launcher.open()
        process = await launcher.spawn(_launch(root))
        asyncio.get_running_loop().add_signal_handler(signal.SIGTERM, _end, process)
        await gate.open()
        return await process.exited
    finally:
        await gate.close()
        await launcher.close()


def _end(process: Process) -> None:
    os.killpg(process.pid, signal.SIGTERM)


def _launch(root: Path) -> Launch:
    place = Place(
        root=root,
        name=os.environ.get("SERVER_NAME", UNNAMED),
        address=LOOPBACK,
        database_url=Databases().url(None, root),
    )
    return Launch(place=place, log=LOG, env=dict(os.environ))


def main(arguments: list[str]) -> int:
    """Serve, or prepare; gives the exit code."""
    launcher = launcher_of(load(arguments[0]))
    root = Path("/")
    if arguments[1:] == ["prepare"]:
        return uvloop.run(prepare(launcher, root))
    return uvloop.run(serve(launcher, root, socket.gethostbyname(socket.gethostname())))


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
