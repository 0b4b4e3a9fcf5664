"""A server of ours and one that is not, which find each other: fixtures for whoever imports them."""

from __future__ import annotations

from collections.abc import AsyncIterator
from pathlib import Path

import pytest

from tests.support.homeserver import Client, Homeserver
from tests.support.pairs import Town
from tests.support.remote_server import RemoteServer, remote_server
from tests.support.remote_users import KEY, SERVER


@pytest.fixture
def town(tmp_path: Path) -> Town:
    return Town.of(tmp_path, "hs1.test", SERVER)


@pytest.fixture
async def server(town: Town) -> AsyncIterator[Homeserver]:
    async with town.homeserver("hs1.test") as server:
        yield server


@pytest.fixture
async def remote(town: Town, server: Homeserver) -> AsyncIterator[RemoteServer]:
    async with remote_server(town, SERVER, key=KEY, now_ms=server.clock.now_ms) as remote:
        yield remote


@pytest.fixture
async def alice(server: Homeserver) -> Client:
    return await server.register("alice")
