"""The backups of a running server: jobs that make them, and when the next one is due."""

from __future__ import annotations

import asyncio
import sys
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager, suppress
from pathlib import Path
from typing import Any, Final

import msgspec

from palpo.config.model import Config
from palpo.core.errors import MatrixError
from palpo.core.records.jobs import Json
from palpo.db.copies.damaged import Damaged
from palpo.services.administration.backups.contents import Backup, read, whole
from palpo.services.administration.backups.orders import Order, Origin, Outcome, Progress
from palpo.services.server.jobs import Jobs, Step
from palpo.streams.clock import Clock

KIND: Final = "backup"
"""Of the jobs that make one."""
HOUR_MS: Final = 3600 * 1000
MODULE: Final = "palpo.services.administration.backups.process"
Answer = Progress | Outcome


class Backups:
    """Makes them, into the folder of ``[backup]``."""

    def __init__(self, config: Config, clock: Clock, jobs: Jobs) -> None:
        self._config = config
        self._clock = clock
        self._jobs = jobs

    async def all(self) -> list[tuple[Path, Backup]]:
        """The whole backups in the folder, the newest first; none where there is no folder."""
        folder = self._config.backup.folder
        return [] if folder is None else await asyncio.to_thread(_found, folder)

    async def due(self) -> bool:
        """Whether it is time for the next one."""
        if self._config.backup.folder is None:
            return False
        found = await self.all()
        period_ms = self._config.backup.every_hours * HOUR_MS
        return not found or self._clock.now_ms() - found[0][1].created_ts >= period_ms

    async def begin(self, *, requested_by: str) -> str:
        """Have one made now; the job's ID. Raises Conflict while one is, and MatrixError without a folder."""
        if self._config.backup.folder is None:
            raise MatrixError("The setting backup.folder names no folder for backups")
        return (await self._jobs.start(KIND, requested_by=requested_by)).job_id

    async def carry_out(self, step: Step) -> Json:
        """Make one, in a process of its own: a job's handler. Raises MatrixError where it cannot be made."""
        folder = self._config.backup.folder
        if folder is None:
            raise MatrixError("The setting backup.folder names no folder for backups")
        order = Order(
            origin=Origin.of(self._config),
            into=str(folder),
            keep=self._config.backup.keep,
            now_ms=self._clock.now_ms(),
        )
        async with _answers(order) as answers:
            async for answer in answers:
                if isinstance(answer, Outcome):
                    if answer.error:
                        raise MatrixError(answer.error)
                    return {"folder": answer.folder}
                await step.save({}, **msgspec.structs.asdict(answer))
        raise MatrixError("The process that makes the backup has ended early")


@asynccontextmanager
async def _answers(order: Order) -> AsyncIterator[AsyncIterator[Answer]]:
    """What the process says that carries out an order; it does not outlive the context."""
    pipe = asyncio.subprocess.PIPE
    process = await asyncio.create_subprocess_exec(sys.executable, "-m", MODULE, stdin=pipe, stdout=pipe)
    try:
        assert process.stdin is not None
        process.stdin.write(msgspec.json.encode(order) + b"\n")
        await process.stdin.drain()
        assert process.stdout is not None
        yield _decoded(process.stdout)
    finally:
        with suppress(ProcessLookupError):
            process.kill()
        await process.wait()


async def _decoded(lines: asyncio.StreamReader) -> AsyncIterator[Answer]:
    answer: Any = msgspec.json.Decoder(Answer)
    async for line in lines:
        yield answer.decode(line)


def _found(folder: Path) -> list[tuple[Path, Backup]]:
    found: list[tuple[Path, Backup]] = []
    for path in reversed(whole(folder)):
        with suppress(Damaged):
            found.append((path, read(path)))
    return found
