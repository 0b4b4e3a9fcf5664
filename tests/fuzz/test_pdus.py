"""A little of it: ``python -m tests.fuzz.pdus`` does more."""

from __future__ import annotations

import os
from pathlib import Path

from tests.fuzz.pdus import fuzz

EVENTS = int(os.environ.get("PALPO_FUZZ_PDUS", "2000"))


async def test_no_event_gets_through_to_an_error(tmp_path: Path) -> None:
    result = await fuzz(tmp_path, events=EVENTS, seed=20_000)
    assert not result.findings, "\n".join(result.findings[:10])
    # The run is of use only as far as some are good enough for the room's rules.
    assert result.stored["ACCEPTED"] > EVENTS / 50
    assert result.verdicts.keys() >= {"rejected", "refused", "waits"}
