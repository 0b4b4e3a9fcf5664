"""Where servers are: at addresses of 127/8, found by a file of hosts, trusted by one authority."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

from palpo_complement.process import hosts

from tests.support.authority import Authority
from tests.support.pairs import PORT, loopback


@dataclass(frozen=True, slots=True, kw_only=True)
class Place:
    """Where one server is. Its name has the port, so that nobody looks for it elsewhere."""

    host: str
    address: str
    certificate: Path
    key: Path

    @property
    def server_name(self) -> str:
        """Such as ``one.bench.test:8448``."""
        return named(self.host)


class Town:
    """Places, and the file in which all of them are."""

    def __init__(self, folder: Path) -> None:
        folder.mkdir(exist_ok=True)
        folder.chmod(0o755)
        self.authority = Authority(folder)
        self.hosts_file = folder / "hosts"
        self._addresses: dict[str, str] = {}
        hosts.write(self.hosts_file, {})

    def place(self, host: str) -> Place:
        """A new place; ``host`` may be ``*.fan.test``, for which ``name`` has the hosts."""
        certificate, key = self.authority.files(host)
        address = loopback()
        if "*" not in host:
            self.name([host], address)
        return Place(host=host, address=address, certificate=certificate, key=key)

    def name(self, names: list[str], address: str) -> None:
        """Have hosts be at an address."""
        self._addresses |= dict.fromkeys(names, address)
        hosts.write(self.hosts_file, self._addresses)


def named(host: str) -> str:
    """The name of the server at a host."""
    return f"{host}:{PORT}"
