"""SQLite that lets others have their turns: as many, before and after each unit of work, as a seed says.

A read of SQLite's does not suspend, so between two of them nothing else happens, and what a request does
when the world has changed meanwhile is hardly ever reached. Here it is, as on a server of databases.
"""

from __future__ import annotations

import asyncio
import os
from collections.abc import Awaitable, Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from random import Random
from typing import Any, TypeVar
from unittest.mock import patch

import palpo.app
from palpo.db.connect import create_engine
from palpo.db.engine import Committed, Engine
from palpo.db.figures import PoolFigures
from palpo.db.transaction import Transaction, WriteTransaction

T = TypeVar("T")
TURNS = (0, 1, 7, 40, 150)
"""How many turns of the event loop a wait may take, each as likely."""
SEED = "PALPO_TEST_SEED"


def order() -> Random:
    """The order of the test that runs: its own, for each seed."""
    test = os.environ.get("PYTEST_CURRENT_TEST", "").rpartition(" (")[0]
    return Random(f"{os.environ.get(SEED, '')} {test}")


class YieldingEngine:
    """``inner``, with turns of the event loop before and after whatever it does."""

    def __init__(self, inner: Engine, random: Random) -> None:
        self.inner = inner
        self.dialect = inner.dialect
        self._random = random

    def pools(self) -> Mapping[str, PoolFigures]:
        return self.inner.pools()

    async def open(self) -> None:
        await self.inner.open()

    async def close(self) -> None:
        await self.inner.close()

    async def read(self, unit: Callable[[Transaction], Awaitable[T]]) -> T:
        await self._yield()
        result = await self.inner.read(unit)
        await self._yield()
        return result

    async def commit(self, units: Sequence[Callable[[WriteTransaction], Awaitable[Any]]]) -> Committed:
        await self._yield()
        committed = await self.inner.commit(units)
        await self._yield()
        return committed

    async def _yield(self) -> None:
        for _ in range(self._random.choice(TURNS)):
            await asyncio.sleep(0)


@contextmanager
def yielding() -> Iterator[None]:
    """Applications that are made within it run on such an engine."""
    random = order()

    def create(url: str, **options: Any) -> Engine:
        return YieldingEngine(create_engine(url, **options), random)

    with patch.object(palpo.app, "create_engine", create):
        yield
