"""What is there already is had at once, and what is not has its time."""

from __future__ import annotations

import asyncio

import pytest

from palpo.streams.eager import within


async def after(turns: int, result: str) -> str:
    for _ in range(turns):
        await asyncio.sleep(0)
    return result


async def failing(turns: int) -> None:
    await after(turns, "")
    raise ValueError("of its own")


async def test_what_is_there_takes_no_turn_and_no_timer(monkeypatch: pytest.MonkeyPatch) -> None:
    def none(*_: object) -> None:
        raise AssertionError("a timer")

    monkeypatch.setattr(asyncio, "timeout", none)
    assert await within(1, after(0, "here")) == "here"
    with pytest.raises(ValueError, match="own"):
        await within(1, failing(0))


@pytest.mark.parametrize("turns", [1, 2, 5])
async def test_what_is_not_there_is_waited_for(turns: int) -> None:
    assert await within(60, after(turns, "late")) == "late"
    with pytest.raises(ValueError, match="own"):
        await within(60, failing(turns))
    queue: asyncio.Queue[str] = asyncio.Queue()
    asyncio.get_running_loop().call_soon(queue.put_nowait, "queued")
    assert await within(60, queue.get()) == "queued"
    future: asyncio.Future[str] = asyncio.get_running_loop().create_future()
    asyncio.get_running_loop().call_soon(future.set_result, "set")
    assert await within(60, future) == "set"


async def test_what_takes_too_long_is_ended() -> None:
    ended: list[str] = []

    async def forever() -> None:
        try:
            await asyncio.Event().wait()
        finally:
            await asyncio.sleep(0)
            ended.append("cleanly")

    with pytest.raises(TimeoutError):
        await within(0.01, forever())
    task = asyncio.create_task(within(60, forever()))
    await asyncio.sleep(0)
    task.cancel()
    with pytest.raises(asyncio.CancelledError):
        await task
    assert ended == ["cleanly", "cleanly"]
