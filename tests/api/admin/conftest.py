"""A server, its administrator, and a user."""

from __future__ import annotations

from collections.abc import AsyncIterator
from pathlib import Path

import pytest

from tests.support.homeserver import Client, Homeserver, homeserver


@pytest.fixture
async def server(tmp_path: Path) -> AsyncIterator[Homeserver]:
    async with homeserver(tmp_path, admins=["@admin:test.example"]) as running:
        yield running


@pytest.fixture
async def admin(server: Homeserver) -> Client:
    return await server.register("admin")


@pytest.fixture
async def alice(server: Homeserver) -> Client:
    return await server.register("alice")
