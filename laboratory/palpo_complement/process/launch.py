"""Starting servers: as forks of a zygote, or by scripts.

Both give a `Process` in a process group of its own, whose output goes to the container's log.
"""

from __future__ import annotations

import asyncio
import json
import os
import shutil
import socket
import subprocess
import sys
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Protocol

from palpo_complement.environment import search_path
from palpo_complement.errors import SetupFailed
from palpo_complement.recipe import Fork, Place, Recipe, arrange

from .model import Process


class LaunchError(SetupFailed):
    """A server could not be started at all; the text holds the reason or the traceback."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Launch:
    """One server to start: its place, its log, and the environment besides the place's own variables.

    `inside` is where a fork writes what it says over TLS.
    """

    place: Place
    log: Path
    env: Mapping[str, str]
    inside: Path | None = None

    def environment(self) -> dict[str, str]:
        return {**self.env, **self.place.environment()}


class Launcher(Protocol):
    """Starts the servers of one recipe."""

    async def open(self) -> None: ...

    async def prepare(self, launch: Launch) -> Process | None:
        """Run the recipe's preparation, if it has one."""
        ...

    async def spawn(self, launch: Launch) -> Process: ...

    async def close(self) -> None: ...


def launcher_of(recipe: Recipe) -> Launcher:
    """What starts a recipe's servers."""
    return CommandLauncher(recipe) if recipe.fork is None else ZygoteLauncher(recipe, recipe.fork)


class ZygoteLauncher:
    """Forks of one process that has the server's modules imported."""

    def __init__(self, recipe: Recipe, fork: Fork) -> None:
        self._recipe = recipe
        self._fork = fork
        self._requests: dict[int, asyncio.Future[Process]] = {}
        self._exits: dict[int, asyncio.Future[int]] = {}
        self._ready: asyncio.Future[None] | None = None
        self._counter = 0
        self._writer: asyncio.StreamWriter | None = None
        self._reader_task: asyncio.Task[None] | None = None
        self._process: asyncio.subprocess.Process | None = None

    async def open(self) -> None:
        """Start the zygote and wait for its imports. Raises LaunchError with a failed one's traceback."""
        ours, theirs = socket.socketpair()
        with theirs:
            self._process = await asyncio.create_subprocess_exec(
                sys.executable,
                "-m",
                "palpo_complement.process.zygote",
                str(theirs.fileno()),
                self._fork.entry,
                *self._fork.preload,
                pass_fds=(theirs.fileno(),),
                stdin=subprocess.DEVNULL,
                env=_environment(),
            )
        reader, self._writer = await asyncio.open_connection(sock=ours)
        self._ready = asyncio.get_running_loop().create_future()
        self._reader_task = asyncio.create_task(self._read(reader))
        await self._ready

    async def prepare(self, launch: Launch) -> Process | None:
        return await self._request(self._fork.prepare, launch) if self._fork.prepare else None

    async def spawn(self, launch: Launch) -> Process:
        return await self._request(self._fork.start, launch)

    async def close(self) -> None:
        """End the zygote, and with it every server that is left."""
        if self._writer is not None:
            self._writer.close()
            await self._writer.wait_closed()
        if self._reader_task is not None:
            await self._reader_task
        if self._process is not None:
            await self._process.wait()

    async def _request(self, arguments: tuple[str, ...], launch: Launch) -> Process:
        if self._writer is None or self._writer.is_closing():
            raise LaunchError("the zygote is not running")
        await asyncio.to_thread(arrange, self._recipe, launch.place)
        self._counter += 1
        number = self._counter
        answer: asyncio.Future[Process] = asyncio.get_running_loop().create_future()
        self._requests[number] = answer
        message = {
            "id": number,
            "arguments": arguments,
            "root": str(launch.place.root),
            "log": str(launch.log),
            "env": launch.environment(),
            "inside": None if launch.inside is None else str(launch.inside),
        }
        self._writer.write(json.dumps(message).encode() + b"\n")
        return await answer

    async def _read(self, reader: asyncio.StreamReader) -> None:
        try:
            while line := await reader.readline():
                self._handle(json.loads(line))
        except ConnectionError:
            pass
        gone = LaunchError("the zygote ended")
        for future in (self._ready, *self._requests.values()):
            if future is not None and not future.done():
                future.set_exception(gone)
        for exit_future in self._exits.values():
            if not exit_future.done():
                exit_future.set_result(-9)

    def _handle(self, message: dict[str, Any]) -> None:
        if "exit" in message:
            self._exits.pop(message["pid"]).set_result(message["exit"])
        elif "id" in message:
            process = Process(pid=message["pid"], exited=asyncio.get_running_loop().create_future())
            self._exits[process.pid] = process.exited
            self._requests.pop(message["id"]).set_result(process)
        elif self._ready is not None and not self._ready.done():
            if "error" in message:
                self._ready.set_exception(LaunchError(message["error"]))
            else:
                self._ready.set_result(None)


