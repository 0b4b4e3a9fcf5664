"""Room that callers share."""

from __future__ import annotations

import asyncio

import pytest

from palpo.api.shares import AtOnce, Full, Shares

pytestmark = pytest.mark.one_database


async def test_each_has_a_share_and_one_large_thing() -> None:
    shares = Shares(total=100, each=10)
    await shares.take("a", 40)
    with pytest.raises(Full):
        await shares.take("a", 1)
    await shares.take("b", 5)
    await shares.take("b", 5)
    with pytest.raises(Full):
        await shares.take("b", 1)
    shares.give_back("b", 5)
    await shares.take("b", 5)
    assert shares.used == 50


async def test_all_together_have_so_much() -> None:
    shares = Shares(total=100, each=10)
    await shares.take("a", 95)
    with pytest.raises(Full):
        await shares.take("b", 6)
    shares.give_back("a", 95)
    await shares.take("b", 200)
    with pytest.raises(Full):
        await shares.take("c", 1)
    shares.give_back("b", 200)
    assert shares.used == 0


async def test_who_waits_gets_room_as_soon_as_there_is_some() -> None:
    shares = Shares(total=100, each=100)
    await shares.take("a", 100)
    waiting = [asyncio.create_task(shares.take(name, 50, wait_s=60), name=name) for name in "bcd"]
    await asyncio.sleep(0)
    shares.give_back("a", 100)
    done, left = await asyncio.wait(waiting, timeout=0.1)
    assert (len(done), len(left)) == (2, 1)
    for task in left:
        task.cancel()
    await asyncio.gather(*left, return_exceptions=True)
    shares.give_back(done.pop().get_name(), 50)
    await shares.take("e", 50)
    with pytest.raises(Full):
        await shares.take("f", 1, wait_s=0.01)


def test_so_many_at_once() -> None:
    at_once = AtOnce(2)
    at_once.enter("a")
    at_once.enter("a")
    at_once.enter("b")
    with pytest.raises(Full):
        at_once.enter("a")
    at_once.leave("a")
    at_once.enter("a")
