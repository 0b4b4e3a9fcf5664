"""Homeservers of ours that speak to each other as they do in the world: by name, over TLS."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from contextlib import AsyncExitStack, asynccontextmanager
from dataclasses import dataclass
from itertools import count
from os import getpid
from pathlib import Path
from typing import Any

from palpo.api.listeners import ListenerApp
from palpo.cli.engines.listening import Listening
from palpo.config.certificates import Certificates
from tests.support.authority import Authority
from tests.support.homeserver import Homeserver, homeserver

PORT = 8448
_numbers = count(1)


def loopback() -> str:
    """An address that nobody else uses."""
    number = next(_numbers) % 250
    return f"127.{64 + getpid() % 128}.{getpid() // 128 % 250}.{number + 1}"


@dataclass(slots=True)
class Town:
    """Servers that know where each other are: ``hosts`` by name, trusted by ``authority``."""

    folder: Path
    authority: Authority
    hosts: dict[str, str]

    @classmethod
    def of(cls, folder: Path, *names: str) -> Town:
        """A place for each name."""
        return cls(folder, Authority(folder), {name: f"{loopback()}:{PORT}" for name in names})

    def settings(self, **more: Any) -> dict[str, Any]:
        """What a server of ours is told of the others."""
        return {
            "enabled": True,
            "hosts": self.hosts,
            "ca_file": str(self.authority.file),
            "hosts_file": str(self.folder / "no-hosts"),
            **more,
        }

    @asynccontextmanager
    async def homeserver(self, name: str, **overrides: Any) -> AsyncIterator[Homeserver]:
        """Run one of them; a second time is a restart."""
        certificate, key = self.authority.files(name)
        listener = {
            "bind": self.hosts[name],
            "tls_certificate": str(certificate),
            "tls_key": str(key),
        }
        federation = self.settings(**overrides.pop("federation", {}))
        network = {"allow": ["127.0.0.0/8"], **overrides.pop("network", {})}
        folder = self.folder / name
        folder.mkdir(exist_ok=True)
        async with (
            homeserver(
                folder,
                server_name=name,
                listeners=[listener],
                federation=federation,
                network=network,
                **overrides,
            ) as server,
            serving(server),
        ):
            yield server


@asynccontextmanager
async def serving(server: Homeserver) -> AsyncIterator[None]:
    """Have a homeserver listen where its configuration says."""
    config = server.services.server.config
    listening = Listening(config, Certificates(config))
    up, over = asyncio.Event(), asyncio.Event()

    async def until_over() -> None:
        up.set()
        await over.wait()

    task = asyncio.create_task(listening.serve(lambda item: ListenerApp(server.app, item.parts), until_over))
    waiting = asyncio.create_task(up.wait())
    await asyncio.wait({task, waiting}, return_when=asyncio.FIRST_COMPLETED)
    try:
        if task.done():
            task.result()
        yield
    finally:
        over.set()
        await task


@asynccontextmanager
async def pair(folder: Path, **overrides: Any) -> AsyncIterator[tuple[Homeserver, Homeserver]]:
    """Two servers: ``hs1.test`` and ``hs2.test``."""
    town = Town.of(folder, "hs1.test", "hs2.test")
    async with AsyncExitStack() as stack:
        one = await stack.enter_async_context(town.homeserver("hs1.test", **overrides))
        two = await stack.enter_async_context(town.homeserver("hs2.test", **overrides))
        yield one, two
