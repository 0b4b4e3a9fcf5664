"""What stands for Matrix Authentication Service."""

from __future__ import annotations

from collections.abc import AsyncIterator

import pytest

from tests.support.mas import Mas, mas


@pytest.fixture
async def service() -> AsyncIterator[Mas]:
    async with mas() as running:
        yield running
