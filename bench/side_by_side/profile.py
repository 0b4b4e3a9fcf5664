"""Profiles a server while a row runs, with py-spy, which needs no change in the server."""

from __future__ import annotations

import asyncio
import shutil
import sys
from collections import Counter
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path

RATE = 250  # Samples a second.


def program() -> str:
    """Where py-spy is; raises SystemExit."""
    found = shutil.which("py-spy", path=str(Path(sys.executable).parent)) or shutil.which("py-spy")
    if found is None:
        raise SystemExit("bench: --profile needs py-spy: pip install py-spy")
    return found


@asynccontextmanager
async def profiling(pid: int, target: Path) -> AsyncIterator[None]:
    """Write the stacks of ``pid`` to ``target``, one a line with its count, and a summary beside it."""
    command = [program(), "record", "--pid", str(pid), "--rate", str(RATE), "--format", "raw", "--output"]
    recorder = await asyncio.create_subprocess_exec(
        *command,
        str(target),
        stdout=asyncio.subprocess.DEVNULL,
        stderr=asyncio.subprocess.PIPE,
    )
    await asyncio.sleep(1.0)  # It reads the process's symbols first.
    try:
        yield
    finally:
        if recorder.returncode is None:
            recorder.send_signal(2)
        _, errors = await recorder.communicate()
        _summarize(target, errors.decode())


def _summarize(target: Path, errors: str) -> None:
    if target.exists():
        target.with_suffix(".top.txt").write_text(summary(target.read_text()))
    else:
        print(f"bench: no profile: {errors[-500:]}", file=sys.stderr)


def summary(stacks: str, top: int = 30) -> str:
    """The functions with the most samples, their own and with what they call, and each package's own.

    Left out: threads of a pool that wait for work, and what is below every stack of the event loop.
    """
    own: Counter[str] = Counter()
    packages: Counter[str] = Counter()
    cumulative: Counter[str] = Counter()
    total = 0
    for line in stacks.splitlines():
        stack, _, number = line.rpartition(" ")
        # A function, whatever its line: "name (file.py)".
        frames = [frame.rpartition(":")[0] + ")" if ":" in frame else frame for frame in stack.split(";")]
        if frames[-1].startswith("_worker (concurrent/futures"):
            continue
        count = int(number)
        total += count
        own[frames[-1]] += count
        packages[_package(frames[-1])] += count
        for frame in set(frames):
            cumulative[frame] += count
    everywhere = {frame for frame, count in cumulative.items() if count > 0.95 * total}
    called = Counter({frame: count for frame, count in cumulative.items() if frame not in everywhere})
    parts = [f"{total} samples"]
    for title, counter in (("self, by package", packages), ("self", own), ("cumulative", called)):
        parts.append(f"\n{title}")
        parts += [f"{100 * count / total:6.1f}%  {name}" for name, count in counter.most_common(top)]
    return "\n".join(parts) + "\n"


def _package(frame: str) -> str:
    """Such as ``asyncpg`` or ``palpo/services``."""
    file = frame.rpartition(" (")[2].rstrip(")")
    folders = file.split("/")
    if folders[0] == "palpo":
        return "/".join(folders[:2])
    # The loop itself is C: its time, and that of system calls, counts as its caller's.
    return "event loop" if file == "asyncio/runners.py" else folders[0]
