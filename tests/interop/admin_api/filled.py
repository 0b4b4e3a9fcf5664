"""A server of ours with a world in it, for programs that were made for Synapse."""

from __future__ import annotations

import asyncio
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

from tests.interop.admin_api.world import SECRET, World
from tests.support import two_servers
from tests.support.authority import Authority


class Palpo(two_servers.Palpo):
    """Ours, with what administrators can use."""

    more = f'registration.shared_secret = "{SECRET}"\nserver_notices.enabled = true\n'


@dataclass(frozen=True, slots=True)
class Filled:
    """The server, what is in it by name, and its users' tokens by their names."""

    palpo: Palpo
    world: World
    known: Mapping[str, str]
    tokens: Mapping[str, str]


@contextmanager
def filled(folder: Path) -> Iterator[Filled]:
    """Start one, and fill it."""
    palpo = Palpo(folder / "palpo", Authority(folder))

    async def fill() -> World:
        await palpo.start()
        async with World(palpo, palpo) as world:
            await world.fill()
            return world

    try:
        world = asyncio.run(fill())
        yield Filled(palpo, world, world.known, world.tokens)
    finally:
        asyncio.run(palpo.stop())
