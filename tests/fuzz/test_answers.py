"""A little of it: ``python -m tests.fuzz.federation`` does more."""

from __future__ import annotations

import os
from pathlib import Path

from tests.fuzz.answers import fuzz

ANSWERS = int(os.environ.get("PALPO_FUZZ_ANSWERS", "300"))


async def test_no_answer_gets_through_to_an_error(tmp_path: Path) -> None:
    found = await fuzz(tmp_path, answers=ANSWERS, seed=1)
    assert not found.findings, "\n".join(found.findings[:10])
    assert len(found.answers) > 12
    assert found.statuses[200] > ANSWERS / 10
