"""The engine: images, networks and containers, as local directories, addresses and processes.

A server listens at an address of its own, on the ports 8008 and 8448. What is published of it are ports of a
gate before it, which records what it answers.
"""

from __future__ import annotations

import asyncio
import os
import shutil
import signal
import time
from collections.abc import Iterator, Mapping
from concurrent.futures import ProcessPoolExecutor
from contextlib import suppress
from dataclasses import dataclass, replace
from pathlib import Path

from palpo_complement.recipe import UNNAMED, Place
from palpo_complement.recording.gate import FEDERATION_PORT, HTTP_PORT, Gate, Records
from palpo_complement.recording.recorder import schema_process

from . import hosts, store
from .databases import Databases
from .launch import Launch, Launcher, LaunchError
from .model import (
    Container,
    EngineError,
    Image,
    Network,
    Ports,
    Process,
    matches_labels,
    new_id,
    not_found,
)
from .subnets import Slot

KEPT_ENVIRONMENT = ("PATH", "HOME", "LANG", "LC_ALL", "TZ", "TMPDIR", "PYTHONPATH", "VIRTUAL_ENV", "USER")


@dataclass(frozen=True, slots=True, kw_only=True)
class Settings:
    """Where the engine works, and how long a server may take to listen."""

    state: Path
    logs: Path
    start_timeout: float = 30.0
    schema_check: bool = False


@dataclass(frozen=True, slots=True, kw_only=True)
class Creation:
    """The part of a create request that this engine heeds."""

    name: str
    image: str
    labels: dict[str, str]
    env: dict[str, str]
    network: str
    aliases: tuple[str, ...]
    extra_hosts: tuple[str, ...]


