"""What the process engine knows: images, networks and containers.

An image is a directory to start from; a container is a copy of one, a process, an address of its own and two
published ports.
"""

from __future__ import annotations

import asyncio
import secrets
import time
from dataclasses import dataclass, field
from pathlib import Path

from palpo_complement.recording.gate import Gate


class EngineError(Exception):
    """A call that the Docker Engine API answers with `status` and `{"message": ...}`."""

    def __init__(self, status: int, message: str) -> None:
        super().__init__(message)
        self.status = status
        self.message = message


def not_found(kind: str, name: str) -> EngineError:
    return EngineError(404, f"No such {kind}: {name}")


def new_id() -> str:
    """A 64-digit hexadecimal identifier, as Docker makes them."""
    return secrets.token_hex(32)


@dataclass(frozen=True, slots=True, kw_only=True)
class Image:
    """A state directory to copy, the labels that containers inherit, and the server that runs on it.

    `database` names the template database on a server, or is None where the database is a file in `root`.
    """

    id: str
    tags: tuple[str, ...]
    labels: dict[str, str]
    server: str
    root: Path
    database: str | None = None
    removable: bool = True


@dataclass(frozen=True, slots=True, kw_only=True)
class Network:
    """A user-defined network: one /24 of 127/8 and the hosts file that its containers read."""

    id: str
    name: str
    labels: dict[str, str]
    subnet: int
    hosts_file: Path


@dataclass(slots=True, kw_only=True)
class Process:
    """A running server. `exited` gets the exit code: negative for a signal."""

    pid: int
    exited: asyncio.Future[int]


@dataclass(frozen=True, slots=True, kw_only=True)
class Ports:
    """The ports on 127.0.0.1 at which a container is published."""

    http: int
    federation: int


@dataclass(slots=True, kw_only=True)
class Container:
    """One homeserver of a deployment, from create to remove."""

    id: str
    name: str
    image: Image
    labels: dict[str, str]
    env: dict[str, str]
    network: Network
    aliases: tuple[str, ...]
    extra_hosts: tuple[str, ...]
    address: str
    ports: Ports
    root: Path
    log: Path
    gate: Gate
    database: str | None = None
    process: Process | None = None
    paused: bool = False
    exit_code: int = 0
    started_at: float = 0.0
    finished_at: float = 0.0
    created_at: float = field(default_factory=time.time)
    lock: asyncio.Lock = field(default_factory=asyncio.Lock)

    @property
    def running(self) -> bool:
        return self.process is not None and not self.process.exited.done()

    @property
    def status(self) -> str:
        """Docker's word for the state: created, running, paused or exited."""
        if self.running:
            return "paused" if self.paused else "running"
        return "created" if self.started_at == 0.0 else "exited"


def matches_labels(labels: dict[str, str], wanted: tuple[str, ...]) -> bool:
    """Whether every `key` or `key=value` of a Docker label filter holds."""
    for item in wanted:
        key, equals, value = item.partition("=")
        if key not in labels or (equals and labels[key] != value):
            return False
    return True
