"""The backups of a running server: jobs that make and read them, when the next is due, which is put back."""

from __future__ import annotations

import asyncio
import sys
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager, suppress
from pathlib import Path
from typing import Any, Final

import msgspec

from palpo.config.model import Config
from palpo.core.errors import InvalidParam, MatrixError, NotFound
from palpo.core.records.jobs import Json
from palpo.db.copies.damaged import Damaged
from palpo.services.administration.backups import planned
from palpo.services.administration.backups.contents import Backup, is_whole, name_of, read, whole
from palpo.services.administration.backups.orders import Order, Origin, Outcome, Progress, Verification
from palpo.services.administration.backups.planned import Plan, Restored
from palpo.services.server.jobs import Jobs, Step
from palpo.streams.clock import Clock

KIND: Final = "backup"
"""Of the jobs that make one."""
VERIFY: Final = "backup_verification"
"""Of those that read one."""
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
        now_ms = await self._begun_ts(folder, step)
        order = Order(
            origin=Origin.of(self._config), into=str(folder), keep=self._config.backup.keep, now_ms=now_ms
        )
        return await _follow(order, step)

    async def _begun_ts(self, folder: Path, step: Step) -> int:
        """When the backup was begun that was made, and of which the job was not told; or now."""
        before: int | None = (step.job.checkpoint or {}).get("now_ms")
        if before is not None and await asyncio.to_thread(is_whole, folder / name_of(before)):
            return before
        now_ms = self._clock.now_ms()
        await step.save({"now_ms": now_ms})
        return now_ms

    async def verify(self, name: str, *, requested_by: str) -> str:
        """Have all of one be read; the job's ID. Raises NotFound, Conflict while it is."""
        folder = await self._folder(name)
        job = await self._jobs.start(
            VERIFY, target=name, params={"folder": str(folder)}, requested_by=requested_by
        )
        return job.job_id

    async def carry_out_verification(self, step: Step) -> Json:
        """Read one, in a process of its own: a job's handler. Raises MatrixError for what is not whole."""
        return await _follow(Verification(folder=step.job.params["folder"]), step)

    async def plan_restore(self, name: str, *, log_out: bool, requested_by: str, address: str = "") -> None:
        """Have one be put back when the server starts next; raises NotFound, InvalidParam."""
        folder = await self._folder(name)
        try:
            found = await asyncio.to_thread(read, folder)
        except Damaged as error:
            raise InvalidParam(str(error)) from error
        if found.server_name != self._config.server_name:
            raise InvalidParam(f"The backup is {found.server_name}'s")
        planned.plan(
            self._config.data,
            Plan(folder=str(folder), log_out=log_out, requested_by=requested_by, address=address),
        )

    def give_up_restore(self) -> None:
        """Have none be put back; raises NotFound where none is to be."""
        if self.planned() is None:
            raise NotFound("No backup is to be put back")
        planned.forget(self._config.data)

    def planned(self) -> Plan | None:
        """What is to be put back when the server starts next."""
        return planned.planned(self._config.data)

    def restored(self) -> Restored | None:
        """What came of the last that was to be put back at a start."""
        return planned.restored(self._config.data)

    async def _folder(self, name: str) -> Path:
        """The folder of the whole backup that is called so; raises NotFound."""
        for path, _ in await self.all():
            if path.name == name:
                return path.resolve()
        raise NotFound("There is no such backup")


async def _follow(order: Order | Verification, step: Step) -> Json:
    """Have an order carried out, and say how far it is; raises MatrixError where it cannot be."""
    async with _answers(order) as answers:
        async for answer in answers:
            if isinstance(answer, Outcome):
                if answer.error:
                    raise MatrixError(answer.error)
                return {"folder": answer.folder}
            await step.save(step.job.checkpoint or {}, **msgspec.structs.asdict(answer))
    raise MatrixError("The process that was to do it has ended early")


@asynccontextmanager
async def _answers(order: Order | Verification) -> AsyncIterator[AsyncIterator[Answer]]:
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
        # Its pipes are waited for too: else a loop that ends now finds them open.
        if process.stdin is not None:
            process.stdin.close()
        await process.communicate()


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
