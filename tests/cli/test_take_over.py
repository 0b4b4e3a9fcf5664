"""A server that was killed keeps the one after it from nothing."""

from __future__ import annotations

import sqlite3
import time
from contextlib import closing
from pathlib import Path

import pytest

from tests.support.process import ServerProcess

LEASE_S = 15
"""How long one that nobody gave back is held."""


def held(data: Path) -> dict[str, str]:
    """Who has which work."""
    with closing(sqlite3.connect(data / "palpo.db")) as database:
        rows = database.execute("SELECT name, holder FROM leases WHERE holder != ''")
        return dict(rows.fetchall())


@pytest.mark.sqlite
def test_a_killed_servers_work_is_taken_over_at_once(tmp_path: Path) -> None:
    with ServerProcess(tmp_path) as server:
        before = until_held(tmp_path, {})
        killed_s = time.monotonic()
        server.kill()
        server.start()
        after = until_held(tmp_path, before)
        assert time.monotonic() - killed_s < LEASE_S, "it waited until the leases had run out"
    assert after.keys() == before.keys()


def until_held(data: Path, before: dict[str, str]) -> dict[str, str]:
    """Wait until all work is somebody's, and none of it whose it was ``before``."""
    deadline = time.monotonic() + 2 * LEASE_S
    while time.monotonic() < deadline:
        now = held(data)
        if {"gaps", "sweeps", "media"} | before.keys() <= now.keys() and not now.items() & before.items():
            return now
        time.sleep(0.05)
    raise AssertionError(f"{now} after {before}")