class Engine:
    """All state of one runner. Calls for one container are serialised by its lock."""

    def __init__(
        self, settings: Settings, slot: Slot, databases: Databases, launchers: Mapping[str, Launcher]
    ) -> None:
        self._settings = settings
        self._slot = slot
        self._databases = databases
        self._launchers = dict(launchers)
        self._images: dict[str, Image] = {}
        self._networks: dict[str, Network] = {}
        self._containers: dict[str, Container] = {}
        self._schemas: ProcessPoolExecutor | None = None
        self.environments: dict[str, dict[str, str]] = {}
        """By container ID; it stays when the container goes."""

    async def open(self) -> None:
        """Start the launchers and prepare one image for each. Raises LaunchError."""
        self._settings.state.mkdir(parents=True, exist_ok=True)
        self._settings.logs.mkdir(parents=True, exist_ok=True)
        if self._settings.schema_check:
            self._schemas = schema_process()
        await self._databases.open()
        for name, launcher in self._launchers.items():
            await launcher.open()
            await self._build(name, launcher)

    async def close(self) -> None:
        """Remove every container, end the launchers and delete all state."""
        for container in tuple(self._containers.values()):
            await self.remove_container(container.id, force=True)
        for image in tuple(self._images.values()):
            await self._databases.drop(image.database)
        for launcher in self._launchers.values():
            await launcher.close()
        await self._databases.close()
        if self._schemas is not None:
            await asyncio.to_thread(self._schemas.shutdown)
        await asyncio.to_thread(store.remove_tree, self._settings.state)
        self._slot.release()

    async def _build(self, name: str, launcher: Launcher) -> None:
        identifier = new_id()
        root = self._settings.state / "images" / identifier[:12]
        root.mkdir(parents=True)
        database = await self._databases.create(f"image_{identifier[:12]}")
        log = self._settings.logs / f"prepare-{name.replace('/', '_')}.log"
        place = Place(
            root=root,
            name=UNNAMED,
            address="127.0.0.1",
            database_url=self._databases.url(database, root),
        )
        process = await launcher.prepare(Launch(place=place, log=log, env=_kept_environment()))
        if process is not None and (code := await process.exited):
            raise LaunchError(f"preparing {name} ended with code {code}:\n{store.tail(log)}")
        self._images[identifier] = Image(
            id=identifier, tags=(name,), labels={}, server=name, root=root, database=database, removable=False
        )

    def images(self, labels: tuple[str, ...] = ()) -> list[Image]:
        return [image for image in self._images.values() if matches_labels(image.labels, labels)]

    def image(self, name: str) -> Image:
        """An image by ID (with or without `sha256:`), unique prefix or tag. Raises EngineError 404."""
        plain = name.removeprefix("sha256:")
        for image in self._images.values():
            if plain == image.id or name in image.tags or f"{name}:latest" in image.tags:
                return image
        prefixed = [
            image for image in self._images.values() if len(plain) >= 12 and image.id.startswith(plain)
        ]
        if len(prefixed) == 1:
            return prefixed[0]
        raise not_found("image", name)

    async def remove_image(self, name: str) -> Image:
        image = self.image(name)
        if not image.removable:
            raise EngineError(409, f"{name} is the image under test")
        del self._images[image.id]
        await self._databases.drop(image.database)
        await asyncio.to_thread(store.remove_tree, image.root)
        return image

    async def commit(self, name: str, tag: str, changes: tuple[str, ...]) -> Image:
        """An image of a container's state directory and database, as they are now."""
        container = self.container(name)
        identifier = new_id()
        root = self._settings.state / "images" / identifier[:12]
        async with container.lock:
            await asyncio.to_thread(store.copy_tree, container.root, root)
            database = await self._databases.copy(container.database, f"image_{identifier[:12]}")
        labels = {**container.labels, **dict(store.label_of_change(change) for change in changes)}
        image = replace(
            container.image,
            id=identifier,
            tags=(tag,),
            labels=labels,
            root=root,
            database=database,
            removable=True,
        )
        # A tag moves to the newest image, as it does in Docker.
        for other in tuple(self._images.values()):
            if tag in other.tags and other.removable:
                self._images[other.id] = replace(other, tags=tuple(t for t in other.tags if t != tag))
        self._images[identifier] = image
        return image

    def networks(self, labels: tuple[str, ...] = ()) -> list[Network]:
        return [network for network in self._networks.values() if matches_labels(network.labels, labels)]

    def network(self, name: str) -> Network:
        """A network by name or ID. Raises EngineError 404."""
        for network in self._networks.values():
            if name in (network.id, network.name):
                return network
        raise not_found("network", name)

    def create_network(self, name: str, labels: dict[str, str]) -> Network:
        if any(network.name == name for network in self._networks.values()):
            raise EngineError(409, f"network with name {name} already exists")
        identifier = new_id()
        path = self._settings.state / "networks" / identifier[:12] / "hosts"
        path.parent.mkdir(parents=True)
        network = Network(
            id=identifier, name=name, labels=labels, subnet=self._slot.take_subnet(), hosts_file=path
        )
        hosts.write(path, {})
        self._networks[identifier] = network
        return network

    def remove_network(self, name: str) -> None:
        network = self.network(name)
        if any(c.network is network and c.running for c in self._containers.values()):
            raise EngineError(403, f"network {name} has active endpoints")
        del self._networks[network.id]
        self._slot.free_subnet(network.subnet)

    def containers(self, labels: tuple[str, ...] = (), *, stopped: bool = True) -> list[Container]:
        return [
            container
            for container in self._containers.values()
            if (stopped or container.running) and matches_labels(container.labels, labels)
        ]

    def container(self, name: str) -> Container:
        """A container by ID, unique prefix or name. Raises EngineError 404."""
        found = self._containers.get(name)
        if found is not None:
            return found
        for container in self._containers.values():
            if container.name == name.lstrip("/") or (len(name) >= 12 and container.id.startswith(name)):
                return container
        raise not_found("container", name)

    async def create_container(self, request: Creation) -> Container:
        """Copy the image's state; take an address and two ports."""
        image = self.image(request.image)
        network = self.network(request.network)
        if any(other.name == request.name for other in self._containers.values()):
            raise EngineError(409, f"the container name {request.name} is already in use")
        identifier = new_id()
        others = self._containers.values()
        ports = {port for other in others for port in (other.ports.http, other.ports.federation)}
        first = self._slot.take_port(ports)
        published = Ports(http=first, federation=self._slot.take_port({*ports, first}))
        address = self._slot.take_address(network.subnet, {other.address for other in others})
        container = Container(
            id=identifier,
            name=request.name,
            image=image,
            labels={**image.labels, **request.labels},
            env=request.env,
            network=network,
            aliases=request.aliases,
            extra_hosts=request.extra_hosts,
            address=address,
            ports=published,
            root=self._settings.state / "containers" / identifier[:12],
            log=self._settings.logs / f"{identifier}.log",
            gate=self._gate(identifier, address, published),
        )
        # Registered before the first await, so that nobody else is given its name, address or ports.
        self._containers[identifier] = container
        self.environments[identifier] = request.env
        async with container.lock:
            await asyncio.to_thread(store.copy_tree, image.root, container.root)
            container.database = await self._databases.copy(image.database, f"container_{identifier[:12]}")
        return container

    def _gate(self, identifier: str, address: str, published: Ports) -> Gate:
        return Gate(
            address,
            ("127.0.0.1", published.http),
            ("127.0.0.1", published.federation),
            self._records(identifier),
            self._schemas,
        )

    def _records(self, identifier: str) -> Records:
        return Records.below(self._settings.logs, f"{identifier}.")

    async def put_archive(self, name: str, path: str, archive: bytes) -> None:
        container = self.container(name)
        async with container.lock:
            await asyncio.to_thread(store.unpack, archive, container.root, path)

    async def start(self, name: str) -> None:
        """Start a container, and publish it once it listens. Raises EngineError 500 if it does not."""
        container = self.container(name)
        async with container.lock:
            if container.running:
                return
            container.paused = False
            container.started_at = time.time()
            launch = Launch(
                place=self._place(container),
                log=container.log,
                env={**_kept_environment(), **container.env},
                inside=self._records(container.id).inside,
            )
            try:
                container.process = await self._launchers[container.image.server].spawn(launch)
            except LaunchError as error:
                raise EngineError(500, str(error)) from error
            container.process.exited.add_done_callback(lambda future: self._ended(container, future))
            self._update_hosts(container.network)
            for port in (HTTP_PORT, FEDERATION_PORT):
                await self._wait_listening(container, container.process, port)
            await container.gate.open()

    def _ended(self, container: Container, future: asyncio.Future[int]) -> None:
        container.exit_code = future.result()
        container.finished_at = time.time()
        container.gate.shut()
        if container.id in self._containers:
            self._update_hosts(container.network)

    async def _wait_listening(self, container: Container, process: Process, port: int) -> None:
        deadline = time.monotonic() + self._settings.start_timeout
        while time.monotonic() < deadline:
            if process.exited.done():
                what = f"server {container.name} ended with code {process.exited.result()} at start"
                raise EngineError(500, f"{what}; {_log_end(container)}")
            try:
                _, writer = await asyncio.open_connection(container.address, port)
            except OSError:
                await asyncio.wait({process.exited}, timeout=0.01)
                continue
            writer.close()
            with suppress(OSError):
                await writer.wait_closed()
            return
        raise EngineError(500, f"server {container.name} does not listen; {_log_end(container)}")

    async def stop(self, name: str, grace: float = 10.0) -> None:
        """SIGTERM, then SIGKILL after `grace` seconds."""
        container = self.container(name)
        async with container.lock:
            await self._signal(container, signal.SIGCONT)
            await self._end(container, signal.SIGTERM, grace)

    async def kill(self, name: str, number: signal.Signals = signal.SIGKILL) -> None:
        """Send a signal; for SIGKILL wait for the end. Raises EngineError 409 if it isn't running."""
        container = self.container(name)
        async with container.lock:
            if not container.running:
                raise EngineError(409, f"container {name} is not running")
            if number is signal.SIGKILL:
                await self._end(container, number, 10.0)
            else:
                await self._signal(container, number)

    async def restart(self, name: str, grace: float = 10.0) -> None:
        await self.stop(name, grace)
        await self.start(name)

    async def pause(self, name: str) -> None:
        container = self.container(name)
        if not container.running or container.paused:
            raise EngineError(409, f"container {name} is {container.status}")
        await self._signal(container, signal.SIGSTOP)
        container.paused = True

    async def unpause(self, name: str) -> None:
        container = self.container(name)
        if not container.paused:
            raise EngineError(409, f"container {name} is not paused")
        await self._signal(container, signal.SIGCONT)
        container.paused = False

    async def remove_container(self, name: str, *, force: bool = False) -> None:
        """Delete a container and its state. Its logs stay."""
        container = self.container(name)
        async with container.lock:
            if container.running and not force:
                raise EngineError(409, f"container {name} is running: stop it, or force")
            await self._end(container, signal.SIGKILL, 10.0)
            if self._containers.pop(container.id, None) is None:
                raise not_found("container", name)
            self._update_hosts(container.network)
            await container.gate.close()
            await self._databases.drop(container.database)
            await asyncio.to_thread(store.remove_tree, container.root)

    async def _end(self, container: Container, number: signal.Signals, grace: float) -> None:
        process = container.process
        if process is None or process.exited.done():
            return
        await self._signal(container, number)
        await asyncio.wait({process.exited}, timeout=grace)
        if not process.exited.done():
            await self._signal(container, signal.SIGKILL)
            await process.exited
        container.paused = False

    async def _signal(self, container: Container, number: signal.Signals) -> None:
        if container.process is not None and not container.process.exited.done():
            with suppress(ProcessLookupError):
                os.killpg(container.process.pid, number)

    def _update_hosts(self, network: Network) -> None:
        if network.id in self._networks:
            hosts.write(network.hosts_file, dict(self._names(network)))

    def _names(self, network: Network) -> Iterator[tuple[str, str]]:
        for container in self._containers.values():
            if container.network is not network or not container.running:
                continue
            for name in (container.name, container.id[:12], *container.aliases):
                yield name, container.address
            for entry in container.extra_hosts:
                name, _, address = entry.rpartition(":")
                if name != "localhost":
                    yield name, "127.0.0.1" if address == "host-gateway" else address

    def _place(self, container: Container) -> Place:
        return Place(
            root=container.root,
            name=container.env.get("SERVER_NAME", UNNAMED),
            address=container.address,
            database_url=self._databases.url(container.database, container.root),
            hosts=container.network.hosts_file,
        )


def _kept_environment() -> dict[str, str]:
    return {name: os.environ[name] for name in KEPT_ENVIRONMENT if name in os.environ}


def _log_end(container: Container) -> str:
    return f"the end of its log:\n{store.tail(container.log)}"


def state_directory(free_bytes: int = 1 << 30) -> Path:
    """A parent for state directories: shared memory where it has room, else the temporary directory."""
    memory = Path("/dev/shm")
    if memory.is_dir() and os.access(memory, os.W_OK) and shutil.disk_usage(memory).free > free_bytes:
        return memory
    return Path(os.environ.get("TMPDIR", "/tmp"))
