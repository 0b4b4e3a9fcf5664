"""A database server that is lost in the middle: what the caller is told, and that nobody waits for ever."""

from __future__ import annotations

import asyncio
import contextlib
import socket
from collections.abc import AsyncIterator
from concurrent.futures import ThreadPoolExecutor
from typing import Any
from urllib.parse import urlsplit

import pytest

from palpo.db.engine import Database
from palpo.db.errors import OutcomeUnknown, Unreachable
from palpo.db.position import CURRENT
from palpo.db.server import ServerEngine
from palpo.db.transaction import Transaction, WriteTransaction
from tests.support.line import Line

PATIENCE_S = 1.0


@pytest.fixture(
    params=[pytest.param(name, marks=getattr(pytest.mark, name)) for name in ("postgresql", "mysql")]
)
def backend(request: pytest.FixtureRequest) -> str:
    return str(request.param)


@pytest.fixture
async def line(database: Database, database_url: str) -> AsyncIterator[Line]:
    """A line to the test's database."""
    parts = urlsplit(database_url)
    line = Line(parts.hostname or "127.0.0.1", parts.port or 0)
    yield line
    await line.stop()


@pytest.fixture
async def far(line: Line, backend: str, database_url: str) -> AsyncIterator[Database]:
    """The test's database, reached over ``line``."""
    port = await line.start()
    url = urlsplit(database_url)
    user = url.netloc.rpartition("@")[0]
    far = Database(engine(backend, url._replace(netloc=f"{user}@127.0.0.1:{port}").geturl()))
    await far.open()
    yield far
    line.cut()
    await far.close()


def engine(backend: str, url: str) -> ServerEngine[Any]:
    if backend == "postgresql":
        from palpo.db.postgresql import PostgresEngine

        return PostgresEngine(url, patience=PATIENCE_S)
    from palpo.db.mysql import MysqlEngine

    return MysqlEngine(url, patience=PATIENCE_S)


async def position(tx: Transaction) -> int:
    return int(await tx.value(CURRENT))


async def take(tx: WriteTransaction) -> int:
    return await tx.positions()


@pytest.mark.parametrize("how", ["cut", "fall_silent"])
async def test_lost_at_the_commit_the_outcome_is_unknown(
    line: Line, far: Database, database: Database, how: str
) -> None:
    line.on_word = (b"COMMIT", getattr(line, how))
    async with asyncio.timeout(30):
        with pytest.raises(OutcomeUnknown):
            await far.write(take)
        line.silent = False
        assert await far.write(take) > 0


async def test_lost_before_the_commit_the_unit_is_run_again(line: Line, far: Database) -> None:
    before = await far.write(take)
    runs: list[int] = []

    async def unit(tx: WriteTransaction) -> int:
        runs.append(await tx.positions())
        if len(runs) == 1:
            line.cut()
        return int(await tx.value(CURRENT))

    async with asyncio.timeout(30):
        assert await far.write(unit) > before
    assert len(runs) == 2


async def test_a_server_that_ends_each_connection_at_once(backend: str) -> None:
    """As a proxy does that has no server behind it."""

    with socket.create_server(("127.0.0.1", 0)) as proxy, ThreadPoolExecutor(1) as pool:
        nowhere = engine(backend, f"{backend}://palpo:palpo@127.0.0.1:{proxy.getsockname()[1]}/palpo")
        pool.submit(_hang_up, proxy)
        try:
            for _ in range(20):
                with pytest.raises(Unreachable):
                    await nowhere.open()
        finally:
            await nowhere.close()
            proxy.shutdown(socket.SHUT_RDWR)


def _hang_up(proxy: socket.socket) -> None:
    """Take connections and end them, until there are no more."""
    with contextlib.suppress(OSError):
        while True:
            proxy.accept()[0].close()


async def test_connections_to_a_server_that_says_nothing_are_closed_together(
    line: Line, far: Database
) -> None:
    await asyncio.gather(*(far.read(position) for _ in range(10)))
    line.fall_silent()
    async with asyncio.timeout(5):
        await far.close()


async def test_of_a_server_that_says_nothing_the_callers_are_told(line: Line, far: Database) -> None:
    async def falls_silent(tx: WriteTransaction) -> int:
        line.fall_silent()
        return int(await tx.value(CURRENT))

    async with asyncio.timeout(30):
        with pytest.raises(Unreachable):
            await far.write(falls_silent)
        with pytest.raises(Unreachable):
            await far.read(position)
        line.silent = False
        assert await far.read(position) >= 0
        assert await far.write(take) > 0


async def test_a_server_that_says_nothing_keeps_nobody_waiting_for_others(line: Line, far: Database) -> None:
    """However many wait, each is told when its own time is over: they don't wait one after the other."""
    line.fall_silent()
    async with asyncio.timeout(10 * PATIENCE_S):
        outcomes = await asyncio.gather(
            *(far.read(position) for _ in range(200)),
            *(far.write(take) for _ in range(500)),
            return_exceptions=True,
        )
    assert {type(outcome) for outcome in outcomes} == {Unreachable}
    line.silent = False
    assert await far.write(take) > 0
