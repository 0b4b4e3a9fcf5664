"""The daily sweep."""

from __future__ import annotations

import asyncio
import os
from pathlib import Path

from palpo.core.errors import Unavailable
from palpo.db.leases import Lease
from palpo.services.media.media_cleanup import MediaCleanup, Removed
from palpo.storage import media
from palpo.workers.media import MediaSweeper
from tests.support.homeserver import Client, Homeserver

LEASE = Lease(name="media", holder="here", fence=1, until_ms=0)


async def swept(sweeper: MediaSweeper, *paths: Path) -> None:
    """Run the sweeper until ``paths`` are gone."""
    task = asyncio.create_task(sweeper.run(LEASE))
    try:
        async with asyncio.timeout(10):
            while any(path.exists() for path in paths):  # noqa: ASYNC110
                await asyncio.sleep(0.01)
    finally:
        task.cancel()


def stray(data: Path, name: str) -> Path:
    """A file that nothing refers to, stored long ago."""
    path = data / "media" / "blobs" / name[:2] / name[2:4] / name
    path.parent.mkdir(parents=True)
    path.write_bytes(b"12345")
    os.utime(path, (0, 0))
    return path


async def test_files_without_rows(server: Homeserver, alice: Client, tmp_path: Path) -> None:
    uri = (await alice.request("POST", "/media/v3/upload", content=b"kept"))["content_uri"]
    kept = [path for path in (tmp_path / "media" / "blobs").rglob("*") if path.is_file()]
    for path in kept:
        os.utime(path, (0, 0))
    await swept(MediaSweeper(server.services.media.media_cleanup, start_s=0), stray(tmp_path, "ab" * 32))
    assert all(path.exists() for path in kept)
    path = f"/client/v1/media/download/{uri.removeprefix('mxc://')}"
    assert (await alice.request("GET", path)).content == b"kept"


async def test_it_goes_on_after_a_failure(server: Homeserver, tmp_path: Path) -> None:
    class Flaky(MediaCleanup):
        """A cleanup whose store is away at first."""

        failures = 0

        async def sweep(self, *, age_seconds: int = 0) -> Removed:
            if self.failures < 2:
                self.failures += 1
                raise Unavailable("The media storage is away for the moment")
            return await super().sweep(age_seconds=age_seconds)

    services = server.services
    cleanup = Flaky(
        services.server.db, server.clock, services.media.media_cleanup._blobs, services.server.quotas
    )
    await swept(MediaSweeper(cleanup, start_s=0, period_s=0.01), stray(tmp_path, "cd" * 32))
    assert cleanup.failures == 2


async def test_uris_that_wait_in_vain(server: Homeserver, alice: Client) -> None:
    created = await alice.request("POST", "/media/v1/create")
    media_id = created["content_uri"].rpartition("/")[2]
    database, cleanup = server.services.server.db, server.services.media.media_cleanup
    await cleanup.sweep()
    assert await database.read(lambda tx: media.find(tx, "test.example", media_id)) is not None
    server.clock.advance(created["unused_expires_at"] - server.clock.now_ms())
    await cleanup.sweep()
    assert await database.read(lambda tx: media.find(tx, "test.example", media_id)) is None
    await alice.request("PUT", f"/media/v3/upload/test.example/{media_id}", content=b"late", status=404)
