"""Backups that a running server makes of itself."""

from __future__ import annotations

import asyncio
import socket
import sys
from dataclasses import replace
from functools import partial
from pathlib import Path

import msgspec
import pytest

from palpo.core.errors import MatrixError
from palpo.core.records.jobs import Job, JobState
from palpo.services.administration.backups.backups import MODULE
from palpo.services.administration.backups.checking import verify
from palpo.services.administration.backups.contents import MANIFEST, whole
from palpo.services.administration.backups.orders import Order, Origin
from palpo.services.server.jobs import Step
from palpo.storage.jobs import insert
from palpo.workers.backups import BackupScheduler
from tests.support.homeserver import Homeserver, homeserver

DAY_MS = 24 * 3600 * 1000
pytestmark = pytest.mark.one_database


async def ended(server: Homeserver, job_id: str) -> Job:
    """A job once it has ended."""
    jobs = server.services.server.jobs
    job = await jobs.get(job_id)
    async with asyncio.timeout(60):
        while not job.state.ended:
            job = await jobs.follow(job)
    return job


async def test_a_server_makes_backups_of_itself_and_keeps_the_newest(tmp_path: Path) -> None:
    folder = tmp_path / "backups"
    async with homeserver(tmp_path, backup={"folder": str(folder), "keep": 1}) as server:
        alice = await server.register("alice")
        backups = server.services.administration.backups
        assert await backups.due()

        first = await ended(server, await backups.begin(requested_by=alice.user_id))

        assert first.state is JobState.COMPLETE, first.error
        made = whole(folder)
        assert first.result == {"folder": str(made[0])}
        assert not await backups.due()
        server.clock.advance(DAY_MS)
        assert await backups.due()
        second = await ended(server, await backups.begin(requested_by=alice.user_id))

        assert [str(path) for path in whole(folder)] == [second.result["folder"]] != [str(made[0])]
        ((path, found),) = await backups.all()
    assert verify(path, lambda *_: None) == found


async def test_the_next_backup_is_begun_when_it_is_due(tmp_path: Path) -> None:
    folder = tmp_path / "backups"
    async with homeserver(tmp_path, backup={"folder": str(folder)}) as server:
        await server.register("alice")
        backups = server.services.administration.backups
        scheduler = BackupScheduler(backups, look_s=0.01)
        running = asyncio.ensure_future(scheduler.run(None))  # type: ignore[arg-type]
        async with asyncio.timeout(60):
            while not whole(folder):  # noqa: ASYNC110
                await asyncio.sleep(0.05)
        running.cancel()
        await asyncio.gather(running, return_exceptions=True)
        (job,) = await server.services.server.jobs.find(kind="backup")
        assert (await ended(server, job.job_id)).state is JobState.COMPLETE


async def test_what_goes_wrong_is_said(tmp_path: Path) -> None:
    folder = tmp_path / "backups"
    folder.write_text("no folder")
    async with homeserver(tmp_path, backup={"folder": str(folder)}) as server:
        await server.register("alice")
        job = await ended(server, await server.services.administration.backups.begin(requested_by=""))

        assert job.state is JobState.FAILED
        assert "File exists" in job.error


async def test_without_a_folder_none_is_made(tmp_path: Path) -> None:
    async with homeserver(tmp_path) as server:
        assert not await server.services.administration.backups.due()
        with pytest.raises(MatrixError, match=r"backup\.folder"):
            await server.services.administration.backups.begin(requested_by="")


async def test_the_process_that_makes_one_ends_with_the_server_that_has_begun_it(tmp_path: Path) -> None:
    silent = socket.create_server(("127.0.0.1", 0))  # Who connects waits for ever.
    port = silent.getsockname()[1]
    origin = Origin(
        server_name="a", database_url=f"postgresql://a@127.0.0.1:{port}/a", data=str(tmp_path), bucket="a"
    )
    order = Order(origin=origin, into=str(tmp_path / "backups"), keep=1, now_ms=0)
    pipe = asyncio.subprocess.PIPE
    process = await asyncio.create_subprocess_exec(sys.executable, "-m", MODULE, stdin=pipe)
    assert process.stdin is not None
    process.stdin.write(msgspec.json.encode(order) + b"\n")
    async with asyncio.timeout(60):
        while not (tmp_path / "backups").exists():  # noqa: ASYNC110
            await asyncio.sleep(0.05)

        process.stdin.close()
        await process.communicate()

        assert process.returncode == 1
    silent.close()


async def test_a_backup_that_was_made_when_the_server_was_killed_is_not_made_again(tmp_path: Path) -> None:
    folder = tmp_path / "backups"
    async with homeserver(tmp_path, backup={"folder": str(folder)}) as server:
        await server.register("alice")
        backups, services = server.services.administration.backups, server.services.server
        job = await ended(server, await backups.begin(requested_by=""))
        (made,) = whole(folder)
        manifest = (made / MANIFEST).stat()
        server.clock.advance(DAY_MS)
        again = replace(job, job_id="again", state=JobState.ACTIVE)
        await services.db.write(partial(insert, new=again))

        assert await backups.carry_out(Step(services.db, services.clock, again)) == {"folder": str(made)}

        assert whole(folder) == [made]
        assert (made / MANIFEST).stat().st_mtime_ns == manifest.st_mtime_ns
