"""Whoever gives a look-up up, at any moment, leaves nothing open; a loop of uvloop's closes then.

With warnings as errors, as in tests, uvloop leaves open what it finds open as it closes, and waits for it for
ever: so the program has a process of its own, and a time.
"""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

import pytest

PROGRAM = """
import asyncio, itertools, sys, uvloop
from palpo.net.dns import Dns
from palpo.net.hosts import Hosts
from palpo.streams.caches import CacheBudget
from palpo.streams.clock import FakeClock
from tests.support.dns_server import dns_server

async def given_up_after(turns, kind):
    async with dns_server() as server:
        getattr(server, kind).add("a.example")
        hosts = Hosts({}, None)
        dns = Dns(hosts, FakeClock(), CacheBudget(), timeout_s=60, servers=[("127.0.0.1", server.port)])
        asking = asyncio.create_task(dns.services("a.example"))
        for _ in range(turns):
            await asyncio.sleep(0)
        if asking.done():
            return False
        asking.cancel()
        await asyncio.wait([asking])
        assert asking.cancelled(), f"it went on, cancelled in turn {turns}"
        return True

kind, most = sys.argv[1], int(sys.argv[2])
for turns in range(most):
    with asyncio.Runner(loop_factory=uvloop.new_event_loop) as runner:
        if not runner.run(given_up_after(turns, kind)):
            break
print("closed after", turns)
"""


@pytest.mark.parametrize("kind", ["silent", "long"])
def test_look_ups_that_are_given_up_leave_nothing_open(kind: str) -> None:
    done = subprocess.run(
        [sys.executable, "-W", "error", "-c", PROGRAM, kind, "60"],
        cwd=Path(__file__).parents[2],
        capture_output=True,
        text=True,
        timeout=300,
    )
    assert done.returncode == 0, done.stderr
    assert done.stdout.startswith("closed")
    assert done.stderr == ""
