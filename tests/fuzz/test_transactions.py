"""A little of it: ``python -m tests.fuzz.federation`` does more."""

from __future__ import annotations

import os
from pathlib import Path

from tests.fuzz.transactions import fuzz

COUNT = int(os.environ.get("PALPO_FUZZ_TRANSACTIONS", "1000"))


async def test_no_transaction_gets_through_to_an_error(tmp_path: Path) -> None:
    sent = await fuzz(tmp_path, count=COUNT, seed=1)
    assert not sent.findings, "\n".join(sent.findings[:10])
    # The run is of use only as far as most are read, and some are good enough for the rooms' rules.
    assert sent.statuses[200] > sum(sent.statuses.values()) / 2
    assert sent.stored["ACCEPTED"] > 20
    assert sent.verdicts.keys() >= {"refused", "rejected"}
