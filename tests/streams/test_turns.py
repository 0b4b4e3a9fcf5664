"""Long work lets others have their turn."""

from __future__ import annotations

import asyncio

from palpo.streams.fair_queue import behalf
from palpo.streams.turns import Turns


class Time:
    """Passes as it is told to."""

    def __init__(self) -> None:
        self.now = 0.0

    def __call__(self) -> float:
        return self.now


async def test_short_work_goes_on() -> None:
    time = Time()
    turns = Turns(held_s=1, now=time)
    for _ in range(9):
        time.now += 0.1
        await turns.breathe()
    assert turns.taken == 0


async def test_long_work_yields_by_time() -> None:
    time, others = Time(), 0
    ended = False

    async def other() -> None:
        nonlocal others
        while not ended:
            others += 1
            await asyncio.sleep(0)

    task = asyncio.ensure_future(other())
    turns = Turns(held_s=1, now=time)
    async for _ in turns.over(range(100)):
        time.now += 0.1
    ended = True
    await task
    assert 9 <= turns.taken <= 10
    assert others >= turns.taken


async def test_waiting_for_something_else_counts_as_a_turn() -> None:
    time = Time()
    turns = Turns(held_s=1, now=time)
    for _ in range(20):
        time.now += 0.6
        await asyncio.sleep(0)
        await turns.breathe()
    assert turns.taken == 0


async def test_one_long_task_goes_on_in_each_turn_and_who_has_held_the_loop_less_goes_first() -> None:
    time = Time()
    order: list[str] = []

    async def work(user: str, rounds: int) -> None:
        behalf.set(user)
        turns = Turns(held_s=0.005, now=time)
        for _ in range(rounds):
            time.now += 0.005
            await turns.breathe()
            order.append(user)

    tasks = [asyncio.ensure_future(work("a", 10)) for _ in range(20)]
    for _ in range(100):
        await asyncio.sleep(0)
    begun = len(order)
    await work("b", 3)
    # Of the twenty of a hardly any goes on meanwhile.
    assert order[begun:].count("a") <= 6, "".join(order)
    await asyncio.gather(*tasks)
    assert len(order) == 203


async def test_nobody_waits_for_ever() -> None:
    time = Time()
    waited: dict[str, float] = {}

    async def work(user: str, held_s: float) -> None:
        behalf.set(user)
        turns = Turns(held_s=0.005, now=time)
        time.now += held_s
        began = time.now
        await turns.breathe()
        waited[user] = time.now - began

    tasks = [asyncio.ensure_future(work("heavy", 60.0))]
    for number in range(1000):
        tasks.append(asyncio.ensure_future(work(f"light{number}", 0.005)))
        await asyncio.sleep(0)
    await asyncio.gather(*tasks)
    assert 1.0 < waited["heavy"] < 2.5


async def test_who_gives_up_leaves_no_trace() -> None:
    time = Time()

    async def work() -> None:
        turns = Turns(held_s=1, now=time)
        time.now += 1
        await turns.breathe()

    given_up = asyncio.ensure_future(work())
    stays = asyncio.ensure_future(work())
    await asyncio.sleep(0)
    given_up.cancel()
    await stays
    assert given_up.cancelled() or given_up.done()
