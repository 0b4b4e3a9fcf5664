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


async def test_one_long_task_goes_on_in_each_turn_and_users_take_turns() -> None:
    time = Time()
    order: list[str] = []

    async def work(user: str) -> None:
        behalf.set(user)
        turns = Turns(held_s=1, now=time)
        for _ in range(3):
            time.now += 1
            await turns.breathe()
            order.append(user)

    await asyncio.gather(*(work(user) for user in "aaab"))
    # Whoever is there first begins; then b, who has one task, comes round as often as a, who has three.
    assert order[:6] == list("ababab")
    assert order[6:] == list("aaaaaa")


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
