"""The shortest run that is worth it: ``python -m tests.netsplit`` is for longer ones."""

from __future__ import annotations

from pathlib import Path

import pytest

from tests.netsplit.run import Plan, run

pytestmark = [pytest.mark.one_database, pytest.mark.postgresql, pytest.mark.mysql]


async def test_all_have_the_same_once_the_weather_clears(tmp_path: Path) -> None:
    said: list[str] = []
    plan = Plan(seconds=20, seed=1, rooms=3, wandered=1, users=2)
    result = await run(tmp_path, plan, said.append)
    assert result.faults == [], said
    assert result.events > 0
    assert result.weather["split"] > 0
