"""The server of these tests."""

from collections.abc import AsyncIterator
from pathlib import Path

import pytest

from tests.support.homeserver import Homeserver, homeserver


@pytest.fixture
async def server(tmp_path: Path) -> AsyncIterator[Homeserver]:
    """A homeserver whose caches drop at once what they are given."""
    async with homeserver(tmp_path, caches={"megabytes": 0}) as running:
        yield running
        caches = running.services.server.caches
        assert caches.bytes == sum(cache.hits for cache in caches.caches) == 0
