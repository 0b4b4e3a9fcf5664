"""Devices of matrix-js-sdk that do what a test tells them (tests/interop/js/puppet.js)."""

from __future__ import annotations

import asyncio
import json
from asyncio.subprocess import PIPE, Process
from collections.abc import AsyncIterator, Mapping
from contextlib import asynccontextmanager
from itertools import count
from pathlib import Path
from typing import Any

LINE_BYTES = 1024 * 1024
SECONDS = 120.0


class Puppets:
    """All devices of one Node process, by their names."""

    def __init__(self, process: Process) -> None:
        self._process = process
        self._numbers = count(1)
        self._waiting: dict[int, asyncio.Future[Any]] = {}

    async def do(self, act: str, device: str, *args: Any) -> Any:
        """What comes of an act; fails where the device cannot do it."""
        number = next(self._numbers)
        done = self._waiting[number] = asyncio.get_running_loop().create_future()
        assert self._process.stdin is not None
        told = {"id": number, "do": act, "device": device, "args": args}
        self._process.stdin.write(json.dumps(told).encode() + b"\n")
        async with asyncio.timeout(SECONDS):
            answer = await done
        assert "error" not in answer, f"{device} {act}: {answer['error']}"
        return answer["result"]

    async def listen(self) -> None:
        """Take answers until the process has ended."""
        assert self._process.stdout is not None
        while line := await self._process.stdout.readline():
            if line.startswith(b"{"):
                answer = json.loads(line)
                self._waiting.pop(answer["id"]).set_result(answer)
        for done in self._waiting.values():
            done.set_exception(AssertionError("Node has ended"))


@asynccontextmanager
async def puppets(folder: Path, url: str, environment: Mapping[str, str]) -> AsyncIterator[Puppets]:
    """Run Node in a folder that has the scripts and the SDK; ``url`` is who is meant where none is named."""
    with (folder / "node.log").open("wb") as log:
        process = await asyncio.create_subprocess_exec(
            "node", "puppet.js", url, "no token", cwd=folder, env=environment,
            stdin=PIPE, stdout=PIPE, stderr=log, limit=LINE_BYTES,
        )  # fmt: skip
        found = Puppets(process)
        listening = asyncio.create_task(found.listen())
        try:
            yield found
        finally:
            # What was started may be a script that runs Node: that ends with what it is told.
            assert process.stdin is not None
            process.stdin.close()
            await process.wait()
            await asyncio.gather(listening, return_exceptions=True)
