"""The pool bounds its connections, and lends none that is broken."""

from __future__ import annotations

import asyncio

import pytest

from palpo.db.pool import Pool


class Line:
    """A connection that counts for nothing but being one."""

    def __init__(self) -> None:
        self.usable = True
        self.closed = False


class Exchange:
    """Makes lines, and remembers them."""

    def __init__(self, size: int) -> None:
        self.lines: list[Line] = []
        self.refuses = False
        self.pool = Pool(
            size=size, connect=self.connect, close=self.close, is_usable=lambda line: line.usable
        )

    async def connect(self) -> Line:
        if self.refuses:
            raise ConnectionRefusedError
        self.lines.append(Line())
        return self.lines[-1]

    async def close(self, line: Line) -> None:
        line.closed = True


async def test_no_more_than_its_size_and_each_is_used_again() -> None:
    exchange = Exchange(3)
    most = lent = 0

    async def borrow() -> None:
        nonlocal most, lent
        async with exchange.pool.lend():
            lent += 1
            most = max(most, lent)
            await asyncio.sleep(0)
            lent -= 1

    await asyncio.gather(*(borrow() for _ in range(50)))

    assert (most, len(exchange.lines)) == (3, 3)
    await exchange.pool.close()
    assert all(line.closed for line in exchange.lines)


async def test_a_broken_one_is_replaced() -> None:
    exchange = Exchange(1)
    async with exchange.pool.lend() as broken:
        broken.usable = False
    async with exchange.pool.lend() as second:
        pass
    second.usable = False
    async with exchange.pool.lend() as third:
        pass

    assert broken.closed
    assert [broken, second, third] == exchange.lines


async def test_one_whose_borrower_was_cancelled_is_not_lent_again() -> None:
    exchange = Exchange(1)

    async def borrow() -> None:
        async with exchange.pool.lend():
            await asyncio.sleep(60)

    task = asyncio.create_task(borrow())
    await asyncio.sleep(0)
    task.cancel()
    await asyncio.gather(task, return_exceptions=True)
    async with exchange.pool.lend() as line:
        assert line is not exchange.lines[0]
    assert exchange.lines[0].closed


async def test_a_refused_connection_leaves_its_place_free() -> None:
    exchange = Exchange(1)
    exchange.refuses = True
    for _ in range(3):
        with pytest.raises(ConnectionRefusedError):
            async with exchange.pool.lend():
                pass
    exchange.refuses = False

    async with asyncio.timeout(1), exchange.pool.lend() as line:
        assert line.usable


async def test_one_that_comes_back_to_a_closed_pool_is_closed() -> None:
    exchange = Exchange(1)
    async with exchange.pool.lend() as line:
        await exchange.pool.close()
        assert not line.closed

    assert line.closed


async def test_an_error_of_the_borrower_keeps_the_connection() -> None:
    exchange = Exchange(1)
    with pytest.raises(LookupError):
        async with exchange.pool.lend():
            raise LookupError
    async with exchange.pool.lend():
        pass

    assert len(exchange.lines) == 1
