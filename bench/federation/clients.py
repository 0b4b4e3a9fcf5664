"""The client's calls that federation needs beside those of every comparison."""

from __future__ import annotations

import asyncio
import itertools
import time
from collections.abc import Collection
from urllib.parse import quote, urlencode

import orjson

from bench.side_by_side.matrix import CLIENT, User, next_batch

SEEN_S = 120
SYNC_MS = 20_000
_marks = itertools.count(1)


async def join(user: User, room_id: str, through: str) -> None:
    """Join a room through another server."""
    query = urlencode({"via": through, "server_name": through})
    await user.call("POST", f"{CLIENT}/join/{quote(room_id)}?{query}", {})


async def members(user: User, room_id: str) -> int:
    """How many members are told of; that waits until the room's state is whole."""
    body = await user.call("GET", f"{CLIENT}/rooms/{quote(room_id)}/members")
    return len(orjson.loads(body)["chunk"])


async def position(user: User) -> str:
    """Where news begins."""
    return next_batch(await user.sync(lazy=True))


async def seen(user: User, since: str, marks: Collection[str], seconds: float = SEEN_S) -> str:
    """Sync until each of ``marks`` has been in an answer; where news begins after that."""
    left = {mark.encode() for mark in marks}
    async with asyncio.timeout(seconds):
        while left:
            body = await user.sync(since=since, timeout_ms=SYNC_MS, lazy=True)
            since = next_batch(body)
            left = {mark for mark in left if mark not in body}
    return since


async def delivery(sender: User, receiver: User, room_id: str, since: str) -> tuple[float, str]:
    """Seconds from a send until the other's waiting sync has it, and where news begins after that."""
    mark = new_mark()
    waiting = asyncio.create_task(seen(receiver, since, [mark]))
    try:
        await asyncio.sleep(0.05)  # Until that waits.
        begun = time.perf_counter()
        await sender.send(room_id, mark)
        since = await waiting
        return time.perf_counter() - begun, since
    finally:
        waiting.cancel()


def new_mark() -> str:
    """A message's text, which no other has."""
    return f"number {next(_marks)} of the benchmark"
