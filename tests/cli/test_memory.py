"""What a process keeps of memory that it has freed."""

from __future__ import annotations

import subprocess
import sys

import pytest

PROGRAM = """\
import sys
from pathlib import Path
from palpo.cli.memory import bound_allocator

if sys.argv[1] == "bounded":
    bound_allocator()
blocks = [bytes(100_000) for _ in range(2000)]
kept = blocks[::20]
del blocks
status = Path("/proc/self/status").read_text()
print(next(line.split()[1] for line in status.splitlines() if line.startswith("VmRSS")))
"""


def resident_mib(mode: str) -> float:
    """What is left of 200 MB, of which a twentieth is still in use, here and there."""
    command = [sys.executable, "-c", PROGRAM, mode]
    return int(subprocess.run(command, capture_output=True, text=True, check=True).stdout) / 1024


@pytest.mark.skipif(not sys.platform.startswith("linux"), reason="/proc tells it")
def test_large_blocks_go_back_to_the_system() -> None:
    assert resident_mib("bounded") < 100 < resident_mib("left alone")


SETTLED = """\
import gc
import palpo.app
from palpo.cli.memory import settle_collector

before = len(gc.get_objects())
settle_collector()
print(before, len(gc.get_objects()))
"""


def test_the_collector_leaves_alone_what_stays() -> None:
    done = subprocess.run([sys.executable, "-c", SETTLED], capture_output=True, text=True, check=True)
    before, after = map(int, done.stdout.split())
    assert before > 50_000
    assert after < 1_000
