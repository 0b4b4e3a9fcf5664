"""A little of it: ``python -m tests.interop.sigkill_jobs`` does more."""

from __future__ import annotations

from pathlib import Path

import pytest

from tests.interop.sigkill_jobs import run


@pytest.mark.sqlite
async def test_long_work_goes_on_where_it_was(tmp_path: Path) -> None:
    done = await run(tmp_path, messages=150, kills=4, seed=1)
    assert done.moves
    assert done.amid
