"""What holds the event loop is found."""

from __future__ import annotations

import asyncio
import time

from palpo.streams.loop_watch import Held, LoopWatch, heartbeat

LIMIT_S = 0.05


def compute(seconds: float) -> None:
    """Take processor time."""
    until = time.thread_time() + seconds
    while time.thread_time() < until:
        pass


async def watched(*steps: float) -> list[Held]:
    found: list[Held] = []
    with LoopWatch(found.append, limit_s=LIMIT_S):
        await asyncio.sleep(0.01)
        for seconds in steps:
            compute(seconds)
            await asyncio.sleep(0.02)
    return found


async def test_what_holds_the_loop_is_found() -> None:
    (held,) = await watched(0.001, 0.15, 0.001)
    assert 0.14 < held.seconds < 0.3
    assert "compute" in held.where
    assert "test_loop_watch.py" in held.where


async def test_many_short_steps_hold_nothing() -> None:
    assert await watched(*[0.01] * 15) == []


async def test_waiting_is_no_work() -> None:
    found: list[Held] = []
    with LoopWatch(found.append, limit_s=LIMIT_S):
        await asyncio.sleep(0.01)
        time.sleep(0.15)  # noqa: ASYNC251 - as on a busy machine
        await asyncio.sleep(0.02)
    assert found == []


async def test_threads_do_not_count() -> None:
    found: list[Held] = []
    with LoopWatch(found.append, limit_s=LIMIT_S):
        await asyncio.to_thread(compute, 0.2)
        await asyncio.sleep(0.02)
    assert found == []


async def test_after_its_end_nothing_is_found() -> None:
    found: list[Held] = []
    watch = LoopWatch(found.append, limit_s=LIMIT_S)
    watch.start()
    await asyncio.sleep(0.01)
    watch.stop()
    compute(0.1)
    await asyncio.sleep(0.02)
    assert found == []


async def test_the_heartbeat_tells_how_late_the_loop_is() -> None:
    late: list[float] = []
    beating = asyncio.ensure_future(heartbeat(late.append, beat_s=0.01))
    await asyncio.sleep(0.05)
    compute(0.2)
    await asyncio.sleep(0.05)
    beating.cancel()
    assert min(late) >= 0
    assert max(late) > 0.1
