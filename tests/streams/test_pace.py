"""How many go on in a turn."""

from __future__ import annotations

import asyncio

from palpo.streams.pace import Pace


async def turns_of(pace: Pace, number: int) -> list[int]:
    """In which turn of the loop each of so many has gone on."""
    turn, found = 0, list[int]()

    async def one() -> None:
        await pace.turn()
        found.append(turn)

    tasks = [asyncio.create_task(one()) for _ in range(number)]
    while len(found) < number:
        await asyncio.sleep(0)
        turn += 1
    await asyncio.gather(*tasks)
    return found


async def test_few_go_on_in_a_turn() -> None:
    pace = Pace(3)
    found = await turns_of(pace, 10)
    assert found == sorted(found)
    assert max(found.count(turn) for turn in found) == 3
    assert await turns_of(pace, 3) == [0, 0, 0]


async def test_who_is_cancelled_takes_no_place() -> None:
    pace = Pace(1)
    await pace.turn()
    waiting = [asyncio.create_task(pace.turn()) for _ in range(3)]
    await asyncio.sleep(0)
    waiting[0].cancel()
    async with asyncio.timeout(5):
        await asyncio.gather(*waiting[1:])


async def test_they_can_be_some_time_apart() -> None:
    pace, now = Pace(2, every_s=0.02), asyncio.get_running_loop().time
    begun = now()
    await asyncio.gather(*(pace.turn() for _ in range(7)))
    assert now() - begun >= 0.05
