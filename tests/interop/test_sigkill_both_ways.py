"""A little of it, on each database: ``python -m tests.interop.sigkill`` does more."""

from __future__ import annotations

import os
from collections.abc import AsyncIterator
from pathlib import Path

import pytest
from sqlalchemy.engine import make_url

from tests.interop.sigkill import run
from tests.support.databases import administer, service_url

EVENTS = int(os.environ.get("PALPO_TEST_KILL_EVENTS", "400"))


@pytest.fixture(params=["sqlite", "postgresql", "mysql"])
async def database_url(request: pytest.FixtureRequest) -> AsyncIterator[str | None]:
    """An empty database; None for a file of SQLite."""
    if request.param == "sqlite":
        yield None
        return
    base, name = service_url(request.param.upper()), f"palpo_test_{os.getpid()}_sigkill"
    await administer(base, f"DROP DATABASE IF EXISTS {name}", f"CREATE DATABASE {name}")
    yield make_url(base).set(database=name).render_as_string(hide_password=False)
    force = " WITH (FORCE)" if request.param == "postgresql" else ""
    await administer(base, f"DROP DATABASE IF EXISTS {name}{force}")


@pytest.mark.sqlite
async def test_nothing_is_lost_or_doubled(tmp_path: Path, database_url: str | None) -> None:
    outcome = await run(tmp_path, events=EVENTS, kills=3, seed=1, database_url=database_url)
    assert (outcome.lost, outcome.doubled) == ([], []), outcome
