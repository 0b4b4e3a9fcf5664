"""Few workers, shared out fairly."""

from __future__ import annotations

import asyncio

import pytest

from palpo.core.errors import LimitExceeded
from palpo.streams.fair_queue import FairQueue, Rounds, behalf


class Workshop:
    """Jobs that end when they are told to; ``begun`` is the order in which they began."""

    def __init__(self, queue: FairQueue) -> None:
        self.queue = queue
        self.begun: list[str] = []
        self._ends: dict[str, asyncio.Event] = {}
        self.tasks: dict[str, asyncio.Task[None]] = {}

    async def put(self, *names: str) -> None:
        """Jobs ``a1``, ``a2``, … of ``a``, ``b1``, … of ``b``."""
        for name in names:
            self._ends[name] = asyncio.Event()
            self.tasks[name] = asyncio.ensure_future(self._job(name))
        await self.settle()

    async def _job(self, name: str) -> None:
        async with self.queue.turn(name[0]):
            self.begun.append(name)
            await self._ends[name].wait()

    async def end(self, *names: str) -> None:
        for name in names:
            self._ends[name].set()
            await self.settle()

    @staticmethod
    async def settle() -> None:
        for _ in range(5):
            await asyncio.sleep(0)


async def test_users_have_their_turns() -> None:
    shop = Workshop(FairQueue("x", workers=1, waiting=100, waiting_each=50))
    await shop.put("a1", "a2", "a3", "a4", "b1", "b2", "c1")
    assert shop.begun == ["a1"]
    await shop.end("a1", "a2", "b1", "c1", "a3", "b2", "a4")
    assert shop.begun == ["a1", "a2", "b1", "c1", "a3", "b2", "a4"]
    assert (shop.queue.busy, shop.queue.waiting) == (0, 0)


async def test_one_user_never_has_all_workers() -> None:
    shop = Workshop(FairQueue("x", workers=2, each=1, waiting=100, waiting_each=50))
    await shop.put("a1", "a2", "a3")
    assert shop.begun == ["a1"]
    await shop.put("b1")
    assert shop.begun == ["a1", "b1"]
    await shop.end("b1")
    assert shop.begun == ["a1", "b1"]
    await shop.end("a1")
    assert shop.begun == ["a1", "b1", "a2"]
    await shop.end("a2", "a3")
    assert (shop.queue.busy, shop.queue.waiting) == (0, 0)


async def test_what_waits_is_bounded() -> None:
    shop = Workshop(FairQueue("x", workers=1, waiting=3, waiting_each=2))
    await shop.put("a1", "a2", "a3", "a4")
    with pytest.raises(LimitExceeded):
        await shop.tasks["a4"]
    await shop.put("b1", "c1")
    with pytest.raises(LimitExceeded):
        await shop.tasks["c1"]
    await shop.end("a1", "a2", "b1", "a3")
    assert shop.begun == ["a1", "a2", "b1", "a3"]


async def test_who_gives_up_is_passed_over() -> None:
    shop = Workshop(FairQueue("x", workers=1, waiting=10, waiting_each=10))
    await shop.put("a1", "b1", "c1")
    shop.tasks["b1"].cancel()
    await shop.end("a1")
    assert shop.begun == ["a1", "c1"]
    # Cancelled in the same turn of the loop in which the worker is handed over.
    await shop.put("d1", "e1")
    shop._ends["c1"].set()
    await asyncio.sleep(0)
    shop.tasks["d1"].cancel()
    await shop.settle()
    assert shop.begun[-1] in ("d1", "e1")
    await shop.settle()
    assert shop.begun[-1] == "e1"
    await shop.end("e1")
    assert (shop.queue.busy, shop.queue.waiting) == (0, 0)


async def test_work_that_fails_frees_its_worker() -> None:
    queue = FairQueue("x", workers=1, waiting=1, waiting_each=1)
    for _ in range(3):
        with pytest.raises(ValueError, match="broken"):
            async with queue.turn():
                raise ValueError("broken")
    assert queue.busy == 0


async def test_who_asks_is_known() -> None:
    queue = FairQueue("x", workers=2, each=1, waiting=0, waiting_each=0)
    behalf.set("a")
    async with queue.turn():
        with pytest.raises(LimitExceeded):
            async with queue.turn():
                pass
        behalf.set("b")
        async with queue.turn():
            pass


def test_rounds() -> None:
    rounds: Rounds[int] = Rounds()
    assert rounds.take() is None
    for key, item in (("a", 1), ("a", 2), ("b", 3), ("a", 4)):
        rounds.add(key, item)
    assert (len(rounds), rounds.of("a"), rounds.of("c")) == (4, 3, 0)
    assert not rounds.remove("b", 1)
    assert rounds.remove("a", 2)
    assert [rounds.take(), rounds.take(), rounds.take(), rounds.take()] == [
        ("a", 1),
        ("b", 3),
        ("a", 4),
        None,
    ]


async def test_whose_work_took_longer_comes_later() -> None:
    now = 0.0
    shop = Workshop(FairQueue("x", workers=1, waiting=100, waiting_each=50, now=lambda: now))
    await shop.put("a1", "a2", "b1", "b2", "b3")
    now = 20.0
    await shop.end("a1", "b1", "b2", "b3")
    assert shop.begun == ["a1", "b1", "b2", "b3", "a2"]
    # It is forgotten in time.
    now = 600.0
    await shop.put("a3", "c1")
    await shop.end("a2")
    assert shop.begun[-1] == "c1"
    now = 1200.0
    await shop.end("c1")
    await shop.end("a3")
    assert (shop.queue.busy, shop.queue.waiting) == (0, 0)
