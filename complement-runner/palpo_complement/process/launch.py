"""Starting servers: as a fork of a zygote, or as a command.

Both give a `Process` in a process group of its own, whose output goes to the container's log.
"""

from __future__ import annotations

import asyncio
import json
import os
import shlex
import shutil
import socket
import subprocess
import sys
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Protocol

from .model import Process


class LaunchError(RuntimeError):
    """A server could not be started at all; the text holds the reason or the traceback."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Launch:
    """One server to start: its state directory, its log and its whole environment."""

    root: Path
    log: Path
    env: Mapping[str, str]


class Launcher(Protocol):
    """Starts the servers of one image."""

    async def open(self) -> None: ...

    async def prepare(self, launch: Launch) -> Process | None:
        """Run the image's preparation, if it has one."""
        ...

    async def spawn(self, launch: Launch) -> Process: ...

    async def close(self) -> None: ...


class ZygoteLauncher:
    """Forks of one process that has `preload` and the module of `target` imported.

    `target` and `prepare_target` are `module:function`, called with the state directory. A module's own
    `preload` function, if it has one, is called once before any fork.
    """

    def __init__(
        self, target: str, *, prepare_target: str | None = None, preload: tuple[str, ...] = ()
    ) -> None:
        self._target = target
        self._prepare_target = prepare_target
        self._preload = (*preload, target.partition(":")[0])
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
                *self._preload,
                pass_fds=(theirs.fileno(),),
                stdin=subprocess.DEVNULL,
                env=_environment(),
            )
        reader, self._writer = await asyncio.open_connection(sock=ours)
        self._ready = asyncio.get_running_loop().create_future()
        self._reader_task = asyncio.create_task(self._read(reader))
        await self._ready

    async def prepare(self, launch: Launch) -> Process | None:
        if self._prepare_target is None:
            return None
        return await self._request(self._prepare_target, launch)

    async def spawn(self, launch: Launch) -> Process:
        return await self._request(self._target, launch)

    async def close(self) -> None:
        """End the zygote, and with it every server that is left."""
        if self._writer is not None:
            self._writer.close()
            await self._writer.wait_closed()
        if self._reader_task is not None:
            await self._reader_task
        if self._process is not None:
            await self._process.wait()

    async def _request(self, target: str, launch: Launch) -> Process:
        if self._writer is None or self._writer.is_closing():
            raise LaunchError("the zygote is not running")
        self._counter += 1
        number = self._counter
        answer: asyncio.Future[Process] = asyncio.get_running_loop().create_future()
        self._requests[number] = answer
        message = {
            "id": number,
            "target": target,
            "root": str(launch.root),
            "log": str(launch.log),
            "env": dict(launch.env),
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
    """Any homeserver: a shell-quoted command, in which `{root}` is the state directory.

    Where the kernel allows it, the command runs in a mount namespace with the network's hosts file over
    `/etc/hosts`, so that a server that only knows the system's resolver finds its peers.
    """

    def __init__(self, command: str, *, prepare_command: str | None = None) -> None:
        self._command = command
        self._prepare_command = prepare_command
        self._watchers: set[asyncio.Task[None]] = set()
        self._prefix: tuple[str, ...] = ()

    async def open(self) -> None:
        self._prefix = _hosts_namespace()

    async def prepare(self, launch: Launch) -> Process | None:
        if self._prepare_command is None:
            return None
        return await self._run((), self._prepare_command, launch)

    async def spawn(self, launch: Launch) -> Process:
        return await self._run(self._prefix, self._command, launch)

    async def close(self) -> None:
        for task in tuple(self._watchers):
            await task

    async def _run(self, prefix: tuple[str, ...], command: str, launch: Launch) -> Process:
        words = [word.replace("{root}", str(launch.root)) for word in shlex.split(command)]
        with launch.log.open("ab") as log:
            try:
                child = await asyncio.create_subprocess_exec(
                    *prefix,
                    *words,
                    cwd=launch.root,
                    env=dict(launch.env),
                    stdin=subprocess.DEVNULL,
                    stdout=log,
                    stderr=log,
                    start_new_session=True,
                )
            except OSError as error:
                raise LaunchError(f"cannot run {words[0]}: {error}") from error
        process = Process(pid=child.pid, exited=asyncio.get_running_loop().create_future())
        watcher = asyncio.create_task(_watch(child, process))
        self._watchers.add(watcher)
        watcher.add_done_callback(self._watchers.discard)
        return process


async def _watch(child: asyncio.subprocess.Process, process: Process) -> None:
    process.exited.set_result(await child.wait())


def _hosts_namespace() -> tuple[str, ...]:
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
    return (*words, "sh", "-c", 'mount --bind "$PALPO_HOSTS_FILE" /etc/hosts && exec "$@"', "sh")


def _environment() -> dict[str, str]:
    """The runner's environment, with its own import path kept for the zygote."""
    return {**os.environ, "PYTHONPATH": os.pathsep.join(path for path in sys.path if path)}
