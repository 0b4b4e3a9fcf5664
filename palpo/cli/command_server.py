"""The server's end of the socket by which commands ask it (``asking.py``)."""

from __future__ import annotations

import argparse
import asyncio
import os
import pwd
import socket
import struct
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager, suppress
from pathlib import Path
from typing import TYPE_CHECKING

import msgspec
import structlog

from palpo import __version__
from palpo.cli.actions import ACTIONS, Registered, perform
from palpo.cli.asking import MAX_PATH, SOCKET, End, Reply, Request
from palpo.cli.following import follow
from palpo.core.errors import MatrixError
from palpo.db.errors import DatabaseError

if TYPE_CHECKING:
    from palpo.api.services import Services

log = structlog.get_logger("palpo.commands")

MAX_REQUEST = 1 << 20
"""Bytes of a request."""
REQUEST_SECONDS = 10.0
BACKLOG = 16
Send = Callable[[Reply], None]
"""Raises Gone."""


class Gone(Exception):
    """Nobody waits any more for what is being followed."""


class CommandServer:
    """Does what commands ask for, with the server's own services."""

    def __init__(self, services: Services) -> None:
        self._services = services
        self._tasks: set[asyncio.Task[None]] = set()

    async def serve(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        """One connection: one request."""
        task = asyncio.current_task()
        assert task is not None
        self._tasks.add(task)
        task.add_done_callback(self._tasks.discard)
        try:
            await self._answer(reader, writer)
        except (OSError, ValueError, EOFError, Gone):
            return  # Who asked has gone.
        finally:
            writer.close()

    async def stop(self) -> None:
        """End what is under way: each unit of work is done whole or not at all, and jobs go on later."""
        for task in self._tasks:
            task.cancel()
        await asyncio.gather(*self._tasks, return_exceptions=True)

    async def _answer(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        actor = _peer(writer)
        if actor is None:
            return
        async with asyncio.timeout(REQUEST_SECONDS):
            line = await reader.readline()

        def send(reply: Reply) -> None:
            if writer.is_closing():
                raise Gone
            writer.write(msgspec.json.encode(reply, enc_hook=str) + b"\n")

        try:
            end = await self._done(line, actor, send)
        except MatrixError as error:
            end = End(error=error.message)
        except DatabaseError as error:
            end = End(error=f"The database: {error}")
        except (OSError, Gone):
            raise
        except Exception:
            log.exception("command_failed", actor=actor)
            end = End(error="it failed; the server's log says why")
        send(Reply(end=end))
        await writer.drain()

    async def _done(self, line: bytes, actor: str, send: Send) -> End:
        try:
            request = msgspec.json.decode(line, type=Request)
        except msgspec.MsgspecError:
            return End(error="the server does not understand what it is asked")
        registered = ACTIONS.get(request.command)
        if request.version != __version__ or registered is None:
            return End(
                error=f"the server that runs is Palpo {__version__}, the command is of {request.version}: "
                "start the server again, with the command's version"
            )
        options = argparse.Namespace(**request.options)
        return await self._perform(registered, options, actor, send)

    async def _perform(
        self, registered: Registered, options: argparse.Namespace, actor: str, send: Send
    ) -> End:
        def tell(line: str) -> None:
            send(Reply(progress=line))

        outcome = await perform(self._services, registered, options, actor=actor, tell=tell)
        if outcome.job is not None:
            send(Reply(job=outcome.job.job_id))
            outcome = await follow(self._services, outcome.job, tell)
        return End(text=outcome.text, data=outcome.data, status=outcome.status)


@asynccontextmanager
async def serving_commands(services: Services, data: Path) -> AsyncIterator[None]:
    """Take commands through the data folder's socket, unless another process of the server does already."""
    path = data / SOCKET
    listener = _listener(path)
    if listener is None:
        yield
        return
    commands = CommandServer(services)
    server = await asyncio.start_unix_server(commands.serve, sock=listener, limit=MAX_REQUEST)
    try:
        yield
    finally:
        with suppress(OSError):
            path.unlink(missing_ok=True)
        server.close()
        await commands.stop()


def _listener(path: Path) -> socket.socket | None:
    """A socket that only its owner may connect to; None where there can be none."""
    if len(str(path).encode()) > MAX_PATH:
        log.warning("no_command_socket", path=str(path), error=f"its name has more than {MAX_PATH} bytes")
        return None
    listener = socket.socket(socket.AF_UNIX, socket.SOCK_STREAM)
    try:
        if _is_taken(path):
            listener.close()
            return None
        path.unlink(missing_ok=True)
        before = os.umask(0o177)
        try:
            listener.bind(str(path))
        finally:
            os.umask(before)
        listener.listen(BACKLOG)
    except OSError as error:
        listener.close()
        log.warning("no_command_socket", path=str(path), error=error.strerror or str(error))
        return None
    listener.setblocking(False)
    return listener


def _is_taken(path: Path) -> bool:
    """Whether somebody listens there."""
    with socket.socket(socket.AF_UNIX, socket.SOCK_STREAM) as probe:
        probe.settimeout(1.0)
        try:
            probe.connect(str(path))
        except (FileNotFoundError, ConnectionRefusedError):
            return False
        return True


def _peer(writer: asyncio.StreamWriter) -> str | None:
    """The name of the machine's account that has connected; None where that may not."""
    connection = writer.get_extra_info("socket")
    raw = connection.getsockopt(socket.SOL_SOCKET, socket.SO_PEERCRED, struct.calcsize("3i"))
    _, uid, _ = struct.unpack("3i", raw)
    if uid not in (0, os.getuid()):
        return None
    try:
        return pwd.getpwuid(uid).pw_name
    except KeyError:
        return str(uid)
