"""A little of it, on each database: ``python -m tests.interop.sigkill`` does more."""

from __future__ import annotations

import os
from collections.abc import AsyncIterator
from pathlib import Path

import pytest

from tests.interop.sigkill import database, run
from tests.support.databases import service_url

EVENTS = int(os.environ.get("PALPO_TEST_KILL_EVENTS", "400"))


@pytest.fixture(params=["sqlite", "postgresql", "mysql"])
async def database_url(request: pytest.FixtureRequest) -> AsyncIterator[str | None]:
    """An empty database; None for a file of SQLite."""
    async with database(None if request.param == "sqlite" else service_url(request.param.upper())) as url:
        yield url


@pytest.mark.sqlite
async def test_nothing_is_lost_or_doubled(tmp_path: Path, database_url: str | None) -> None:
    outcome = await run(tmp_path, events=EVENTS, kills=3, seed=1, database_url=database_url)
    assert (outcome.lost, outcome.doubled) == ([], []), outcome
