"""Media of deleted events: gone with them, unless something else has them."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from functools import partial
from pathlib import Path
from typing import Any

import pytest

from palpo.core.identifiers import MxcUri, RoomId, ServerName
from palpo.core.records.jobs import Job, JobState
from palpo.core.records.media import MediaRecord
from palpo.core.records.quotas import Kind
from palpo.services.administration import leftover_media
from palpo.services.administration.history_purge import Point
from palpo.services.administration.leftover_media import KIND, uris_in
from palpo.services.administration.retention_sweep import END
from palpo.services.administration.room_deletion import DeletionWish
from palpo.services.history.retention import DAY_MS
from palpo.services.server.jobs import Step
from palpo.storage import jobs
from palpo.storage import leftover_media as storage
from palpo.storage import media as media_storage
from palpo.workers.jobs import JobWorker
from palpo.workers.media import MediaSweeper
from tests.api.admin.test_media import download, picture, upload
from tests.api.admin.test_retention import swept
from tests.api.admin.test_room_deletion import CutShort, Killed
from tests.api.admin.test_rooms import make, say
from tests.support.homeserver import Client, Homeserver, homeserver


async def ended(server: Homeserver, job: Job) -> Job:
    """A job once it has ended."""
    async with asyncio.timeout(60):
        while not job.state.ended:
            job = await server.services.server.jobs.follow(job)
    assert job.state is JobState.COMPLETE, job.error
    return job


async def leftovers(server: Homeserver) -> int:
    """Wait until all that was noted is looked at; how many were deleted."""
    found = [await ended(server, job) for job in await server.services.server.jobs.find(kind=KIND)]
    return sum(job.result["deleted"] for job in found if job.result)


async def delete(server: Homeserver, room_id: str) -> int:
    """Delete a room; how many media went with it."""
    deletion = server.services.administration.room_deletion
    await ended(server, await deletion.start(RoomId(room_id), DeletionWish(), by=""))
    return await leftovers(server)


async def test_media_of_a_deleted_room_go(server: Homeserver, alice: Client) -> None:
    before = await server.services.server.quotas.used()
    room_id = await make(alice)
    names = [await upload(alice, f"content {number}".encode()) for number in range(4)]
    await picture(alice, room_id, names[0], info={"thumbnail_url": f"mxc://test.example/{names[1]}"})
    file = {"url": f"mxc://test.example/{names[2]}", "v": "v2"}
    await alice.put(
        f"/rooms/{room_id}/send/m.room.message/f", {"msgtype": "m.file", "body": "", "file": file}
    )
    await alice.put(f"/rooms/{room_id}/state/m.room.avatar", {"url": f"mxc://test.example/{names[3]}"})
    assert await delete(server, room_id) == 4
    for name in names:
        await download(alice, name, status=404)
    assert [blob async for blob in server.services.media.media_cleanup._blobs.stored()] == []
    used = await server.services.server.quotas.used()
    assert {kind: used[kind] for kind in (Kind.MEDIA, Kind.MEDIA_BYTES)} == {
        kind: before[kind] for kind in (Kind.MEDIA, Kind.MEDIA_BYTES)
    }


async def test_what_anything_else_has_stays(server: Homeserver, alice: Client) -> None:
    bob = await server.register("bob")
    room_id, other = await make(alice, preset="public_chat"), await make(alice)
    await bob.post(f"/join/{room_id}", {})
    message, profile, private, of_bob, delayed = [
        await upload(alice, f"content {number}".encode()) for number in range(5)
    ]
    for name in (message, profile, private, delayed):
        await picture(alice, room_id, name)
    await picture(bob, room_id, of_bob)
    await picture(alice, other, message)
    uri = "mxc://test.example"
    await alice.put(f"/profile/{alice.user_id}/avatar_url", {"avatar_url": f"{uri}/{profile}"})
    path = f"/user/{alice.user_id}/account_data/x.emotes"
    await alice.put(path, {"images": {"a": {"url": f"{uri}/{private}"}}})
    later = f"/rooms/{other}/send/m.room.message/d?org.matrix.msc4140.delay=100000"
    await alice.put(later, {"msgtype": "m.image", "body": "", "url": f"{uri}/{delayed}"})
    assert await delete(server, room_id) == 0
    for name in (message, profile, private, of_bob, delayed):
        await download(alice, name)
    assert await delete(server, other) == 1
    await download(alice, message, status=404)


async def test_what_one_has_sent_of_somebody_elses_stays(server: Homeserver, alice: Client) -> None:
    """Who knows the address of what an encrypted event has cannot have it deleted."""
    bob = await server.register("bob")
    room_id = await make(bob)
    name = await upload(alice)
    await picture(bob, room_id, name)
    assert await delete(server, room_id) == 0
    await download(alice, name)


async def test_of_other_servers_what_their_users_sent_goes(server: Homeserver) -> None:
    async def here(media_id: str) -> None:
        record = MediaRecord(
            origin=ServerName("b.example"),
            media_id=media_id,
            user_id=None,
            created_ts=1,
            expires_ts=None,
            sha256=media_id.encode().ljust(32),
            size=1,
            content_type="a/b",
            filename=None,
            authenticated=True,
            quarantined=False,
            quarantined_by=None,
            protected=False,
            last_access_ts=0,
        )
        await server.services.server.db.write(lambda tx: media_storage.insert(tx, record))

    await here("one")
    theirs = server.services.administration.leftover_media
    found = await theirs._here([MxcUri(ServerName("b.example"), name) for name in ("one", "two")])
    uri = MxcUri(ServerName("b.example"), "one")
    assert found == [(uri, None)]
    assert theirs._is_theirs(uri, None, ["@a:test.example", "@b:b.example"])
    assert not theirs._is_theirs(uri, None, ["@a:test.example"])


async def test_media_of_purged_history_go(server: Homeserver, admin: Client, alice: Client) -> None:
    room_id = await make(alice)
    old, kept = await upload(alice, b"old"), await upload(alice, b"kept")
    await picture(alice, room_id, old)
    upto = await say(alice, room_id, "from here on")
    await picture(alice, room_id, kept)
    await say(alice, room_id, "last")
    purge = server.services.administration.history_purge
    point = Point(before=await purge.before_event(RoomId(room_id), upto), local_too=True)
    await ended(server, await purge.start(RoomId(room_id), point, by=""))
    assert await leftovers(server) == 1
    await download(alice, old, status=404)
    await download(alice, kept)


@pytest.fixture
async def forgetful(tmp_path: Path) -> AsyncIterator[Homeserver]:
    policy = {"enabled": True, "default_days": 7, "min_days": 1, "max_days": 100}
    async with homeserver(tmp_path, retention=policy) as running:
        yield running


async def test_media_of_expired_messages_go_the_last_ones_too(forgetful: Homeserver) -> None:
    alice = await forgetful.register("alice")
    room_id = await make(alice)
    first, last = await upload(alice, b"first"), await upload(alice, b"last")
    await picture(alice, room_id, first)
    await picture(alice, room_id, last)
    forgetful.clock.advance(8 * DAY_MS)
    assert await swept(forgetful) == 1
    assert await leftovers(forgetful) == 2
    await download(alice, first, status=404)
    await download(alice, last, status=404)


async def test_where_it_is_not_wanted_they_stay(tmp_path: Path) -> None:
    async with homeserver(tmp_path, media={"delete_with_events": False}) as server:
        alice = await server.register("alice")
        room_id = await make(alice)
        name = await upload(alice)
        await picture(alice, room_id, name)
        assert await delete(server, room_id) == 0
        await download(alice, name)


async def test_what_is_named_again_meanwhile_stays(
    server: Homeserver, alice: Client, monkeypatch: pytest.MonkeyPatch
) -> None:
    """By an event that is sent, or a picture that is chosen, after all was looked through."""
    room_id, other = await make(alice), await make(alice)
    event, profile, gone = [await upload(alice, f"{number}".encode()) for number in range(3)]
    for name in (event, profile, gone):
        await picture(alice, room_id, name)
    service = server.services.administration.leftover_media
    look = service._look

    async def looked(*args: Any) -> None:
        await look(*args)
        await picture(alice, other, event)
        uri = f"mxc://test.example/{profile}"
        await alice.put(f"/profile/{alice.user_id}/avatar_url", {"avatar_url": uri})

    monkeypatch.setattr(leftover_media.LeftoverMedia, "_look", lambda self, *args: looked(*args))
    assert await delete(server, room_id) == 1
    await download(alice, event)
    await download(alice, profile)
    await download(alice, gone, status=404)


async def test_it_goes_on_wherever_it_is_cut_short(
    server: Homeserver, alice: Client, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(leftover_media, "BATCH", 3)
    monkeypatch.setattr(leftover_media, "CHECKPOINT", 1)
    monkeypatch.setattr(leftover_media, "FORGOTTEN", 1)
    service, db = server.services.administration.leftover_media, server.services.server.db
    monkeypatch.setattr(JobWorker, "_due", _none_due)
    room_id, other = await make(alice), await make(alice)
    names = [await upload(alice, f"{number}".encode()) for number in range(6)]
    for name in names:
        await picture(alice, room_id, name)
    await picture(alice, other, names[0])
    purge = server.services.administration.history_purge
    await say(alice, room_id, "last")
    point = Point(before=END, local_too=True)
    job = await purge.start(RoomId(room_id), point, by="")
    await db.write(partial(jobs.move, job_id=job.job_id, to=JobState.ACTIVE, now_ms=1))
    await purge.run(Step(db, server.clock, job))
    (job,) = await server.services.server.jobs.find(kind=KIND)
    await db.write(partial(jobs.move, job_id=job.job_id, to=JobState.ACTIVE, now_ms=1))
    cuts = 0
    for units in range(1000):
        step = Killed(db, server.clock, await server.services.server.jobs.get(job.job_id))
        step.left = units % 3
        try:
            assert await service.run(step) == {"deleted": 5}
        except CutShort:
            cuts += 1
        else:
            break
    assert cuts > 5
    await download(alice, names[0])
    for name in names[1:]:
        await download(alice, name, status=404)


async def test_what_was_deleted_is_told_truly_wherever_it_is_cut_short(
    server: Homeserver, alice: Client, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(JobWorker, "_due", _none_due)
    monkeypatch.setattr(leftover_media, "FORGOTTEN", 1)
    services = server.services.server
    names = [await upload(alice, f"content {number}".encode()) for number in range(3)]
    noted = [MxcUri(ServerName("test.example"), name) for name in (*names, "notthere", "northis")]
    await services.db.write(partial(storage.note, uris=noted))
    service = server.services.administration.leftover_media
    await service.begin()
    (job,) = await services.jobs.find(kind=KIND)
    await services.db.write(partial(jobs.move, job_id=job.job_id, to=JobState.ACTIVE, now_ms=1))
    for units in range(1000):
        step = Killed(services.db, server.clock, await services.jobs.get(job.job_id))
        step.left = 1 + units % 2
        try:
            result = await service.run(step)
        except CutShort:
            continue
        assert result == {"deleted": 3}
        break


async def _none_due(_: JobWorker) -> list[Job]:
    return []


async def test_what_was_noted_and_not_looked_for_is_so_at_the_next_sweep(
    server: Homeserver, alice: Client, monkeypatch: pytest.MonkeyPatch
) -> None:
    service = server.services.administration.leftover_media
    room_id = await make(alice)
    name = await upload(alice)
    await picture(alice, room_id, name)
    monkeypatch.setattr(service.__class__, "begin", _nothing)
    assert await delete(server, room_id) == 0
    monkeypatch.undo()
    sweeper = MediaSweeper(server.services.media.media_cleanup, also=[service.begin], start_s=0, period_s=60)
    running = asyncio.ensure_future(sweeper.run(None))  # type: ignore[arg-type]
    async with asyncio.timeout(60):
        while not await server.services.server.jobs.find(kind=KIND):  # noqa: ASYNC110
            await asyncio.sleep(0.01)
    running.cancel()
    await asyncio.gather(running, return_exceptions=True)
    assert await leftovers(server) == 1
    await download(alice, name, status=404)


async def _nothing(_: object) -> None:
    return None


def test_addresses_are_found_however_they_are_written() -> None:
    uri = MxcUri(ServerName("a.example:8448"), "aB_-1")
    assert uris_in(b'{"a":["mxc://a.example:8448/aB_-1"]}') == {uri}
    assert uris_in(rb'{"a":"mxc:\/\/a.example:8448\/aB_-1"}') == {uri}
    assert uris_in(b'{"a":"\\u006dxc://a.example:8448/aB_-1#x"}') == {uri}
    assert uris_in(b'{"formatted_body":"<img src=\\"mxc://a.example:8448/aB_-1\\">"}') == {uri}
    assert uris_in(b'{"a":"mxc:"}') == uris_in(b"mxc:\\/ {") == uris_in(b'{"a":"\\u0061"}') == set()
