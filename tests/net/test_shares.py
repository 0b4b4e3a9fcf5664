"""Room for work on many things at once."""

import asyncio
from collections import Counter

from palpo.net.shares import Shares


async def test_bounds_for_all_and_for_each() -> None:
    shares, now, most = Shares(5, 2), Counter[str](), Counter[str]()

    async def work(key: str) -> None:
        async with shares.hold(key):
            now[key] += 1
            most[key] = max(most[key], now[key])
            most["all"] = max(most["all"], now.total())
            await asyncio.sleep(0)
            now[key] -= 1

    await asyncio.gather(*(work(f"k{number // 10}") for number in range(70)))
    assert most["all"] == 5
    assert all(count <= 2 for key, count in most.items() if key != "all")
    assert max(count for key, count in most.items() if key != "all") == 2


async def test_who_gives_up_leaves_no_trace() -> None:
    shares = Shares(1, 1)
    async with shares.hold("a"):
        waiting = [asyncio.create_task(asyncio.wait_for(hold(shares, key), 0.01)) for key in "aab"]
        outcomes = await asyncio.gather(*waiting, return_exceptions=True)
        assert all(isinstance(outcome, TimeoutError) for outcome in outcomes)
    assert shares.keys == 0
    async with asyncio.timeout(5):
        await hold(shares, "a")


async def hold(shares: Shares, key: str) -> None:
    async with shares.hold(key):
        pass
