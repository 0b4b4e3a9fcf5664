"""Fixtures for every test."""

from asyncio import AbstractEventLoop
from collections.abc import AsyncIterator, Callable, Mapping
from pathlib import Path

import pytest
import uvloop
from hypothesis import HealthCheck, settings

from tests.support.homeserver import Client, Homeserver, homeserver

# How long an example takes says how busy the machine is, and nothing of what is tested.
settings.register_profile("palpo", deadline=None, suppress_health_check=[HealthCheck.too_slow])
settings.load_profile("palpo")


def pytest_asyncio_loop_factories() -> Mapping[str, Callable[[], AbstractEventLoop]]:
    """Every test runs on the server's own event loop: transports of asyncio's fail in other ways."""
    return {"uvloop": uvloop.new_event_loop}


@pytest.fixture
async def server(tmp_path: Path) -> AsyncIterator[Homeserver]:
    """A homeserver on SQLite with a fake clock."""
    async with homeserver(tmp_path) as running:
        yield running


@pytest.fixture
async def alice(server: Homeserver) -> Client:
    """A registered user."""
    return await server.register("alice")


@pytest.fixture
async def bob(server: Homeserver) -> Client:
    """Another registered user."""
    return await server.register("bob")
