"""Listening sockets: bound before any engine runs, so that what is wrong is said by listener."""

from __future__ import annotations

import errno
import os
import socket
import stat
from collections.abc import Sequence
from pathlib import Path

from palpo.cli.engines.connections import BACKLOG
from palpo.cli.engines.inherited import Inherited
from palpo.config.errors import ConfigError
from palpo.config.sections.listeners import Listener

ABSENT = frozenset({errno.EAFNOSUPPORT, errno.EADDRNOTAVAIL})
"""A family of addresses, or an address, that this machine does not have."""


def bind(
    listener: Listener, others: Sequence[Listener] = (), inherited: Inherited | None = None
) -> list[socket.socket]:
    """The sockets of a listener, bound and listening; raises ConfigError.

    ``[::]`` takes IPv4 too, unless one of ``others`` has its port for that. What is among ``inherited`` is
    bound already.
    """
    path = listener.unix_path
    inherited = inherited or Inherited()
    try:
        if path is not None:
            return [inherited.take(socket.AF_UNIX, str(path)) or _unix(path, int(listener.mode, 8))]
        return _internet(listener, others, inherited)
    except OSError as error:
        reason = error.strerror if error.errno is not None else str(error)
        raise ConfigError(f"listeners: {listener.bind}: {reason or error}") from error


def _internet(listener: Listener, others: Sequence[Listener], inherited: Inherited) -> list[socket.socket]:
    host, _, port = listener.bind.rpartition(":")
    found = socket.getaddrinfo(host.strip("[]"), int(port), type=socket.SOCK_STREAM, flags=socket.AI_PASSIVE)
    shared = any(_port(item) == port and not item.bind.startswith("[") for item in others if item != listener)
    sockets: list[socket.socket] = []
    missing: OSError | None = None
    try:
        for family, address in dict.fromkeys((item[0], item[4]) for item in found):
            try:
                opened = inherited.take(family, address)
                sockets.append(opened or _address(family, address, dual=address[0] == "::" and not shared))
            except OSError as error:
                if error.errno not in ABSENT:
                    raise
                missing = error
    except OSError:
        for opened in sockets:
            opened.close()
        raise
    if not sockets and missing is not None:
        raise missing
    return sockets


def _port(listener: Listener) -> str | None:
    return listener.bind.rpartition(":")[2] if listener.unix_path is None else None


def _address(family: int, address: object, *, dual: bool) -> socket.socket:
    listening = socket.socket(family, socket.SOCK_STREAM)
    try:
        listening.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        listening.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        if family == socket.AF_INET6:
            listening.setsockopt(socket.IPPROTO_IPV6, socket.IPV6_V6ONLY, 0 if dual else 1)
        listening.bind(address)  # type: ignore[arg-type]
        return _listening(listening)
    except OSError:
        listening.close()
        raise


def _unix(path: Path, mode: int) -> socket.socket:
    _remove_stale(path)
    listening = socket.socket(socket.AF_UNIX, socket.SOCK_STREAM)
    # The file is never there with more than its own mode.
    before = os.umask(0o777 & ~mode)
    try:
        listening.bind(str(path))
        path.chmod(mode)
        return _listening(listening)
    except OSError:
        listening.close()
        raise
    finally:
        os.umask(before)


def _remove_stale(path: Path) -> None:
    """Remove the file that a server left which was killed; raises OSError where it is anything else."""
    try:
        is_socket = stat.S_ISSOCK(path.lstat().st_mode)
    except FileNotFoundError:
        return
    if not is_socket:
        raise OSError(errno.EEXIST, "There is a file of that name that is no socket")
    with socket.socket(socket.AF_UNIX, socket.SOCK_STREAM) as probe:
        try:
            probe.connect(str(path))
        except ConnectionRefusedError:
            path.unlink(missing_ok=True)
        else:
            raise OSError(errno.EADDRINUSE, os.strerror(errno.EADDRINUSE))


def _listening(bound: socket.socket) -> socket.socket:
    bound.listen(BACKLOG)
    bound.setblocking(False)
    return bound
