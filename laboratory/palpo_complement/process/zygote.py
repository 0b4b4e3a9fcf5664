"""A process that has imported the homeserver and forks a copy for each container.

Run as `python -m palpo_complement.process.zygote FD ENTRY PRELOAD...`: it imports the modules that are named,
calls each `module:function` after the entry, then speaks JSON lines on the inherited socket FD.

- In: `{"id", "arguments", "root", "log", "env", "inside"}`; the last is the file for what is said over TLS,
  or null.
- Out: `{"ready": true}` or `{"error": text}` once; then `{"id", "pid"}` for a request and `{"pid", "exit"}`
  when a child ends.

The entry, `module:function`, is called as a console script calls it: with `sys.argv` set, in the root, in a
process group of its own, with the environment given and its output in the log. When the socket closes, the
zygote kills its children and ends.
"""

from __future__ import annotations

import gc
import importlib
import json
import os
import select
import signal
import socket
import sys
import traceback
from collections.abc import Callable
from contextlib import suppress
from pathlib import Path
from typing import Any, NoReturn

from palpo_complement.recording import inside


def main(arguments: list[str]) -> int:
    """Serve until the other end of the socket closes."""
    connection = socket.socket(fileno=int(arguments[0]))
    connection.set_inheritable(False)
    try:
        entry = _named(arguments[1])
        # What is made here once is there in every child.
        for name in arguments[2:]:
            _preload(name)
    except BaseException:  # noqa: BLE001 - whatever an import raises goes to the engine
        _send(connection, {"error": traceback.format_exc()})
        return 1
    gc.collect()
    gc.freeze()
    wake_read, wake_write = os.pipe2(os.O_NONBLOCK | os.O_CLOEXEC)
    signal.signal(signal.SIGCHLD, lambda *_: None)
    signal.signal(signal.SIGINT, signal.SIG_IGN)
    signal.set_wakeup_fd(wake_write)
    _send(connection, {"ready": True})
    _serve(connection, wake_read, entry)
    return 0


def _named(name: str) -> Callable[[], object]:
    module, _, function = name.partition(":")
    found: Callable[[], object] = getattr(importlib.import_module(module), function)
    return found


def _preload(name: str) -> None:
    if ":" in name:
        _named(name)()
    else:
        importlib.import_module(name)


def _serve(connection: socket.socket, wake: int, entry: Callable[[], object]) -> None:
    children: set[int] = set()
    pending = b""
    while True:
        readable, _, _ = select.select([connection.fileno(), wake], [], [])
        if wake in readable:
            os.read(wake, 4096)
            _reap(connection, children)
        if connection.fileno() in readable:
            data = connection.recv(1 << 20)
            if not data:
                break
            *lines, pending = (pending + data).split(b"\n")
            for line in lines:
                children.add(_fork(connection, json.loads(line), entry))
    for pid in children:
        with suppress(ProcessLookupError):
            os.killpg(pid, signal.SIGKILL)


def _fork(connection: socket.socket, request: dict[str, Any], entry: Callable[[], object]) -> int:
    pid = os.fork()
    if pid == 0:
        connection.close()
        _child(request, entry)
    # Both sides set the group, so that a kill right after the answer finds it.
    with suppress(ProcessLookupError, PermissionError):
        os.setpgid(pid, pid)
    _send(connection, {"id": request["id"], "pid": pid})
    return pid


def _child(request: dict[str, Any], entry: Callable[[], object]) -> NoReturn:
    code = 1
    try:
        _settle(request)
        sys.argv = [entry.__module__, *request["arguments"]]
        result = entry()
        code = result if isinstance(result, int) else 0
    except SystemExit as stop:
        code = stop.code if isinstance(stop.code, int) else int(stop.code is not None)
    except BaseException:  # noqa: BLE001 - the end of a process: all goes to its log
        traceback.print_exc()
    finally:
        with suppress(OSError, ValueError):
            sys.stdout.flush()
            sys.stderr.flush()
        os._exit(code & 0xFF)


def _settle(request: dict[str, Any]) -> None:
    with suppress(PermissionError):
        os.setpgid(0, 0)
    signal.set_wakeup_fd(-1)
    signal.signal(signal.SIGCHLD, signal.SIG_DFL)
    signal.signal(signal.SIGINT, signal.default_int_handler)
    log = os.open(request["log"], os.O_WRONLY | os.O_CREAT | os.O_APPEND, 0o644)
    os.dup2(log, 1)
    os.dup2(log, 2)
    os.close(log)
    for stream in (sys.stdout, sys.stderr):
        stream.reconfigure(line_buffering=True)  # type: ignore[union-attr]
    os.chdir(request["root"])
    os.environ.clear()
    os.environ.update(request["env"])
    if request["inside"] is not None:
        inside.watch(Path(request["inside"]))


def _reap(connection: socket.socket, children: set[int]) -> None:
    for pid in tuple(children):
        done, status = os.waitpid(pid, os.WNOHANG)
        if done:
            children.discard(pid)
            _send(connection, {"pid": pid, "exit": os.waitstatus_to_exitcode(status)})


def _send(connection: socket.socket, message: dict[str, Any]) -> None:
    with suppress(BrokenPipeError):
        connection.sendall(json.dumps(message).encode() + b"\n")


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
