"""A client of other servers, and one of them."""

from collections.abc import AsyncIterator
from pathlib import Path

import pytest

from tests.support.federation import Peer, World, peer, world


@pytest.fixture
async def here(tmp_path: Path) -> AsyncIterator[World]:
    async with world(tmp_path) as made:
        yield made


@pytest.fixture
async def other(here: World) -> AsyncIterator[Peer]:
    """``a.example``, at its port."""
    async with peer(here.authority.serving("a.example")) as running:
        yield running
