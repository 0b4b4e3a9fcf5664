"""A database server that is lost in the middle: what the caller is told, and that nobody waits for ever."""

from __future__ import annotations

import asyncio
import contextlib
from collections.abc import AsyncIterator, Callable
from typing import Any
from urllib.parse import urlsplit

import pytest

from palpo.db.engine import Database
from palpo.db.errors import OutcomeUnknown, Unreachable
from palpo.db.position import CURRENT
from palpo.db.server import ServerEngine
from palpo.db.transaction import Transaction, WriteTransaction

PATIENCE_S = 1.0


class Line:
    """A TCP proxy in front of the server, which can be cut, or fall silent, when a client says a word."""

    def __init__(self, host: str, port: int) -> None:
        self._upstream = (host, port)
        self.on_word: tuple[bytes, Callable[[], None]] | None = None
        self.silent = False
        self._open: set[asyncio.StreamWriter] = set()
        self._tasks: set[asyncio.Task[Any]] = set()

    async def start(self) -> int:
        self._server = await asyncio.start_server(self._accept, "127.0.0.1", 0)
        return int(self._server.sockets[0].getsockname()[1])

    async def stop(self) -> None:
        self._server.close()
        self.cut()
        await asyncio.gather(*self._tasks, *(end.wait_closed() for end in self._open), return_exceptions=True)

    def cut(self) -> None:
        """End every connection."""
        for writer in self._open:
            writer.transport.abort()

    def fall_silent(self) -> None:
        """Let nothing through any more, and tell nobody."""
        self.silent = True

    async def _accept(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        self._tasks.add(asyncio.current_task())  # type: ignore[arg-type]
        up_reader, up_writer = await asyncio.open_connection(*self._upstream)
        self._open |= {writer, up_writer}
        await asyncio.gather(self._pump(reader, up_writer, listen=True), self._pump(up_reader, writer))

    async def _pump(
        self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter, *, listen: bool = False
    ) -> None:
        with contextlib.suppress(ConnectionError):
            while data := await reader.read(65536):
                if listen and self.on_word is not None and self.on_word[0] in data:
                    _, act = self.on_word
                    self.on_word = None
                    act()
                if not self.silent:
                    writer.write(data)
        writer.close()


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

        return PostgresEngine(url, connect_timeout=PATIENCE_S, patience=PATIENCE_S)
    from palpo.db.mysql import MysqlEngine

    return MysqlEngine(url, connect_timeout=PATIENCE_S, patience=PATIENCE_S)


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
