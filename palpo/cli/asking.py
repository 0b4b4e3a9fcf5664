"""A command asks the server that runs, through a Unix socket in the data folder.

One line of JSON goes there, a ``Request``; ``Reply``s come back, the last of which has an end.
"""

from __future__ import annotations

import contextlib
import socket
import sys
import threading
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import msgspec

from palpo import __version__
from palpo.cli.failures import Failure
from palpo.cli.outcomes import Outcome, Tell

SOCKET = "command.sock"
"""Its name in the data folder, which is its owner's only, as the socket is."""
MAX_PATH = 107
"""Bytes of a Unix socket's name."""
WAIT_SECONDS = 30.0
"""How long a server may take to take a connection; what it then does may take any time."""
SILENT_SECONDS = 10.0
"""After which somebody who waits is told that nothing has come yet."""
STILL_SILENT = "the server has not answered yet, and is waited for; Ctrl-C ends that"


class Request(msgspec.Struct, frozen=True, kw_only=True):
    """What is to be done."""

    version: str
    """Of who asks: only the same version knows the same commands."""
    command: str
    options: dict[str, Any]


class End(msgspec.Struct, frozen=True, kw_only=True):
    """What it came to."""

    text: str = ""
    data: Any = None
    status: int = 0
    error: str | None = None
    """Why it was not done."""


class Reply(msgspec.Struct, frozen=True, kw_only=True, omit_defaults=True):
    """How far it is, the job that does it from now on, or its end."""

    progress: str | None = None
    job: str | None = None
    end: End | None = None


def ask_server(data: Path, command: str, options: dict[str, Any], *, tell: Tell) -> Outcome | None:
    """Have the server of a data folder do it; None where none runs. Raises Failure."""
    connection = _connected(data / SOCKET)
    if connection is None:
        return None
    with connection:
        request = Request(version=__version__, command=command, options=options)
        silence = threading.Timer(SILENT_SECONDS, tell, [STILL_SILENT])
        silence.daemon = True
        silence.start()
        try:
            connection.sendall(msgspec.json.encode(request, enc_hook=str) + b"\n")
            connection.settimeout(None)
            return _followed(_replies(connection, heard=silence.cancel), tell)
        except OSError as error:
            raise _lost() from error
        finally:
            silence.cancel()


def _connected(path: Path) -> socket.socket | None:
    """A connection to whoever listens there; None where nobody does."""
    if len(str(path).encode()) > MAX_PATH:
        return None
    connection = socket.socket(socket.AF_UNIX, socket.SOCK_STREAM)
    connection.settimeout(WAIT_SECONDS)
    try:
        connection.connect(str(path))
    except (FileNotFoundError, ConnectionRefusedError, NotADirectoryError):
        # What a server that was killed has left behind refuses; the next one takes its place.
        connection.close()
        return None
    except PermissionError:
        connection.close()
        raise Failure(f"{path}: the server runs as another user: run the command as that one") from None
    except OSError as error:
        connection.close()
        raise Failure(f"{path}: the server takes no connection: {error.strerror or error}") from error
    return connection


def _replies(connection: socket.socket, heard: Callable[[], None]) -> Iterator[Reply]:
    with connection.makefile("rb") as lines:
        for line in lines:
            heard()
            try:
                yield msgspec.json.decode(line, type=Reply)
            except msgspec.MsgspecError:
                return


def _followed(replies: Iterator[Reply], tell: Tell) -> Outcome:
    job: str | None = None
    try:
        for reply in replies:
            job = reply.job or job
            if reply.progress is not None:
                tell(reply.progress)
            if (end := reply.end) is not None:
                if end.error is not None:
                    raise Failure(end.error)
                return Outcome(end.text, end.data, end.status)
    except KeyboardInterrupt:
        if job is not None:
            with contextlib.suppress(OSError):
                print(f"It goes on. To follow it: palpo jobs follow {job}", file=sys.stderr)
        raise
    if job is not None:
        raise Failure(f"the server has ended; the job goes on once it runs again: palpo jobs follow {job}")
    raise _lost()


def _lost() -> Failure:
    return Failure(
        "the server ended before it answered: it may or may not be done, so look before trying again"
    )
