"""What server names are made of, and which of them an operator lets in (spec: appendices, "Server Name")."""

from __future__ import annotations

import re
from collections.abc import Iterable
from functools import lru_cache
from ipaddress import ip_address
from typing import NamedTuple

from palpo.core.identifiers import parse_server_name


class HostAndPort(NamedTuple):
    """A server name's parts: the host without brackets, and the port where one is written."""

    host: str
    port: int | None


def split_server_name(text: str) -> HostAndPort:
    """The parts of a server name; raises InvalidParam for what is none."""
    parse_server_name(text)
    head, colon, tail = text.rpartition(":")
    if not colon or text.endswith("]"):
        return HostAndPort(text.strip("[]"), None)
    return HostAndPort(head.strip("[]"), int(tail))


@lru_cache(maxsize=4096)
def is_ip_literal(host: str) -> bool:
    """Whether ``host``, without brackets, is an IPv4 or IPv6 address."""
    try:
        ip_address(host)
    except ValueError:
        return False
    return True


class ServerNameRules:
    """Which servers are spoken to: those of ``allow`` but for those of ``deny``."""

    def __init__(self, allow: Iterable[str] = (), deny: Iterable[str] = (), *, enabled: bool = True) -> None:
        """Globs over whole server names, ``*`` and ``?``, in any case; with no ``allow`` all are allowed.

        Where that is not ``enabled``, none is.
        """
        self._enabled = enabled
        self.replace(allow, deny)

    def replace(self, allow: Iterable[str], deny: Iterable[str]) -> None:
        """Judge by other globs from now on."""
        self._allow = _any_of(allow)
        self._deny = _any_of(deny)

    def permits(self, server_name: str) -> bool:
        """Whether to speak to a server, by its name with its port, or by its host alone.

        Raises InvalidParam for what is no server name.
        """
        host = server_name.rpartition(":")[0] if split_server_name(server_name).port is not None else ""
        names = [name.lower() for name in (server_name, host) if name]
        if self._deny is not None and any(self._deny.fullmatch(name) for name in names):
            return False
        return self._enabled and (self._allow is None or any(self._allow.fullmatch(name) for name in names))


def _any_of(globs: Iterable[str]) -> re.Pattern[str] | None:
    """A pattern that matches what any of the globs does; None where there are none."""
    patterns = [re.escape(glob.lower()).replace(r"\*", ".*").replace(r"\?", ".") for glob in globs]
    return re.compile("|".join(patterns)) if patterns else None