class CommandLauncher:
    """Any homeserver: the recipe's scripts for `sh -e`, run in the server's folder.

    Where the kernel allows it, the server runs in a mount namespace with the network's hosts file over
    `/etc/hosts`, so that a server that only knows the system's resolver finds its peers.
    """

    def __init__(self, recipe: Recipe) -> None:
        self._recipe = recipe
        self._watchers: set[asyncio.Task[None]] = set()
        self._prefix: tuple[str, ...] = ()
        self._path = ""

    async def open(self) -> None:
        """Install what the recipe needs. Raises InstallFailed."""
        self._path = await search_path(self._recipe, os.environ)
        self._prefix = await asyncio.to_thread(hosts_namespace)

    async def prepare(self, launch: Launch) -> Process | None:
        return await self._run((), self._recipe.prepare, launch) if self._recipe.prepare else None

    async def spawn(self, launch: Launch) -> Process:
        return await self._run(self._prefix, self._recipe.start or "", launch)

    async def close(self) -> None:
        for task in tuple(self._watchers):
            await task

    async def _run(self, prefix: tuple[str, ...], script: str, launch: Launch) -> Process:
        await asyncio.to_thread(arrange, self._recipe, launch.place)
        with launch.log.open("ab") as log:
            try:
                child = await asyncio.create_subprocess_exec(
                    *prefix,
                    *("sh", "-e", "-c", script),
                    cwd=launch.place.root,
                    env={**launch.environment(), "PATH": self._path, "RECIPE": str(self._recipe.folder)},
                    stdin=subprocess.DEVNULL,
                    stdout=log,
                    stderr=log,
                    start_new_session=True,
                )
            except OSError as error:
                raise LaunchError(f"cannot run {self._recipe.name}: {error}") from error
        process = Process(pid=child.pid, exited=asyncio.get_running_loop().create_future())
        watcher = asyncio.create_task(_watch(child, process))
        self._watchers.add(watcher)
        watcher.add_done_callback(self._watchers.discard)
        return process


async def _watch(child: asyncio.subprocess.Process, process: Process) -> None:
    process.exited.set_result(await child.wait())


def hosts_namespace() -> tuple[str, ...]:
    """The words before a command that put the hosts file over `/etc/hosts`; none if that is not allowed."""
    unshare = shutil.which("unshare")
    if unshare is None:
        return ()
    words = [unshare, "--mount"] if os.geteuid() == 0 else [unshare, "--mount", "--map-root-user"]
    probe = subprocess.run(
        [*words, "mount", "--bind", "/etc/hosts", "/etc/hosts"],
        check=False,
        stdout=subprocess.DEVNULL,
        stderr=subprocess.DEVNULL,
    )
    if probe.returncode != 0:
        return ()
    return (*words, "sh", "-c", 'mount --bind "$SERVER_HOSTS" /etc/hosts && exec "$@"', "sh")


def _environment() -> dict[str, str]:
    """The runner's environment, with its own import path kept for the zygote."""
    return {**os.environ, "PYTHONPATH": os.pathsep.join(path for path in sys.path if path)}
