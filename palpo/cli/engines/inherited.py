"""Sockets that systemd has opened (sd_listen_fds(3)): in them connections wait while the server restarts."""

from __future__ import annotations

import os
import socket
from collections.abc import Sequence

from palpo.config.errors import ConfigError

FIRST = 3
"""The number of the first descriptor; the others follow."""


class Inherited:
    """What systemd has handed over; each socket goes to the listener that has its address."""

    def __init__(self, sockets: Sequence[socket.socket] = ()) -> None:
        self._sockets = list(sockets)

    def take(self, family: int, address: str | tuple[object, ...]) -> socket.socket | None:
        """The socket that listens at ``address``, a path or a host and a port, if there is one."""
        for item in self._sockets:
            if item.family == family and _same(item.getsockname(), address):
                self._sockets.remove(item)
                return item
        return None

    def paths(self) -> frozenset[str]:
        """The files of those that have one."""
        return frozenset(name for item in self._sockets if isinstance(name := item.getsockname(), str))

    def finish(self) -> None:
        """Raises ConfigError for a socket that no listener has taken."""
        for item in self._sockets:
            name = item.getsockname()
            where = name if isinstance(name, str) else f"{name[0]}:{name[1]}"
            raise ConfigError(f"listeners: systemd has opened {where}, which is no listener's `bind`")

    def close(self) -> None:
        """Close what nobody has taken."""
        for item in self._sockets:
            item.close()
        self._sockets = []


def from_systemd() -> Inherited:
    """Those that the environment names, which does so for this process and once."""
    pid, count = os.environ.pop("LISTEN_PID", ""), os.environ.pop("LISTEN_FDS", "")
    os.environ.pop("LISTEN_FDNAMES", None)
    if pid != str(os.getpid()) or not count.isdecimal():
        return Inherited()
    return Inherited([_opened(number) for number in range(FIRST, FIRST + int(count))])


def _opened(number: int) -> socket.socket:
    os.set_inheritable(number, False)
    opened = socket.socket(fileno=number)
    if opened.family != socket.AF_UNIX:
        opened.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
    opened.setblocking(False)
    return opened


def _same(name: str | tuple[object, ...], address: str | tuple[object, ...]) -> bool:
    if isinstance(name, str) or isinstance(address, str):
        return name == address
    return name[:2] == address[:2]
