"""An ordinary client beside the attacks, in a process of its own: how long is it kept waiting?"""

from __future__ import annotations

import asyncio
import multiprocessing
import time
from dataclasses import dataclass
from multiprocessing.connection import Connection as Pipe
from typing import Any

from bench.side_by_side.http import Connection
from bench.side_by_side.matrix import User, next_batch

PAUSE_S = 0.05
Latencies = dict[str, list[float]]
"""Seconds, by what was asked."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Target:
    """Whom the probe asks, and as whom."""

    port: int
    user_id: str
    token: str
    room_id: str


class Probe:
    """Asks for /versions, for news, and sends a message now and then, until it is told to report."""

    def __init__(self, target: Target) -> None:
        self._pipe, theirs = multiprocessing.get_context("spawn").Pipe()
        context = multiprocessing.get_context("spawn")
        self._process = context.Process(target=_run, args=(target, theirs), daemon=True)
        self._process.start()

    def report(self) -> Latencies:
        """What has been measured since the last report."""
        self._pipe.send("report")
        latencies: Latencies = self._pipe.recv()
        return latencies

    def stop(self) -> None:
        """End the process."""
        self._process.terminate()
        self._process.join()


def _run(target: Target, pipe: Pipe[Any, Any]) -> None:
    asyncio.run(_probe(target, pipe))


async def _probe(target: Target, pipe: Pipe[Any, Any]) -> None:
    user = User(target.port, target.user_id, target.token)
    anybody = Connection(target.port)
    sender = User(target.port, target.user_id, target.token)
    latencies: Latencies = {"versions": [], "sync": [], "send": []}

    async def timed(name: str, request: Any) -> bytes:
        start = time.perf_counter()
        try:
            answer: bytes = await request
        finally:
            latencies[name].append(time.perf_counter() - start)
        return answer

    async def versions() -> None:
        await timed("versions", _body(anybody, "GET", "/_matrix/client/versions"))

    since = next_batch(await user.sync())

    async def sync() -> None:
        nonlocal since
        since = next_batch(await timed("sync", user.sync(since=since)))

    async def send() -> None:
        await timed("send", sender.send(target.room_id))

    async def again(call: Any, pause_s: float) -> None:
        while True:
            try:
                await call()
            except Exception:  # noqa: BLE001 - how long it took has been noted
                await asyncio.sleep(pause_s)
            await asyncio.sleep(pause_s)

    async def reports() -> None:
        while True:
            if pipe.poll():
                pipe.recv()
                pipe.send({name: list(found) for name, found in latencies.items()})
                for found in latencies.values():
                    found.clear()
            await asyncio.sleep(0.02)

    await asyncio.gather(again(versions, PAUSE_S), again(sync, PAUSE_S), again(send, 0.2), reports())


async def _body(connection: Connection, method: str, target: str) -> bytes:
    return (await connection.request(method, target))[1]
