"""Room that those lose who take long."""

from __future__ import annotations

import asyncio
from contextlib import AsyncExitStack

import pytest

from palpo.streams.slots import Slots


async def test_one_after_the_other() -> None:
    slots = Slots(1, slow=0, long_s=0.001)
    async with slots.one():
        await asyncio.sleep(0.01)
        with pytest.raises(TimeoutError):
            async with asyncio.timeout(0.05), slots.one():
                pass
    async with asyncio.timeout(10), slots.one():
        pass


async def test_who_takes_long_keeps_nobody_waiting() -> None:
    slots = Slots(1, slow=2, long_s=0.001)
    async with asyncio.timeout(20), AsyncExitStack() as stack:
        for _ in range(3):
            await stack.enter_async_context(slots.one())
        with pytest.raises(TimeoutError):
            async with asyncio.timeout(0.05), slots.one():
                pass
    async with asyncio.timeout(20), AsyncExitStack() as stack:
        for _ in range(3):
            await stack.enter_async_context(slots.one())


async def test_who_is_quick_gives_its_own_room_back() -> None:
    slots = Slots(1, slow=1, long_s=60)
    async with asyncio.timeout(20):
        for _ in range(5):
            async with slots.one():
                pass
        async with slots.one():
            waiting = asyncio.create_task(slots.one().__aenter__())
            await asyncio.sleep(0.02)
            assert not waiting.done()
            waiting.cancel()
            await asyncio.gather(waiting, return_exceptions=True)
