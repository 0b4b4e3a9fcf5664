"""Addresses and ports that two runners on one machine never share.

A runner holds one slot: `127.<100 + slot>.0.0/16` for its networks and 1,000 ports for what it publishes,
below the range from which the kernel hands out ephemeral ports. A slot is held by a file lock, so it is free
again when its runner dies.
"""

from __future__ import annotations

import fcntl
import os
import socket
import tempfile
from collections.abc import Iterator
from contextlib import closing
from dataclasses import dataclass, field
from pathlib import Path

from palpo_complement.errors import SetupFailed

SLOTS = 10
FIRST_PORT = 20_000
PORTS_PER_SLOT = 1_000


class NoFreeSlot(SetupFailed):
    """Every slot is held by another runner."""


def lock_directory() -> Path:
    """Where the lock files of every runner of this machine are."""
    return Path(tempfile.gettempdir()) / "palpo-complement-locks"


@dataclass(slots=True)
class Slot:
    """A share of 127/8 and of the ports, until `release`."""

    index: int
    handle: int
    _subnets: set[int] = field(default_factory=set)
    _last_host: int = 1
    _last_port: int = -1

    @classmethod
    def acquire(cls, directory: Path | None = None) -> Slot:
        """Lock the first free slot. Raises NoFreeSlot."""
        where = directory if directory is not None else lock_directory()
        where.mkdir(parents=True, exist_ok=True)
        for index in range(SLOTS):
            handle = os.open(where / f"slot-{index}.lock", os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o666)
            try:
                fcntl.flock(handle, fcntl.LOCK_EX | fcntl.LOCK_NB)
            except BlockingIOError:
                os.close(handle)
                continue
            return cls(index, handle)
        raise NoFreeSlot(f"all {SLOTS} slots are in use by other runners (locks in {where})")

    def release(self) -> None:
        os.close(self.handle)

    def take_subnet(self) -> int:
        """The number of a free /24."""
        for number in range(256):
            if number not in self._subnets:
                self._subnets.add(number)
                return number
        raise NoFreeSlot("256 networks exist at once")

    def free_subnet(self, number: int) -> None:
        self._subnets.discard(number)

    def take_address(self, subnet: int, used: set[str]) -> str:
        """An address in the subnet that is not in `used`; recently freed ones come last."""
        for _ in range(253):
            self._last_host = self._last_host % 254 + 1
            if self._last_host == 1:
                continue
            address = f"127.{100 + self.index}.{subnet}.{self._last_host}"
            if address not in used:
                return address
        raise NoFreeSlot(f"subnet {subnet} is full")

    def take_port(self, used: set[int]) -> int:
        """A port on 127.0.0.1 on which nobody listens and that is not in `used`."""
        for port in self._candidates():
            if port not in used and _is_free(port):
                return port
        raise NoFreeSlot(f"no free port for slot {self.index}")

    def _candidates(self) -> Iterator[int]:
        base = FIRST_PORT + self.index * PORTS_PER_SLOT
        for _ in range(PORTS_PER_SLOT):
            self._last_port = (self._last_port + 1) % PORTS_PER_SLOT
            yield base + self._last_port


def _is_free(port: int) -> bool:
    with closing(socket.socket(socket.AF_INET, socket.SOCK_STREAM)) as probe:
        probe.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        try:
            probe.bind(("127.0.0.1", port))
        except OSError:
            return False
        return True
