"""Addresses of hosts that are known without the DNS: of the configuration, and of the system's hosts file."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path

from palpo.core.server_names import HostAndPort, is_ip_literal, split_server_name

MAX_FILE = 1024 * 1024
"""Bytes of a hosts file that are read."""
LOOPBACK = ("::1", "127.0.0.1")
"""``localhost`` (RFC 6761 §6.3), where nothing else is said."""


class Hosts:
    """Looks hosts up, in any case and with or without the dot at the end."""

    def __init__(self, places: Mapping[str, str], file: Path) -> None:
        """``places`` are hosts and their addresses, with ports or without; they win over the ``file``."""
        self._places = {plain(host): split_server_name(place) for host, place in places.items()}
        self._file = file
        self._version: tuple[int, int, int] | None = None
        self._named: dict[str, tuple[str, ...]] = {}

    def place(self, host: str) -> HostAndPort | None:
        """What the configuration says of a host; the port is None where it says none."""
        return self._places.get(plain(host))

    def addresses(self, host: str) -> tuple[str, ...]:
        """The addresses of a host; none where it is not known here."""
        name = plain(host)
        if name in self._places:
            return (self._places[name].host,)
        self._read_if_changed()
        return self._named.get(name) or (LOOPBACK if name == "localhost" else ())

    def _read_if_changed(self) -> None:
        try:
            found = self._file.stat()
            version = (found.st_ino, found.st_mtime_ns, found.st_size)
            if version != self._version:
                with self._file.open(encoding="utf-8", errors="replace") as file:
                    self._named = parse_hosts(file.read(MAX_FILE))
                self._version = version
        except OSError:
            self._version, self._named = None, {}


def parse_hosts(text: str) -> dict[str, tuple[str, ...]]:
    """The addresses of each name in a hosts file (hosts(5)); lines that cannot be read say nothing."""
    found: dict[str, list[str]] = {}
    for line in text.splitlines():
        address, *names = line.partition("#")[0].split() or [""]
        if is_ip_literal(address):
            for name in names:
                found.setdefault(plain(name), []).append(address)
    return {name: tuple(dict.fromkeys(addresses)) for name, addresses in found.items()}


def plain(host: str) -> str:
    """A host's name as it is compared."""
    return host.lower().removesuffix(".")
